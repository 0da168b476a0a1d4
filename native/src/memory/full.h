// Whether an error of LibTorch, cuDNN, cuBLAS or CUDA says that memory ran out.
#pragma once

#include <string_view>

namespace san {

enum class Full { nothing, main_memory, device_memory };

/// By its text: LibTorch has a class of its own for memory that its allocator could not get on a device, but
/// not for main memory, nor for what CUDA's libraries allocate themselves.
inline Full full_by_text(std::string_view message) {
  const auto says = [&](std::string_view text) { return message.find(text) != std::string_view::npos; };
  if (says("DefaultCPUAllocator: can't allocate memory") || says("DefaultCPUAllocator: not enough memory"))
    return Full::main_memory;
  // CUDNN_STATUS_ALLOC_FAILED, CUBLAS_..., CUSOLVER_..., CUFFT_ALLOC_FAILED, and of cuDNN 9
  // CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED and ..._HOST_ALLOCATION_FAILED.
  if (says("HOST_ALLOCATION_FAILED")) return Full::main_memory;
  if (says("_ALLOC_FAILED") || says("DEVICE_ALLOCATION_FAILED") || says("CUDA error: out of memory"))
    return Full::device_memory;
  return Full::nothing;
}

}  // namespace san
