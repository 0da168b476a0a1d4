#include "check.h"
#include "memory/full.h"

namespace san::test {

void full_memory_tests() {
  const auto is = [](Full expected, const std::string& message) {
    expect(full_by_text(message) == expected, "whether memory ran out: " + message);
  };
  is(Full::main_memory,
     "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
     "allocate 68719476736 bytes. Error code 12 (Cannot allocate memory)");
  is(Full::main_memory, "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED");
  is(Full::device_memory, "cuDNN error: CUDNN_STATUS_ALLOC_FAILED");
  is(Full::device_memory, "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED");
  is(Full::device_memory, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`");
  is(Full::device_memory, "CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation' in ...");
  is(Full::device_memory, "CUDA error: out of memory, told at the launch of a kernel");
  is(Full::nothing, "CUDA error: an illegal memory access was encountered");
  is(Full::nothing, "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED");
  is(Full::nothing, "shape '[4]' is invalid for input of size 3");
}

}  // namespace san::test
