#include "data/batches.h"

#include <ATen/ATen.h>

#include <cstring>

#include "data/augmentation.h"
#include "random/random.h"

namespace san {

Batches::Batches(ImageSet images, const LoaderConfig& config)
    : images_(std::move(images)), config_(config), augments_(config.augmentation.any()) {}

ops::FeedSource Batches::source() const {
  const at::Tensor& pixels = images_.pixels();
  return {pixels.const_data_ptr<uint8_t>(), pixels.size(1), pixels.size(3)};
}

Batches::Order Batches::order(int64_t epoch) const {
  const std::lock_guard lock(mutex_);
  const size_t place = static_cast<size_t>(epoch % 2);
  if (epochs_[place] != epoch) {
    orders_[place] = std::make_shared<const std::vector<int64_t>>(random::permutation(
        {config_.seed, random::Stream::order, static_cast<uint64_t>(epoch)}, images_.size()));
    epochs_[place] = epoch;
  }
  return orders_[place];
}

std::vector<ops::FeedTransform> Batches::transforms(int64_t epoch,
                                                    const std::vector<int64_t>& indices) const {
  std::vector<ops::FeedTransform> out(indices.size());
  if (!augments_) return out;
  const uint64_t first = static_cast<uint64_t>(epoch) * static_cast<uint64_t>(images_.size());
  for (size_t i = 0; i < indices.size(); ++i)
    out[i] = draw_transform(config_.augmentation, images_.pixels().size(1), config_.seed,
                            first + static_cast<uint64_t>(indices[i]));
  return out;
}

Batches::Batch Batches::batch(int64_t step) const {
  const int64_t batches = images_.size() / config_.batch_size;
  const int64_t epoch = step / batches, position = step % batches * config_.batch_size;
  const Order order = this->order(epoch);
  const auto begin = order->begin() + position + config_.first_row;
  Batch out{{begin, begin + config_.rows_made()}, {}};
  out.transforms = transforms(epoch, out.indices);
  return out;
}

void Batches::make(int64_t step, void* out) const {
  const auto [indices, transforms] = batch(step);
  images_.check();
  if (config_.dtype == at::kDouble)
    ops::feed(source(), indices, transforms, static_cast<double*>(out));
  else
    ops::feed(source(), indices, transforms, static_cast<float*>(out));
}

at::Tensor Batches::make_reference(int64_t step) const {
  const auto [indices, transforms] = batch(step);
  images_.check();
  return ops::feed_reference(images_.pixels(), indices, transforms, config_.dtype);
}

void Batches::stage(int64_t step, const StagingLayout& layout, std::byte* out) const {
  const auto [indices, transforms] = batch(step);
  std::memcpy(out, transforms.data(), transforms.size() * sizeof(ops::FeedTransform));
  if (!layout.carries_pixels()) {
    std::memcpy(out + layout.images, indices.data(), indices.size() * sizeof(int64_t));
    return;
  }
  images_.check();
  const uint8_t* pixels = source().pixels;
  for (size_t i = 0; i < indices.size(); ++i)
    std::memcpy(out + layout.images + static_cast<int64_t>(i) * layout.image_bytes,
                pixels + indices[i] * layout.image_bytes, static_cast<size_t>(layout.image_bytes));
}

at::Tensor Batches::images(int64_t epoch, const std::vector<int64_t>& indices) const {
  images_.check();
  const at::Tensor& pixels = images_.pixels();
  at::Tensor out = at::empty(
      {static_cast<int64_t>(indices.size()), pixels.size(1), pixels.size(2), pixels.size(3)}, at::kFloat);
  ops::feed(source(), indices, transforms(epoch, indices), out.mutable_data_ptr<float>());
  return out;
}

}  // namespace san
