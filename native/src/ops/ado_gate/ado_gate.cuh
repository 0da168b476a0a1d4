// Kernels of ado_gate; params.h has formulas, gradients and traffic. A thread stays with V channels, whose
// bias and sums are in its registers; blockIdx.y counts ranges of lanes * V channels.
#pragma once

#include "ops/ado_gate/ado_gate_kernels.h"
#include "ops/cuda/rows.cuh"

namespace san::ops::cuda {

template <typename T, typename A, int V>
__global__ void __launch_bounds__(kBlock) ado_gate_forward_kernel(AdoGateForward<T, A> p, unsigned lanes) {
  const Place at(lanes);
  const int64_t c = (int64_t{blockIdx.y} * lanes + at.lane) * V;
  if (c >= p.channels) return;
  const Pack<A, V> bias = load<V>(p.bias + c);
  for (int64_t pixel = at.first() + at.group; pixel < p.pixels; pixel += at.step()) {
    const int64_t offset = pixel * p.channels + c;
    const Pack<A, V> x = load<V>(p.x + offset), logits = load<V>(p.logits + offset);
    Pack<A, V> y;
    SAN_UNROLL
    for (int e = 0; e < V; ++e) y.at[e] = ado_value(x.at[e], sigmoid(logits.at[e] + bias.at[e]), p.threshold);
    store<V>(p.y + offset, y);
  }
}

template <typename T, typename A, int V>
__global__ void __launch_bounds__(kBlock) ado_gate_backward_kernel(AdoGateBackward<T, A> p, unsigned lanes) {
  const Place at(lanes);
  const int64_t c = (int64_t{blockIdx.y} * lanes + at.lane) * V;
  Pack<A, V> sums = {};
  if (c < p.channels) {
    const Pack<A, V> bias = load<V>(p.bias + c);
    for (int64_t pixel = at.first() + at.group; pixel < p.pixels; pixel += at.step()) {
      const int64_t offset = pixel * p.channels + c;
      const Pack<A, V> g = load<V>(p.g + offset), x = load<V>(p.x + offset), l = load<V>(p.logits + offset);
      Pack<A, V> dx, dl;
      SAN_UNROLL
      for (int e = 0; e < V; ++e) {
        const AdoGradient<A> d = ado_gradient(g.at[e], x.at[e], sigmoid(l.at[e] + bias.at[e]), p.threshold);
        dx.at[e] = d.x;
        dl.at[e] = d.logit;
        sums.at[e] += d.logit;
      }
      store<V>(p.dx + offset, dx);
      store<V>(p.dl + offset, dl);
    }
  }
  write_block_sums(sums, lanes, p.partial + blockIdx.x * p.channels + c, c < p.channels);
}

}  // namespace san::ops::cuda
