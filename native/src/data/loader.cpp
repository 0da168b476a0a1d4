#include "san/loader.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>

#include "data/batches.h"
#include "data/prefetch.h"
#include "ops/reference.h"
#include "san/error.h"
#include "san/images.h"

namespace san {
namespace {

ImageSet checked(ImageSet images, const LoaderConfig& config) {
  config.augmentation.validate();
  images.expect_shape(images.pixels().size(1), images.pixels().size(3));
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
        prefetch([this](int64_t step, void* out) { batches.make(step, out); }, [this] { return memory(); },
                 config.workers) {
    shape[0] = config.rows_made();
  }

  /// Memory for a batch: that of one which nobody holds any more, so that in the steady state none is
  /// allocated.
  at::Tensor memory() {
    for (const at::Tensor& tensor : pool)
      if (tensor.storage().use_count() == 1) return tensor.alias();
    at::Tensor fresh = at::empty(shape, dtype);
    // One batch is in use while the others are made.
    if (pool.size() < prefetch.depth() + 1) pool.push_back(fresh);
    return fresh.alias();
  }

  const Batches batches;
  std::vector<int64_t> shape;
  const at::ScalarType dtype;
  std::vector<at::Tensor> pool;
  /// Last, so that its threads end first.
  Prefetch prefetch;
};

Loader::Loader(ImageSet images, LoaderConfig config)
    : state_(std::make_unique<State>(std::move(images), config)) {}

Loader::~Loader() = default;

at::Tensor Loader::batch(int64_t step) {
  const at::Tensor rows =
      ops::use_reference() ? state_->batches.make_reference(step) : state_->prefetch.take(step);
  // A permuted NHWC tensor is a channels-last NCHW one: nothing is moved.
  return rows.permute({0, 3, 1, 2});
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
  int64_t batch = static_cast<int64_t>(at::elementSize(state_->dtype));
  for (const int64_t size : state_->shape) batch *= size;
  return set().bytes() + batch * static_cast<int64_t>(state_->prefetch.depth() + 1);
}

}  // namespace san
