#include "san/loader.h"

#include <ATen/ATen.h>

#include <optional>
#include <string>
#include <utility>

#include "data/batch_memory.h"
#include "data/batches.h"
#ifdef SAN_NATIVE_CUDA
#include "data/device_feed.h"
#endif
#include "data/prefetch.h"
#include "ops/feed/feed.h"
#include "ops/reference.h"
#include "san/error.h"
#include "san/images.h"

namespace san {
namespace {

ImageSet checked(ImageSet images, const LoaderConfig& config) {
  config.augmentation.validate();
  const int64_t size = images.pixels().size(1);
  images.expect_shape(size, images.pixels().size(3));
  if (size > ops::kMostFeedSize)
    throw Error(kOptions,
                "images of " + std::to_string(size) + " pixels a side are too large for training; at most " +
                    std::to_string(ops::kMostFeedSize) + " are possible",
                "dataset");
  if (config.residency == Residency::device && config.device.is_cpu())
    throw Error(
        kDevice,
        "dataDevice is 'device', but training runs on the processor; choose a GPU with device, or set "
        "dataDevice to auto or host",
        "dataDevice");
  if (images.size() < config.batch_size)
    throw Error(kOptions,
                "batchSize is " + std::to_string(config.batch_size) + " but there are only " +
                    std::to_string(images.size()) + " images; lower batchSize or add images",
                "batchSize");
  return images;
}

}  // namespace

struct Loader::State {
  State(ImageSet images, const LoaderConfig& config)
      : batches(checked(std::move(images), config), config),
        shape(batches.set().pixels().sizes().vec()),
        dtype(config.dtype),
        // One batch is in use while the others are made.
        memory([this] { return at::empty(shape, dtype); }, static_cast<size_t>(config.workers) + 2),
        prefetch([this](int64_t step, void* out) { batches.make(step, out); },
                 [this] { return memory.take(); }, config.workers) {
    shape[0] = config.rows_made();
#ifdef SAN_NATIVE_CUDA
    if (config.device.is_cuda()) device_feed.emplace(batches, config);
#endif
  }

  void prepare(int64_t step);
  /// (rows, S, S, C)
  at::Tensor prepared() const;

  const Batches batches;
  std::vector<int64_t> shape;
  const at::ScalarType dtype;
  BatchMemory memory;
  /// After what its threads use, so that they end first.
  Prefetch prefetch;
  at::Tensor ready;
#ifdef SAN_NATIVE_CUDA
  /// In the place of the above where batches are on a GPU.
  std::optional<DeviceFeed> device_feed;
#endif
};

Loader::Loader(ImageSet images, LoaderConfig config)
    : state_(std::make_unique<State>(std::move(images), config)) {}

Loader::~Loader() = default;

void Loader::State::prepare(int64_t step) {
#ifdef SAN_NATIVE_CUDA
  if (device_feed) return device_feed->prepare(step);
#endif
  // Its memory may be the next batch's.
  ready.reset();
  ready = ops::use_reference() ? batches.make_reference(step) : prefetch.take(step);
}

at::Tensor Loader::State::prepared() const {
#ifdef SAN_NATIVE_CUDA
  if (device_feed) return device_feed->make();
#endif
  return ready;
}

void Loader::prepare(int64_t step) { state_->prepare(step); }

at::Tensor Loader::prepared() const {
  // A permuted NHWC tensor is a channels-last NCHW one: nothing is moved.
  return state_->prepared().permute({0, 3, 1, 2});
}

at::Tensor Loader::batch(int64_t step) {
  prepare(step);
  return prepared();
}

at::Tensor Loader::images(int64_t epoch, const std::vector<int64_t>& indices) const {
  for (const int64_t index : indices)
    if (index < 0 || index >= set().size())
      throw Error(kOptions,
                  "indices holds " + std::to_string(index) + "; there are " + std::to_string(set().size()) +
                      " images",
                  "indices");
  return to_bytes(state_->batches.images(epoch, indices).permute({0, 3, 1, 2}));
}

const ImageSet& Loader::set() const { return state_->batches.set(); }

int64_t Loader::bytes() const {
#ifdef SAN_NATIVE_CUDA
  if (state_->device_feed) return set().bytes() + state_->device_feed->bytes();
#endif
  int64_t batch = static_cast<int64_t>(at::elementSize(state_->dtype));
  for (const int64_t size : state_->shape) batch *= size;
  return set().bytes() + batch * static_cast<int64_t>(state_->prefetch.depth() + 1);
}

}  // namespace san
