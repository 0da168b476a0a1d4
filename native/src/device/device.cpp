#include "san/device.h"

#include <ATen/Context.h>
#include <c10/util/Exception.h>

#include <cstdlib>
#include <string_view>

#include "memory/caching_allocator.h"
#include "san/error.h"

#ifdef SAN_NATIVE_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include "device/probe.h"
#endif

namespace san {
namespace {

#ifdef SAN_NATIVE_CUDA
CudaStatus look() {
  CudaStatus status;
  status.built = true;
  // Neither call needs a device; each leaves 0 when it fails.
  static_cast<void>(cudaRuntimeGetVersion(&status.runtime));
  static_cast<void>(cudaDriverGetVersion(&status.driver));
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());  // no later call shall find this one's error
  if (status.driver == 0) {
    status.fault = "there is no NVIDIA driver";
  } else if (error != cudaSuccess) {
    status.fault = std::string("the NVIDIA driver shows no device: ") + cudaGetErrorString(error);
  } else if (count == 0) {
    status.fault = "there is no CUDA device";
  }
  for (int i = 0; status.fault.empty() && i < count; ++i) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    status.devices.push_back({properties.name, properties.major, properties.minor,
                              static_cast<int64_t>(properties.totalGlobalMem)});
  }
  return status;
}
#else
CudaStatus look() {
  CudaStatus status;
  status.fault = SAN_CUDA_REASON;
  return status;
}
#endif

}  // namespace

const CudaStatus& cuda_status() {
  static const CudaStatus status = look();
  return status;
}

c10::Device open_device(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  const auto refuse = [&](const std::string& reason) -> Error {
    return {kDevice, "device " + name + " cannot be used: " + reason, "device"};
  };
  const CudaStatus& status = cuda_status();
  if (!status.fault.empty()) throw refuse(status.fault);
#ifdef SAN_NATIVE_CUDA
  constexpr std::string_view kPrefix = "cuda:";
  size_t index = status.devices.size();
  if (name.starts_with(kPrefix) && name.size() < kPrefix.size() + 4 &&
      name.find_first_not_of("0123456789", kPrefix.size()) == std::string::npos &&
      name.size() > kPrefix.size())
    index = static_cast<size_t>(std::stoi(name.substr(kPrefix.size())));
  if (index >= status.devices.size())
    throw refuse("there are " + std::to_string(status.devices.size()) + " devices, cuda:0 and on");
  const c10::Device device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
  // What LibTorch would do at the first tensor there: statistics of memory may be asked for before.
  at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
  const c10::cuda::CUDAGuard guard(device);
  if (const std::string fault = device::probe(); !fault.empty()) {
    const CudaDevice& found = status.devices[index];
    throw refuse(found.name + " (sm_" + std::to_string(found.major) + std::to_string(found.minor) +
                 ") does not run this build's code: " + fault);
  }
  return device;
#else
  throw refuse("this build has no CUDA code");
#endif
}

namespace {

bool autotunes() {
  const char* choice = std::getenv("SAN_NATIVE_AUTOTUNE");
  return choice == nullptr || std::string_view(choice) != "0";
}

}  // namespace

void use_precision(const c10::Device& device, Precision precision, bool products) {
  if (!device.is_cuda()) return;
  at::globalContext().setAllowTF32CuDNN(precision != Precision::fp32);
  at::globalContext().setAllowTF32CuBLAS(products && precision == Precision::tf32);
  // Of algorithms those alone whose bits are the same in each run. Shapes are the same in every step, so that
  // looking for the fastest of them pays; which that is another process may find otherwise.
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(autotunes());
}

DeviceMemory device_memory(const c10::Device& device) {
#ifdef SAN_NATIVE_CUDA
  if (device.is_cuda()) {
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
    return {stats.allocated_bytes[0].current, stats.allocated_bytes[0].peak, stats.reserved_bytes[0].peak};
  }
#endif
  static_cast<void>(device);
  const MemoryUse use = memory_use();
  return {use.used, use.peak, use.peak};
}

void synchronise(const c10::Device& device) {
#ifdef SAN_NATIVE_CUDA
  if (device.is_cuda()) c10::cuda::getCurrentCUDAStream(device.index()).synchronize();
#else
  static_cast<void>(device);
#endif
}

bool answers(const c10::Device& device) {
#ifdef SAN_NATIVE_CUDA
  try {
    if (device.is_cuda()) static_cast<void>(c10::cuda::getCurrentCUDAStream(device.index()).query());
  } catch (const std::exception&) {
    return false;
  }
#else
  static_cast<void>(device);
#endif
  return true;
}

void release_device_memory() {
#ifdef SAN_NATIVE_CUDA
  if (cuda_status().fault.empty()) c10::cuda::CUDACachingAllocator::emptyCache();
#endif
}

}  // namespace san
