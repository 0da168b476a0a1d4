// Launching a kernel, with the check that belongs to it.
#pragma once

#include <stdexcept>
#include <string>

#include "ops/cuda/device.cuh"

namespace san::ops::cuda {

/// Runs kernel(parameters...) on `stream`; an empty grid is no work. Throws std::runtime_error, with a text
/// as LibTorch's, where the launch is refused or an earlier kernel has failed; faults of the kernel itself
/// show up at the next launch or synchronisation.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t stream,
            const Arguments&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
#if defined(__CUDACC__)
  kernel<<<grid, block, 0, stream>>>(arguments...);
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess)
    throw std::runtime_error(std::string("CUDA error: ") + cudaGetErrorString(status) +
                             ", told at the launch of a kernel");
#else
  static_cast<void>(stream);
  emulation::run(grid, block, [&] { kernel(arguments...); });
#endif
}

}  // namespace san::ops::cuda
