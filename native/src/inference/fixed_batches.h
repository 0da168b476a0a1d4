// A network applied to any number of rows, in batches of one size.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <string>

#include "san/cancelled.h"
#ifdef SAN_NATIVE_CUDA
#include <c10/cuda/CUDAStream.h>

#include <optional>

#include "device/captured.h"
#endif

namespace san {

/// Convolution libraries choose their algorithm by the batch size, and algorithms differ in their last bits:
/// with one size a row's result does not depend on how many were asked for. Input and output of a batch stay
/// in the same memory, so that on a GPU the work is captured once and replayed; what a batch gave travels to
/// main memory while the next one is computed.
class FixedBatches {
 public:
  /// `f`: (batch, ...) on `device` -> (batch, ...) there, without gradients.
  FixedBatches(int64_t batch, const c10::Device& device, std::function<at::Tensor(const at::Tensor&)> f)
      : batch_(batch), device_(device), f_(std::move(f)) {}

  /// From here on the work is queued as it is: where this object does not live for many batches.
  void never_capture(const std::string& reason);

  /// The results of all rows, one at least, in main memory.
  at::Tensor run(const at::Tensor& rows, const Cancelled& cancelled);

 private:
  /// Puts rows [begin, begin + count) in in_, with zeros after them.
  void fill(const at::Tensor& rows, int64_t begin, int64_t count);
  at::Tensor run_here(const at::Tensor& rows, const Cancelled& cancelled);

  const int64_t batch_;
  const c10::Device device_;
  const std::function<at::Tensor(const at::Tensor&)> f_;
  at::Tensor in_, out_;
#ifdef SAN_NATIVE_CUDA
  at::Tensor run_on_device(const at::Tensor& rows, const Cancelled& cancelled);

  std::optional<c10::cuda::CUDAStream> stream_;
  device::Captured captured_;
  /// Why nothing is captured; empty while nothing speaks against it.
  std::string obstacle_ = device::capture_obstacle();
#endif
};

}  // namespace san
