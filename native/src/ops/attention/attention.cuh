// Kernels of channel attention; attention_kernels.h has their traffic, params.h formulas and gradients.
#pragma once

#include "ops/attention/attention_kernels.h"
#include "ops/cuda/rows.cuh"
#include "ops/elementwise.h"

namespace san::ops::cuda {

template <typename A>
SAN_DEVICE A attention_leaky(A x) {
  return leaky(x, A(0.2));
}

/// The sum over i of row[i] x[i], in each lane of the warp.
template <typename A>
SAN_DEVICE A dot_in_warp(const A* row, const A* x, int64_t n) {
  A sum = 0;
  for (int64_t i = threadIdx.x % kWarp; i < n; i += kWarp) sum += row[i] * x[i];
  return sum_over_lanes(sum, kWarp);
}

/// Of this block's sample: out[c] = scale * the sum over blocks of what they left in partial (blocks,
/// channels). Visible to the block after a barrier.
template <typename A>
SAN_DEVICE void join_partial(const BlockSums<A>& p, int64_t channels, A* out, double scale) {
  const A* own = p.partial + blockIdx.x * p.blocks * channels;
  for (int64_t c = threadIdx.x; c < channels; c += kBlock) {
    double sum = 0;
    for (int64_t block = 0; block < p.blocks; ++block) sum += own[block * channels + c];
    out[c] = static_cast<A>(sum * scale);
  }
}

/// From the blocks' sums to the means and the scales, a block a sample and a warp a row of each matrix.
template <typename A>
__global__ void __launch_bounds__(kBlock)
    attention_gate_kernel(BlockSums<A> sums, AttentionGate<A> p, AttentionSize n) {
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = kBlock / kWarp;
  const int64_t sample = blockIdx.x;
  A* mean = p.mean + sample * n.channels;
  A* hidden = p.hidden + sample * n.hidden;
  join_partial(sums, n.channels, mean, 1.0 / static_cast<double>(n.pixels));
  __syncthreads();
  for (int64_t j = warp; j < n.hidden; j += warps) {
    const A pre = dot_in_warp(p.squeeze + j * n.channels, mean, n.channels) + p.squeeze_bias[j];
    if (lane != 0) continue;
    p.pre[sample * n.hidden + j] = pre;
    hidden[j] = attention_leaky(pre);
  }
  __syncthreads();
  for (int64_t c = warp; c < n.channels; c += warps) {
    const A logit = dot_in_warp(p.excite + c * n.hidden, hidden, n.hidden) + p.excite_bias[c];
    if (lane == 0) p.scale[sample * n.channels + c] = sigmoid(logit);
  }
}

/// From the blocks' sums to d scale, and on to d logits, d pre and d mean, a block a sample.
template <typename T, typename A>
__global__ void __launch_bounds__(kBlock)
    attention_gate_gradient_kernel(BlockSums<A> sums, AttentionBackward<T, A> p) {
  constexpr unsigned kWarps = kBlock / kWarp;
  SAN_SHARED(A, shared, kBlock);
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const AttentionSize n = p.size;
  const int64_t sample = blockIdx.x;
  A *d_logits = p.d_logits + sample * n.channels, *d_pre = p.d_pre + sample * n.hidden;
  join_partial(sums, n.channels, d_logits, 1.0);
  // Each thread goes on with the channels that it has joined.
  for (int64_t c = threadIdx.x; c < n.channels; c += kBlock) {
    const A s = p.gate.scale[sample * n.channels + c];
    d_logits[c] *= s * (A(1) - s);
  }
  __syncthreads();
  // Columns of excite: a lane a column, the rows shared out among the warps.
  for (int64_t first = 0; first < n.hidden; first += kWarp) {
    const int64_t j = first + lane;
    A sum = 0;
    if (j < n.hidden)
      for (int64_t c = warp; c < n.channels; c += kWarps)
        sum += d_logits[c] * p.gate.excite[c * n.hidden + j];
    shared[threadIdx.x] = sum;
    __syncthreads();
    if (warp == 0 && j < n.hidden) {
      for (unsigned w = 1; w < kWarps; ++w) sum += shared[w * kWarp + lane];
      d_pre[j] = leaky_gradient(sum, p.gate.pre[sample * n.hidden + j], A(0.2));
    }
    __syncthreads();
  }
  for (int64_t c = threadIdx.x; c < n.channels; c += kBlock) {
    A sum = 0;
    for (int64_t j = 0; j < n.hidden; ++j) sum += d_pre[j] * p.gate.squeeze[j * n.channels + c];
    p.d_mean[sample * n.channels + c] = sum / static_cast<A>(n.pixels);
  }
}

/// weight (rows, columns) = the sum over samples of left (samples, rows) times right (samples, columns); bias
/// (rows) = that of left.
template <typename A>
struct OuterSums {
  const A *left, *right;
  A *weight, *bias;
  int64_t samples, rows, columns;
};

/// blockIdx.y chooses between two that have as many elements.
template <typename A>
__global__ void __launch_bounds__(kBlock) outer_sums_kernel(OuterSums<A> first, OuterSums<A> second) {
  const OuterSums<A>& p = blockIdx.y == 0 ? first : second;
  const int64_t at = int64_t{blockIdx.x} * kBlock + threadIdx.x;
  if (at >= p.rows * p.columns) return;
  const int64_t row = at / p.columns, column = at - row * p.columns;
  A product = 0, sum = 0;
  for (int64_t b = 0; b < p.samples; ++b) {
    const A left = p.left[b * p.rows + row];
    product += left * p.right[b * p.columns + column];
    sum += left;
  }
  p.weight[at] = product;
  if (column == 0) p.bias[row] = sum;
}

/// y = x scale + shift, with (samples, channels) scale and shift; shift may be null.
template <typename T>
struct ScalePixels {
  const T* x;
  const Accumulator<T>*scale, *shift;
  T* y;
  int64_t samples, pixels, channels;
};

/// blockIdx.y counts ranges of lanes * V channels, blockIdx.z samples: scale and shift stay in registers.
template <typename T, int V>
__global__ void __launch_bounds__(kBlock) scale_pixels_kernel(ScalePixels<T> p, unsigned lanes) {
  using A = Accumulator<T>;
  const Place at(lanes);
  const int64_t c = (int64_t{blockIdx.y} * lanes + at.lane) * V;
  if (c >= p.channels) return;
  for (int64_t sample = blockIdx.z; sample < p.samples; sample += gridDim.z) {
    const Pack<A, V> scale = load<V>(p.scale + sample * p.channels + c);
    Pack<A, V> shift = {};
    if (p.shift != nullptr) shift = load<V>(p.shift + sample * p.channels + c);
    for (int64_t pixel = at.first() + at.group; pixel < p.pixels; pixel += at.step()) {
      const int64_t offset = (sample * p.pixels + pixel) * p.channels + c;
      Pack<A, V> x = load<V>(p.x + offset);
      SAN_UNROLL
      for (int e = 0; e < V; ++e) x.at[e] = x.at[e] * scale.at[e] + shift.at[e];
      store<V>(p.y + offset, x);
    }
  }
}

}  // namespace san::ops::cuda
