#include "ops/norm_act_skip/norm_act_skip.cuh"

namespace san::ops::cuda {

template <typename T>
int64_t norm_act_backward_blocks(int64_t pixels, int64_t channels) {
  return rows_of<T>(channels).blocks(pixels, kSummingBlocks);
}

template <typename T, typename A>
void launch_norm_act_forward(const NormActForward<T, A>& p, cudaStream_t stream) {
  const Rows rows = rows_of<T>(p.channels);
  with_packs<T>(rows, [&]<int V, int N>() {
    launch(norm_act_forward_kernel<T, A, V, N>, rows.blocks(p.pixels, kMostBlocks), kBlock, stream, p,
           rows.lanes);
  });
}

template <typename T, typename A>
void launch_norm_act_backward(const NormActBackward<T, A>& p, cudaStream_t stream) {
  const Rows rows = rows_of<T>(p.channels);
  const unsigned blocks = rows.blocks(p.pixels, kSummingBlocks);
  with_packs<T>(rows, [&]<int V, int N>() {
    launch(norm_act_backward_kernel<T, A, V, N>, blocks, kBlock, stream, p, rows.lanes);
    if (p.partial != nullptr && N == 0)
      column_sums<T>({p.dx, nullptr, p.partial, p.pixels, p.channels, 1}, blocks, stream);
  });
  if (p.partial != nullptr) finish_sums(FinishSums<A>{p.partial, p.sums, blocks, p.channels}, stream);
}

template <typename T>
void launch_skip_gradient(const SkipGradient<T>& p, cudaStream_t stream) {
  const Rows rows = rows_of<T>(p.in.to);
  with_vector<T>(rows, [&]<int V>() {
    launch(skip_gradient_kernel<T, V>, rows.blocks(p.pixels, kMostBlocks), kBlock, stream, p, rows.lanes);
  });
}

#define SAN_INSTANTIATE(T, A)                                                               \
  template int64_t norm_act_backward_blocks<T>(int64_t, int64_t);                           \
  template void launch_norm_act_forward<T, A>(const NormActForward<T, A>&, cudaStream_t);   \
  template void launch_norm_act_backward<T, A>(const NormActBackward<T, A>&, cudaStream_t); \
  template void launch_skip_gradient<T>(const SkipGradient<T>&, cudaStream_t);
SAN_INSTANTIATE(float, float)
SAN_INSTANTIATE(double, double)
SAN_INSTANTIATE(Bf16, float)
#undef SAN_INSTANTIATE

}  // namespace san::ops::cuda
