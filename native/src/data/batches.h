// Which images a batch holds, what becomes of each, and their values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "data/staging.h"
#include "ops/feed/feed.h"
#include "san/image_set.h"
#include "san/loader.h"

namespace san {

/// Makes batches from a function of seed and step. For any number of threads at once.
class Batches {
 public:
  Batches(ImageSet images, const LoaderConfig& config);

  /// Writes the rows of the batch of `step`, (rows, S, S, C) of float or double, as the dtype says, to `out`.
  /// Uses no ATen.
  void make(int64_t step, void* out) const;
  /// The same by ATen.
  at::Tensor make_reference(int64_t step) const;
  /// Writes what a GPU makes the batch of `step` from to `out`, layout.bytes of it. Uses no ATen.
  void stage(int64_t step, const StagingLayout& layout, std::byte* out) const;
  /// Images `indices` in `epoch`: (n, S, S, C) in [-1, 1], float32.
  at::Tensor images(int64_t epoch, const std::vector<int64_t>& indices) const;

  const ImageSet& set() const { return images_; }

 private:
  struct Batch {
    std::vector<int64_t> indices;
    std::vector<ops::FeedTransform> transforms;
  };
  using Order = std::shared_ptr<const std::vector<int64_t>>;

  Batch batch(int64_t step) const;
  std::vector<ops::FeedTransform> transforms(int64_t epoch, const std::vector<int64_t>& indices) const;
  /// The order of an epoch. It is drawn on the thread that needs it first, so that no step waits for the
  /// shuffling of a large set; the orders of two epochs are kept, since threads are in both at an epoch's
  /// end.
  Order order(int64_t epoch) const;
  ops::FeedSource source() const;

  const ImageSet images_;
  const LoaderConfig config_;
  const bool augments_;

  mutable std::mutex mutex_;
  mutable int64_t epochs_[2] = {-1, -1};
  mutable Order orders_[2];
};

}  // namespace san
