// Features of images by a network that somebody else trained, for the metrics.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "san/cancelled.h"

namespace san {

struct ExtractorConfig {
  /// A file of torch.jit.save. It is a program: what it may do to this process is not limited.
  std::string path;
  /// Width and height in pixels that images are resized to; 0 for none.
  int64_t size = 0;
  /// What 0 and 255 become.
  std::array<double, 2> range = {0, 255};
};

/// A TorchScript module in evaluation mode, on the processor.
class Extractor {
 public:
  /// Loads the file. Throws ERR_SAN_EXTRACTOR with its path and the reason when it is no TorchScript module.
  explicit Extractor(ExtractorConfig config);
  Extractor(const Extractor&) = delete;
  Extractor& operator=(const Extractor&) = delete;
  ~Extractor();

  /// uint8 (N, H, W, C), N >= 1, C 1 or 3 -> float32 (N, D). The module gets float32 (64, 3, H, W) at a time,
  /// the last one smaller, after bicubic, antialiased resizing that is not clamped to the range. Of an output
  /// (N, D, H, W) the mean over H and W is taken. ERR_SAN_EXTRACTOR when the module fails or gives anything
  /// else.
  at::Tensor features(const at::Tensor& images, const Cancelled& cancelled = {});

  /// Size of the file, which is about that of the weights.
  int64_t bytes() const { return bytes_; }

 private:
  struct Module;
  at::Tensor features_of_batch(const at::Tensor& images);

  ExtractorConfig config_;
  int64_t bytes_ = 0;
  std::unique_ptr<Module> module_;
};

}  // namespace san
