#include "data/device_feed.h"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>

#include "data/residency.h"
#include "ops/feed/launch.h"
#include "san/device.h"

namespace san {
namespace {

/// Bytes that are copied to the device at once when the set goes there.
constexpr int64_t kUploadPiece = 64 << 20;

int64_t free_memory(c10::Device device) {
  const c10::cuda::CUDAGuard guard(device);
  size_t free = 0, total = 0;
  C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return static_cast<int64_t>(free);
}

}  // namespace

DeviceFeed::DeviceFeed(const Batches& batches, const LoaderConfig& config)
    : batches_(batches),
      device_(config.device),
      dtype_(config.dtype),
      rows_(config.rows_made()),
      set_(stays_on_device(config.residency, batches.set().pixels().numel(), free_memory(config.device))
               ? upload()
               : at::Tensor()),
      layout_(config.rows_made(), set_.defined() ? 0 : batches.set().image_bytes()),
      copies_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, config.device.index())),
      memory_([this] { return at::empty({layout_.bytes}, at::TensorOptions(at::kByte).pinned_memory(true)); },
              static_cast<size_t>(config.workers) + 2 + kSlots),
      prefetch_(
          [this](int64_t step, void* out) { batches_.stage(step, layout_, static_cast<std::byte*>(out)); },
          [this] { return memory_.take(); }, config.workers) {
  const auto room = [this] {
    return at::empty({layout_.bytes}, at::TensorOptions(device_).dtype(at::kByte));
  };
  // Their memory may be that of tensors which the current stream is not done with.
  const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream(device_.index());
  for (Slot& slot : slots_) {
    slot.device = room();
    slot.consumed.record(stream.unwrap());
  }
  current_ = room();
}

DeviceFeed::~DeviceFeed() {
  // Copies read pinned memory and the slots'. Destructors must not throw: after a fault of the device
  // there is nothing to wait for, and the pinned memory cannot be freed.
  try {
    for (const Slot& slot : slots_)
      if (slot.host.defined()) slot.consumed.synchronize();
  } catch (const std::exception&) {
  }
  if (!answers(device_)) memory_.leave();
}

at::Tensor DeviceFeed::upload() const {
  const at::Tensor& pixels = batches_.set().pixels();
  at::Tensor out = at::empty(pixels.sizes(), at::TensorOptions(device_).dtype(at::kByte));
  const int64_t piece = std::max<int64_t>(1, kUploadPiece / batches_.set().image_bytes());
  for (int64_t begin = 0; begin < pixels.size(0); begin += piece) {
    const int64_t count = std::min(piece, pixels.size(0) - begin);
    batches_.set().check();
    out.narrow(0, begin, count).copy_(pixels.narrow(0, begin, count));
  }
  return out;
}

void DeviceFeed::prepare(int64_t step) {
  const c10::cuda::CUDAGuard guard(device_);
  const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream(device_.index());
  Slot& slot = slots_[turn_];
  // Its memory on the host goes back to the pool.
  if (slot.host.defined()) slot.copied.synchronize();
  at::Tensor staged = prefetch_.take(step);
  {
    const c10::cuda::CUDAStreamGuard on(copies_);
    slot.consumed.block(copies_.unwrap());
    slot.device.copy_(staged, /*non_blocking=*/true);
    slot.copied.record(copies_.unwrap());
  }
  slot.host = std::move(staged);
  slot.copied.block(stream.unwrap());
  current_.copy_(slot.device, /*non_blocking=*/true);
  slot.consumed.record(stream.unwrap());
  turn_ = (turn_ + 1) % kSlots;
}

at::Tensor DeviceFeed::make() const {
  const c10::cuda::CUDAGuard guard(device_);
  const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream(device_.index());
  const at::Tensor& pixels = batches_.set().pixels();
  at::Tensor out = at::empty({rows_, pixels.size(1), pixels.size(2), pixels.size(3)},
                             at::TensorOptions(device_).dtype(dtype_));
  const auto* base = current_.const_data_ptr<uint8_t>();
  const uint8_t* images = base + layout_.images;
  const auto feed = [&]<typename T>(T* to) {
    ops::launch_feed(
        ops::FeedParams<T>{resident() ? set_.const_data_ptr<uint8_t>() : images, pixels.size(1),
                           pixels.size(3), resident() ? reinterpret_cast<const int64_t*>(images) : nullptr,
                           reinterpret_cast<const ops::FeedTransform*>(base), rows_, to},
        stream);
  };
  if (dtype_ == at::kDouble)
    feed(out.mutable_data_ptr<double>());
  else if (dtype_ == at::kBFloat16)
    feed(static_cast<ops::cuda::Bf16*>(out.mutable_data_ptr()));
  else
    feed(out.mutable_data_ptr<float>());
  return out;
}

int64_t DeviceFeed::bytes() const {
  return layout_.bytes * static_cast<int64_t>(prefetch_.depth() + 1 + kSlots);
}

}  // namespace san
