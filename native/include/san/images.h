// Between 8-bit images and the networks' tensors, and the training set in memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "san/image_set.h"

namespace san {

/// uint8 (B, H, W, C) -> (B, C, H, W) in [-1, 1], channels-last: v / 127.5 - 1.
at::Tensor from_bytes(const at::Tensor& bytes, at::ScalarType dtype);

/// (B, C, H, W) in [-1, 1] -> uint8 (B, H, W, C), rounded to nearest.
at::Tensor to_bytes(const at::Tensor& images);

/// Images served in a seeded order: every image once an epoch, a last partial batch dropped.
class Dataset {
 public:
  /// At least batch_size images.
  Dataset(ImageSet images, int64_t batch_size, uint64_t seed);

  /// The batch of step `step` (from 0), a function of seed and step alone: (B, C, H, W) in [-1, 1].
  at::Tensor batch(int64_t step, at::ScalarType dtype);

  int64_t size() const { return images_.size(); }
  int64_t bytes() const { return images_.bytes(); }

 private:
  ImageSet images_;
  int64_t batch_size_;
  uint64_t seed_;
  int64_t epoch_ = -1;
  std::vector<int64_t> order_;
};

}  // namespace san
