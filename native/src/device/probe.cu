#include <cuda_runtime_api.h>

#include "device/probe.h"

namespace san::device {
namespace {

__global__ void nothing() {}

}  // namespace

const char* probe() {
  nothing<<<1, 1>>>();
  cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) error = cudaDeviceSynchronize();
  return error == cudaSuccess ? "" : cudaGetErrorString(error);
}

}  // namespace san::device
