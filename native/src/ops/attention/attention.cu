#include "ops/attention/attention.cuh"

namespace san::ops::cuda {
namespace {

template <typename A>
void launch_outer_sums(const OuterSums<A>& first, const OuterSums<A>& second, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((first.rows * first.columns + kBlock - 1) / kBlock);
  launch(outer_sums_kernel<A>, dim3(blocks, 2), kBlock, stream, first, second);
}

template <typename T>
void launch_scale_pixels(const ScalePixels<T>& p, cudaStream_t stream) {
  const Rows rows = rows_of<T>(p.channels);
  const unsigned blocks = rows.blocks(p.pixels, kMostBlocks, p.samples);
  with_vector<T>(rows, [&]<int V>() {
    launch(scale_pixels_kernel<T, V>, sample_grid(rows, blocks, p.channels, p.samples), kBlock, stream, p,
           rows.lanes);
  });
}

}  // namespace

template <typename T>
int64_t attention_blocks(const AttentionSize& n) {
  return rows_of<T>(n.channels).blocks(n.pixels, kSummingBlocks, n.samples);
}

template <typename T, typename A>
void launch_attention_forward(const AttentionForward<T, A>& p, cudaStream_t stream) {
  const AttentionSize& n = p.size;
  const auto blocks = static_cast<unsigned>(attention_blocks<T>(n));
  column_sums<T>({p.x, nullptr, p.partial, n.pixels, n.channels, n.samples}, blocks, stream);
  launch(attention_gate_kernel<A>, static_cast<unsigned>(n.samples), kBlock, stream,
         BlockSums<A>{p.partial, blocks}, p.gate, n);
  launch_scale_pixels<T>({p.x, p.gate.scale, nullptr, p.y, n.samples, n.pixels, n.channels}, stream);
}

template <typename T, typename A>
void launch_attention_backward(const AttentionBackward<T, A>& p, cudaStream_t stream) {
  const AttentionSize& n = p.size;
  const auto blocks = static_cast<unsigned>(attention_blocks<T>(n));
  column_sums<T>({p.x, p.g, p.partial, n.pixels, n.channels, n.samples}, blocks, stream);
  launch(attention_gate_gradient_kernel<T, A>, static_cast<unsigned>(n.samples), kBlock, stream,
         BlockSums<A>{p.partial, blocks}, p);
  launch_scale_pixels<T>({p.g, p.gate.scale, p.d_mean, p.dx, n.samples, n.pixels, n.channels}, stream);
  launch_outer_sums<A>(
      {p.d_logits, p.gate.hidden, p.d_excite, p.d_excite_bias, n.samples, n.channels, n.hidden},
      {p.d_pre, p.gate.mean, p.d_squeeze, p.d_squeeze_bias, n.samples, n.hidden, n.channels}, stream);
}

#define SAN_INSTANTIATE(T, A)                                                                \
  template int64_t attention_blocks<T>(const AttentionSize&);                                \
  template void launch_attention_forward<T, A>(const AttentionForward<T, A>&, cudaStream_t); \
  template void launch_attention_backward<T, A>(const AttentionBackward<T, A>&, cudaStream_t);
SAN_INSTANTIATE(float, float)
SAN_INSTANTIATE(double, double)
SAN_INSTANTIATE(Bf16, float)
#undef SAN_INSTANTIATE

}  // namespace san::ops::cuda
