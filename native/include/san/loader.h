// Batches of training images, made ahead of their use.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "san/augmentation.h"
#include "san/image_set.h"

namespace san {

/// Where a run on a GPU keeps its images: there, in main memory, or there if they take no more than a quarter
/// of what is free.
enum class Residency { automatic, device, host };

struct LoaderConfig {
  /// Of the whole batch.
  int64_t batch_size = 1;
  /// The rows [first_row, first_row + rows) of it that are made; all from first_row on when rows is 0.
  int64_t first_row = 0, rows = 0;
  /// Keys the order of the images and their augmentation.
  uint64_t seed = 0;
  AugmentationConfig augmentation;
  /// Float32, or float64 for tests.
  at::ScalarType dtype = at::kFloat;
  /// Threads that make batches. Their number changes no bit of them.
  int workers = 1;
  /// Where batches are made and handed out.
  c10::Device device{c10::kCPU};
  Residency residency = Residency::automatic;

  int64_t rows_made() const { return rows > 0 ? rows : batch_size - first_row; }
};

/// Serves images in a seeded order: every image once an epoch, a last partial batch dropped. Batch t is a
/// function of seed and t alone. While one is in use the next ones are being made on other threads, which
/// touch neither ATen nor this object's owner.
///
/// For one thread at a time, the same as that of the destructor or another.
class Loader {
 public:
  /// Square images, batch_size of them at least. Throws ERR_SAN_OPTIONS, ERR_SAN_SHAPE; ERR_SAN_DEVICE where
  /// they must be on a GPU and batches are not; ERR_SAN_OUT_OF_MEMORY where they do not fit there.
  Loader(ImageSet images, LoaderConfig config);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The batch of step `step` (from 0), or its rows: (rows, C, S, S) in [-1, 1], channels-last. Fastest in
  /// ascending order. Throws ERR_SAN_DATA_CHANGED.
  at::Tensor batch(int64_t step);

  /// batch() in two parts. On a GPU prepare() brings what the batch is made of to a place that stays the
  /// same, and prepared() makes it there, by work of the device alone, so that it may be captured.
  void prepare(int64_t step);
  at::Tensor prepared() const;

  /// Images `indices` as they are in epoch `epoch`: uint8 (n, S, S, C). Throws ERR_SAN_DATA_CHANGED.
  at::Tensor images(int64_t epoch, const std::vector<int64_t>& indices) const;

  const ImageSet& set() const;
  /// Main memory held by images and batches, in bytes; of a mapped file nothing.
  int64_t bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace san
