// Training images: in memory, or in a .npy file that is mapped.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

namespace san {

class MappedFile;

/// Images of one size, uint8 (N, H, W, C). Copies share them.
class ImageSet {
 public:
  /// uint8 (N, H, W, C) in memory.
  explicit ImageSet(at::Tensor pixels);

  /// Maps the uint8 array (N, H, W, C), or (N, H, W) for grey, of a .npy file in C order; the file is read
  /// when and where its images are used, and must stay as it is until then.
  /// Throws ERR_SAN_DATA_NOT_FOUND when it cannot be opened, ERR_SAN_DATA_FORMAT when it is not such a file,
  /// whole.
  static ImageSet map(const std::string& path);

  const at::Tensor& pixels() const { return pixels_; }
  int64_t size() const { return pixels_.size(0); }
  /// Bytes of one image.
  int64_t image_bytes() const { return pixels_.numel() / pixels_.size(0); }
  /// Bytes in memory of its own: none when mapped.
  int64_t bytes() const { return file_ ? 0 : static_cast<int64_t>(pixels_.nbytes()); }

  /// Throws ERR_SAN_DATA_CHANGED when the mapped file has become shorter, for then reading it would end the
  /// process (SIGBUS). To be called before each use; a file that shrinks in the moment between still ends it.
  void check() const;

  /// Throws ERR_SAN_SHAPE unless the images are (size, size, channels).
  void expect_shape(int64_t size, int64_t channels) const;

 private:
  at::Tensor pixels_;
  std::shared_ptr<const MappedFile> file_;
};

}  // namespace san
