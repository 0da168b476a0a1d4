// Marks the mathematics of single elements, which a CUDA compiler takes as it stands.
#pragma once

#if defined(__CUDACC__)
#define SAN_HD __host__ __device__ __forceinline__
#else
#define SAN_HD inline
#endif
