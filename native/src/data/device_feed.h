// Batches made on a GPU. CUDA builds only.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/cuda/CUDAStream.h>

#include <array>
#include <cstdint>

#include "data/batch_memory.h"
#include "data/batches.h"
#include "data/prefetch.h"
#include "data/staging.h"

namespace san {

/// The set is on the device, or a batch's images follow from pinned memory. Threads prepare what a batch
/// needs while earlier ones are in use; it is copied on a stream of its own while the device works, and the
/// feed kernel augments it there.
class DeviceFeed {
 public:
  /// Throws ERR_SAN_OUT_OF_MEMORY where the set must be on the device and does not fit, ERR_SAN_DATA_CHANGED.
  DeviceFeed(const Batches& batches, const LoaderConfig& config);
  ~DeviceFeed();
  DeviceFeed(const DeviceFeed&) = delete;
  DeviceFeed& operator=(const DeviceFeed&) = delete;

  /// Brings what the batch of `step` is made of to the device, in the order of the current stream. Waits for
  /// the device only when it is kSlots batches behind.
  void prepare(int64_t step);
  /// That batch, or its rows: (rows, S, S, C) on the device, in the order of the current stream. Reads the
  /// same memory every time, so that it may be captured.
  at::Tensor make() const;

  bool resident() const { return set_.defined(); }
  /// Bytes of pinned memory, at most.
  int64_t bytes() const;

 private:
  static constexpr size_t kSlots = 4;

  /// A batch on its way: copied from `host` to `device`, and from there to current_.
  struct Slot {
    at::Tensor host, device;
    c10::Event copied{c10::DeviceType::CUDA}, consumed{c10::DeviceType::CUDA};
  };

  at::Tensor upload() const;

  const Batches& batches_;
  const c10::Device device_;
  const at::ScalarType dtype_;
  const int64_t rows_;
  /// Undefined where batches bring their pixels.
  at::Tensor set_;
  const StagingLayout layout_;
  c10::cuda::CUDAStream copies_;
  std::array<Slot, kSlots> slots_;
  size_t turn_ = 0;
  at::Tensor current_;
  BatchMemory memory_;
  /// Last, so that its threads end first.
  Prefetch prefetch_;
};

}  // namespace san
