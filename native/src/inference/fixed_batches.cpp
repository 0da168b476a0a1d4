#include "inference/fixed_batches.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#ifdef SAN_NATIVE_CUDA
#include <c10/core/Event.h>
#include <c10/cuda/CUDAGuard.h>

#include "san/device.h"
#endif

namespace san {
namespace {

/// As many of `like`'s rows as are asked for, in main memory.
at::Tensor room_for(int64_t rows, const at::Tensor& like, bool pinned) {
  std::vector<int64_t> sizes = like.sizes().vec();
  sizes[0] = rows;
  return at::empty(sizes, at::TensorOptions(like.scalar_type()).pinned_memory(pinned));
}

}  // namespace

void FixedBatches::fill(const at::Tensor& rows, int64_t begin, int64_t count) {
  if (!in_.defined()) {
    std::vector<int64_t> sizes = rows.sizes().vec();
    sizes[0] = batch_;
    in_ = at::empty(sizes, rows.options().device(device_));
  }
  in_.narrow(0, 0, count).copy_(rows.narrow(0, begin, count), /*non_blocking=*/true);
  if (count < batch_) in_.narrow(0, count, batch_ - count).zero_();
}

void FixedBatches::never_capture([[maybe_unused]] const std::string& reason) {
#ifdef SAN_NATIVE_CUDA
  obstacle_ = reason;
#endif
}

at::Tensor FixedBatches::run(const at::Tensor& rows, const Cancelled& cancelled) {
#ifdef SAN_NATIVE_CUDA
  if (device_.is_cuda()) return run_on_device(rows, cancelled);
#endif
  return run_here(rows, cancelled);
}

at::Tensor FixedBatches::run_here(const at::Tensor& rows, const Cancelled& cancelled) {
  at::Tensor result;
  for (int64_t begin = 0; begin < rows.size(0); begin += batch_) {
    stop_if(cancelled);
    const int64_t count = std::min(batch_, rows.size(0) - begin);
    fill(rows, begin, count);
    out_ = f_(in_);
    if (!result.defined()) result = room_for(rows.size(0), out_, /*pinned=*/false);
    result.narrow(0, begin, count).copy_(out_.narrow(0, 0, count));
  }
  return result;
}

#ifdef SAN_NATIVE_CUDA
at::Tensor FixedBatches::run_on_device(const at::Tensor& rows, const Cancelled& cancelled) {
  const c10::cuda::CUDAGuard on(device_);
  // One of its own to capture on; memory is kept for each stream apart, so that otherwise the current one
  // does.
  if (!stream_)
    stream_ = obstacle_.empty() ? c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device_.index())
                                : c10::cuda::getCurrentCUDAStream(device_.index());
  c10::cuda::getCurrentCUDAStream(device_.index()).synchronize();
  const c10::cuda::CUDAStreamGuard on_own_stream(*stream_);

  /// A batch on its way to main memory.
  struct Slot {
    explicit Slot(const c10::Device& device_) : device(device_) {}
    ~Slot() {
      if (host.defined() && !answers(device)) static_cast<void>(host.unsafeReleaseTensorImpl());
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

    const c10::Device& device;
    at::Tensor host;
    c10::Event arrived{c10::DeviceType::CUDA};
    int64_t begin = 0, count = 0;
  };
  std::array<Slot, 2> slots{Slot(device_), Slot(device_)};
  at::Tensor result;
  const auto unload = [&](Slot& slot) {
    if (slot.count == 0) return;
    slot.arrived.synchronize();
    result.narrow(0, slot.begin, slot.count).copy_(slot.host.narrow(0, 0, slot.count));
    slot.count = 0;
  };
  size_t turn = 0;
  for (int64_t begin = 0; begin < rows.size(0); begin += batch_) {
    stop_if(cancelled);
    const int64_t count = std::min(batch_, rows.size(0) - begin);
    fill(rows, begin, count);
    captured_.queue([&] { out_ = f_(in_); }, obstacle_);
    Slot& slot = slots[turn];
    turn = (turn + 1) % slots.size();
    if (!result.defined()) result = room_for(rows.size(0), out_, /*pinned=*/false);
    unload(slot);
    if (!slot.host.defined()) slot.host = room_for(batch_, out_, /*pinned=*/true);
    slot.host.copy_(out_, /*non_blocking=*/true);
    slot.arrived.record(stream_->unwrap());
    slot.begin = begin;
    slot.count = count;
  }
  for (size_t i = 0; i < slots.size(); ++i) unload(slots[(turn + i) % slots.size()]);
  return result;
}
#endif

}  // namespace san
