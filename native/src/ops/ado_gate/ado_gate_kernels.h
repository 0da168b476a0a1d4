// The kernels' parameters and launches; params.h has formulas, gradients and traffic.
#pragma once

#include "ops/ado_gate/params.h"
#include "ops/cuda/types.h"

namespace san::ops::cuda {

/// A is what T is accumulated in. x, logits, y (pixels, channels); bias (channels).
template <typename T, typename A>
struct AdoGateForward {
  const T *x, *logits;
  const A* bias;
  T* y;
  int64_t pixels, channels;
  A threshold;
};

/// `partial` (ado_gate_backward_blocks(), channels) takes each block's sums of dl, `sums` (channels) those of
/// all.
template <typename T, typename A>
struct AdoGateBackward {
  const T *g, *x, *logits;
  const A* bias;
  T *dx, *dl;
  A *partial, *sums;
  int64_t pixels, channels;
  A threshold;
};

template <typename T>
int64_t ado_gate_backward_blocks(int64_t pixels, int64_t channels);

template <typename T, typename A>
void launch_ado_gate_forward(const AdoGateForward<T, A>& p, cudaStream_t stream);

template <typename T, typename A>
void launch_ado_gate_backward(const AdoGateBackward<T, A>& p, cudaStream_t stream);

}  // namespace san::ops::cuda
