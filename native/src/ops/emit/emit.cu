#include "ops/emit/emit.cuh"

#include "ops/cuda/launch.h"
#include "ops/emit/launch.h"

namespace san::ops {

template <typename T>
void launch_emit(const T* x, uint8_t* y, int64_t n, cudaStream_t stream) {
  const bool vectors = reinterpret_cast<uintptr_t>(x) % 16 == 0 &&
                       reinterpret_cast<uintptr_t>(y) % static_cast<size_t>(cuda::kVector<T>) == 0;
  const auto blocks = static_cast<unsigned>((n + kEmitTile<T> - 1) / kEmitTile<T>);
  cuda::launch(emit_kernel<T>, dim3(blocks), dim3(kEmitThreads), stream, x, y, n, vectors);
}

template void launch_emit(const float*, uint8_t*, int64_t, cudaStream_t);
template void launch_emit(const double*, uint8_t*, int64_t, cudaStream_t);
template void launch_emit(const cuda::Bf16*, uint8_t*, int64_t, cudaStream_t);

}  // namespace san::ops
