// at::parallel_for, checked to be one.
#pragma once

#include <ATen/Parallel.h>

// Its template is a plain loop on one thread, without a word, in a file that is compiled without OpenMP.
#if AT_PARALLEL_OPENMP && !defined(INTRA_OP_PARALLEL)
#error "LibTorch's threads are OpenMP's: compile with -fopenmp"
#endif
