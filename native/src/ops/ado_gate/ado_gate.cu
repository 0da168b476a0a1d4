#include "ops/ado_gate/ado_gate.cuh"

namespace san::ops::cuda {

template <typename T>
int64_t ado_gate_backward_blocks(int64_t pixels, int64_t channels) {
  return rows_of<T>(channels).blocks(pixels, kSummingBlocks);
}

template <typename T, typename A>
void launch_ado_gate_forward(const AdoGateForward<T, A>& p, cudaStream_t stream) {
  const Rows rows = rows_of<T>(p.channels);
  with_vector<T>(rows, [&]<int V>() {
    launch(ado_gate_forward_kernel<T, A, V>,
           sample_grid(rows, rows.blocks(p.pixels, kMostBlocks), p.channels, 1), kBlock, stream, p,
           rows.lanes);
  });
}

template <typename T, typename A>
void launch_ado_gate_backward(const AdoGateBackward<T, A>& p, cudaStream_t stream) {
  const Rows rows = rows_of<T>(p.channels);
  const unsigned blocks = rows.blocks(p.pixels, kSummingBlocks);
  with_vector<T>(rows, [&]<int V>() {
    launch(ado_gate_backward_kernel<T, A, V>, sample_grid(rows, blocks, p.channels, 1), kBlock, stream, p,
           rows.lanes);
  });
  finish_sums(FinishSums<A>{p.partial, p.sums, blocks, p.channels}, stream);
}

#define SAN_INSTANTIATE(T, A)                                                             \
  template int64_t ado_gate_backward_blocks<T>(int64_t, int64_t);                         \
  template void launch_ado_gate_forward<T, A>(const AdoGateForward<T, A>&, cudaStream_t); \
  template void launch_ado_gate_backward<T, A>(const AdoGateBackward<T, A>&, cudaStream_t);
SAN_INSTANTIATE(float, float)
SAN_INSTANTIATE(double, double)
SAN_INSTANTIATE(Bf16, float)
#undef SAN_INSTANTIATE

}  // namespace san::ops::cuda
