// The kernels' parameters and launches; params.h has formulas and gradients.
//
// Memory traffic per element: forward reads x twice, the second time from L2 where it fits, and writes y;
// backward reads g and x, then g again, and writes dx. What is between, the blocks' sums and the two small
// matrices, is one launch, a block a sample; backward has one more, for the matrices' gradients.
#pragma once

#include "ops/attention/params.h"
#include "ops/cuda/types.h"

namespace san::ops::cuda {

/// A is what T is accumulated in; parameters and everything small are A. squeeze (hidden, channels), excite
/// (channels, hidden), mean and scale (samples, channels), pre and hidden (samples, hidden).
template <typename A>
struct AttentionGate {
  const A *squeeze, *squeeze_bias, *excite, *excite_bias;
  A *mean, *pre, *hidden, *scale;
};

/// x, y (samples, pixels, channels); partial (samples, attention_blocks(), channels) is scratch.
template <typename T, typename A>
struct AttentionForward {
  const T* x;
  T* y;
  A* partial;
  AttentionGate<A> gate;
  AttentionSize size;
};

/// What each block of attention_blocks() left: partial (samples, blocks, channels).
template <typename A>
struct BlockSums {
  const A* partial;
  int64_t blocks;
};

/// d_logits (of excite) and d_mean, which is divided by the pixels, (samples, channels); d_pre
/// (samples, hidden); the other gradients as what they belong to.
template <typename T, typename A>
struct AttentionBackward {
  const T *g, *x;
  T* dx;
  A *partial, *d_logits, *d_pre, *d_mean;
  A *d_squeeze, *d_squeeze_bias, *d_excite, *d_excite_bias;
  AttentionGate<A> gate;
  AttentionSize size;
};

/// Blocks that share a sample's pixels.
template <typename T>
int64_t attention_blocks(const AttentionSize& size);

template <typename T, typename A>
void launch_attention_forward(const AttentionForward<T, A>& p, cudaStream_t stream);

template <typename T, typename A>
void launch_attention_backward(const AttentionBackward<T, A>& p, cudaStream_t stream);

}  // namespace san::ops::cuda
