#include "san/image_set.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "data/npy.h"
#include "san/error.h"

namespace san {
namespace {

std::string reason_of(int error) { return std::generic_category().message(error); }

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw Error(kDataFormat,
              "the data " + path + " cannot be used: it " + what +
                  "; it must be a .npy file of uint8 images (N, H, W, C) or (N, H, W) in C order",
              path);
}

std::string text_of(at::IntArrayRef shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "(" + text + ")";
}

}  // namespace

/// A file that is mapped for reading, whole, and kept open to see whether it shrinks.
class MappedFile {
 public:
  explicit MappedFile(std::string path) : path_(std::move(path)) {
    // Not blocking: opening a pipe would wait for a writer.
    descriptor_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor_ < 0)
      throw Error(kDataNotFound, "cannot open the data " + path_ + ": " + reason_of(errno), path_);
    try {
      map();
    } catch (...) {
      close(descriptor_);
      throw;
    }
  }

  ~MappedFile() {
    munmap(data_, size_);
    close(descriptor_);
  }

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  char* data() const { return static_cast<char*>(data_); }
  size_t size() const { return size_; }

  void check() const {
    const size_t now = current_size();
    if (now < size_)
      throw Error(kDataChanged,
                  "the data " + path_ + " has become shorter while in use: " + std::to_string(now) +
                      " bytes, were " + std::to_string(size_) + "; restore it and resume",
                  path_);
  }

 private:
  size_t current_size() const {
    struct stat status {};
    if (fstat(descriptor_, &status) != 0)
      throw Error(kDataNotFound, "cannot look at the data " + path_ + ": " + reason_of(errno), path_);
    if (!S_ISREG(status.st_mode)) refuse(path_, "is not a file");
    return static_cast<size_t>(status.st_size);
  }

  void map() {
    size_ = current_size();
    if (size_ == 0) refuse(path_, "is empty");
    data_ = mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor_, 0);
    if (data_ == MAP_FAILED)
      throw Error(errno == ENOMEM ? kOutOfMemory : kDataNotFound,
                  "cannot map the data " + path_ + ": " + reason_of(errno), path_);
  }

  const std::string path_;
  int descriptor_ = -1;
  void* data_ = nullptr;
  size_t size_ = 0;
};

ImageSet::ImageSet(at::Tensor pixels) : pixels_(std::move(pixels)) {}

ImageSet ImageSet::map(const std::string& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  npy::Header header;
  try {
    header = npy::parse({file->data(), std::min(file->size(), npy::kLongestHeader)});
  } catch (const npy::HeaderError& error) {
    refuse(path, error.what());
  }
  // A byte has no order, but some writers give it one.
  const std::string_view type = header.descr.substr(header.descr.find_first_of("|<>=") == 0 ? 1 : 0);
  if (type != "u1") refuse(path, "holds elements of type '" + std::string(header.descr) + "', not uint8");
  std::vector<int64_t>& shape = header.shape;
  if (header.fortran_order) refuse(path, "is in Fortran order");
  if (shape.size() == 3) shape.push_back(1);
  if (shape.size() != 4) refuse(path, "has the shape " + text_of(shape));
  int64_t bytes = 1;
  for (const int64_t size : shape)
    if (size < 1 || __builtin_mul_overflow(bytes, size, &bytes))
      refuse(path, "has the shape " + text_of(shape));
  if (file->size() - header.size != static_cast<size_t>(bytes))
    refuse(path, "has " + std::to_string(file->size() - header.size) + " bytes after its header; its shape " +
                     text_of(shape) + " needs " + std::to_string(bytes));
  // The file is mapped for reading: nothing may write to this tensor.
  ImageSet set(at::from_blob(
      file->data() + header.size, shape, [file](void*) {}, at::kByte));
  set.file_ = file;
  return set;
}

void ImageSet::check() const {
  if (file_) file_->check();
}

void ImageSet::expect_shape(int64_t size, int64_t channels) const {
  if (pixels_.size(1) == size && pixels_.size(2) == size && pixels_.size(3) == channels) return;
  const std::string side = std::to_string(size);
  throw Error(kShape, (file_ ? "the data " + file_->path() + " has" : std::string("the images have")) +
                          " the shape " + text_of(pixels_.sizes()) + "; this model takes (N, " + side + ", " +
                          side + ", " + std::to_string(channels) + ")");
}

}  // namespace san
