// The kernels' parameters and launches; params.h has formulas and gradients.
//
// A cell is what lies between the same four pixels of s: about as many pixels of x as H W / (h w). A thread
// takes some channels of one cell, row by row, and reads the four values again for each, from the nearest
// cache.
//
// Memory traffic per element of x: forward reads x and writes y; backward reads g and x and writes dx, once
// each, and four sums a cell, a quarter of an element where x has 16 times the pixels of s, which a second
// pass reads.
#pragma once

#include "ops/cuda/types.h"
#include "ops/rpa_gate/params.h"

namespace san::ops::cuda {

struct RpaSize {
  int64_t samples, channels, height, width, low_height, low_width;

  SAN_HD int64_t cells() const { return samples * low_height * low_width; }
};

/// A is what T is accumulated in. x, y (samples, height, width, channels); normal, s (samples, low_height,
/// low_width, channels): s is sigmoid(normal).
template <typename T, typename A>
struct RpaForward {
  const T *x, *normal;
  A* s;
  T* y;
  RpaSize size;
};

/// dn as `normal`; partial (samples, low_height, low_width, 2, 2, channels) is scratch: a cell's sums for the
/// rows and columns of s around it.
template <typename T, typename A>
struct RpaBackward {
  const T *g, *x;
  const A* s;
  T *dx, *dn;
  A* partial;
  RpaSize size;
};

template <typename T, typename A>
void launch_rpa_forward(const RpaForward<T, A>& p, cudaStream_t stream);

template <typename T, typename A>
void launch_rpa_backward(const RpaBackward<T, A>& p, cudaStream_t stream);

}  // namespace san::ops::cuda
