// The kernels' parameters and launches; params.h has formulas and gradients.
//
// Memory traffic per element: forward reads x and skip once and writes y; backward reads x and g once and
// writes dx. Values of a pixel stay in registers between its sum and its map, up to 512 channels in float32
// and 1,024 in bfloat16, 128 where the channels are no multiple of 16 bytes; beyond that they are read again,
// from L1.
#pragma once

#include "ops/cuda/types.h"
#include "ops/norm_act_skip/params.h"

namespace san::ops::cuda {

/// Source (rows, width, from) as (rows', width', to): rows and columns `stride` times as many, each repeated
/// (`nearest`), or sums over squares of `stride`; channels as sums over groups, or each repeated; times
/// `scale`. up(), down() and their adjoints are this with different scales.
template <typename T>
struct Resample {
  const T* source;
  int64_t width, from, to;
  unsigned stride;
  bool nearest;
  double scale;
};

/// A is what T is accumulated in. x, y (pixels, channels); bias (channels) or null; r (pixels). Pixels are
/// rows of `width`; skip.source may be null.
template <typename T, typename A>
struct NormActForward {
  const T* x;
  const A* bias;
  T* y;
  A* r;
  int64_t pixels, channels;
  unsigned width;
  A before, after;
  Resample<T> skip;
};

/// g, x, dx (pixels, channels); `partial` (backward_blocks(), channels) takes each block's sums of dx, `sums`
/// (channels) those of all; null where no one wants them.
template <typename T, typename A>
struct NormActBackward {
  const T *g, *x;
  const A *bias, *r;
  T* dx;
  A *partial, *sums;
  int64_t pixels, channels;
  A before, after;
};

/// out (pixels, in.to) in rows of `width`.
template <typename T>
struct SkipGradient {
  Resample<T> in;
  T* out;
  int64_t pixels;
  unsigned width;
};

/// Rows of partial sums that launch_norm_act_backward writes.
template <typename T>
int64_t norm_act_backward_blocks(int64_t pixels, int64_t channels);

template <typename T, typename A>
void launch_norm_act_forward(const NormActForward<T, A>& p, cudaStream_t stream);

template <typename T, typename A>
void launch_norm_act_backward(const NormActBackward<T, A>& p, cudaStream_t stream);

template <typename T>
void launch_skip_gradient(const SkipGradient<T>& p, cudaStream_t stream);

}  // namespace san::ops::cuda
