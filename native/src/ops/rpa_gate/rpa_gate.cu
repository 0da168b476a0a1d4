#include "ops/rpa_gate/rpa_gate.cuh"

namespace san::ops::cuda {

template <typename T, typename A>
void launch_rpa_forward(const RpaForward<T, A>& p, cudaStream_t stream) {
  const Rows rows = rows_of<T>(p.size.channels);
  const unsigned blocks = rows.blocks(p.size.cells(), kMostBlocks);
  with_vector<T>(rows, [&]<int V>() {
    launch(rpa_sigmoid_kernel<T, A, V>, blocks, kBlock, stream, p, rows.lanes);
    launch(rpa_forward_kernel<T, A, V>, blocks, kBlock, stream, p, rows.lanes);
  });
}

template <typename T, typename A>
void launch_rpa_backward(const RpaBackward<T, A>& p, cudaStream_t stream) {
  const Rows rows = rows_of<T>(p.size.channels);
  const unsigned blocks = rows.blocks(p.size.cells(), kMostBlocks);
  with_vector<T>(rows, [&]<int V>() {
    // Four sums are in registers for each channel: of bf16 half an access.
    constexpr int kFew = std::min(V, 4);
    const Rows few = rows_of<T>(p.size.channels, kFew);
    launch(rpa_backward_kernel<T, A, kFew>, few.blocks(p.size.cells(), kMostBlocks), kBlock, stream, p,
           few.lanes);
    launch(rpa_gather_kernel<T, A, V>, blocks, kBlock, stream, p, rows.lanes);
  });
}

#define SAN_INSTANTIATE(T, A)                                                    \
  template void launch_rpa_forward<T, A>(const RpaForward<T, A>&, cudaStream_t); \
  template void launch_rpa_backward<T, A>(const RpaBackward<T, A>&, cudaStream_t);
SAN_INSTANTIATE(float, float)
SAN_INSTANTIATE(double, double)
SAN_INSTANTIATE(Bf16, float)
#undef SAN_INSTANTIATE

}  // namespace san::ops::cuda
