// What philox.h computes, as plain ATen calls: words in int64, normal numbers in float64 by ATen's logarithm,
// sine and cosine, so that normal numbers are within 2e-6 of the ones that are part of the format, and
// uniform ones the same. For SAN_NATIVE_REFERENCE=1 and for tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "random/random.h"

namespace san::random {

/// As normal_rows(), on the processor.
at::Tensor normal_rows_reference(const Key& first, int64_t rows, int64_t n);

/// As uniform(), on the processor.
at::Tensor uniform_reference(const Key& key, int64_t n);

/// As redraw_beyond(), of rows on the processor.
void redraw_beyond_reference(at::Tensor& rows, uint64_t seed, uint64_t first, double threshold);

}  // namespace san::random
