// Where tensors are: the processor, or a GPU in a build that has CUDA code.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

#include "san/config.h"

namespace san {

struct CudaDevice {
  std::string name;
  /// Compute capability, such as 9 and 0.
  int major = 0, minor = 0;
  /// Memory in bytes.
  int64_t bytes = 0;
};

/// What is there for work on a GPU.
struct CudaStatus {
  /// Whether this build has CUDA code; if not, `fault` says why.
  bool built = false;
  /// CUDA versions such as 13000: of the driver, 0 without one, and of the runtime that this build is linked
  /// to.
  int driver = 0, runtime = 0;
  std::vector<CudaDevice> devices;
  /// Why no device can be used; empty when one can.
  std::string fault;
};

/// Looks once a process; never throws.
const CudaStatus& cuda_status();

/// "cpu" or "cuda:N". Throws kDevice where there is no such device, or where it does not run this build's
/// code.
c10::Device open_device(const std::string& name);

/// For the whole process: lets a GPU's convolutions in float32 use its tf32 multipliers with tf32 and bf16,
/// where the gradient penalty has them. Products of matrices, which the losses are made of, never do, but for
/// `products`, with tf32: to measure what the multipliers can do.
void use_precision(const c10::Device& device, Precision precision, bool products = false);

/// Memory of a device as LibTorch's allocator counts it, and of the processor as san::memory_use().
struct DeviceMemory {
  int64_t used, peak;
  /// The most that the allocator had taken: with what freed tensors and captured steps keep. On the processor
  /// `peak`.
  int64_t reserved_peak;
};
DeviceMemory device_memory(const c10::Device& device);

/// Waits until a device has done what it was given; returns at once for the processor.
void synchronise(const c10::Device& device);

/// False once a GPU has failed for this process: CUDA refuses whatever comes after. What LibTorch would need
/// it for to free, such as pinned memory that copies went to, must be left then, for its destructors would
/// end the process. Waits for nothing.
bool answers(const c10::Device& device);

/// Gives memory that a device's allocator keeps for reuse back.
void release_device_memory();

}  // namespace san
