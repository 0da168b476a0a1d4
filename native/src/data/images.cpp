#include "san/images.h"

#include <ATen/ATen.h>

#include "random/random.h"
#include "san/error.h"

namespace san {

at::Tensor from_bytes(const at::Tensor& bytes, at::ScalarType dtype) {
  // A permuted NHWC tensor is a channels-last NCHW one: nothing is moved.
  return bytes.to(dtype).div_(127.5).sub_(1).permute({0, 3, 1, 2});
}

at::Tensor to_bytes(const at::Tensor& images) {
  return ((images.permute({0, 2, 3, 1}) + 1) * 127.5).round().clamp(0, 255).to(at::kByte).contiguous();
}

Dataset::Dataset(ImageSet images, int64_t batch_size, uint64_t seed)
    : images_(std::move(images)), batch_size_(batch_size), seed_(seed) {
  if (size() < batch_size_)
    throw Error(kOptions,
                "batchSize is " + std::to_string(batch_size_) + " but there are only " +
                    std::to_string(size()) + " images; lower batchSize or add images",
                "batchSize");
}

at::Tensor Dataset::batch(int64_t step, at::ScalarType dtype) {
  const int64_t batches = size() / batch_size_;
  const int64_t epoch = step / batches, position = step % batches * batch_size_;
  if (epoch != epoch_) {
    order_ = random::permutation({seed_, random::Stream::order, static_cast<uint64_t>(epoch)}, size());
    epoch_ = epoch;
  }
  images_.check();
  const at::Tensor indices = at::from_blob(order_.data() + position, {batch_size_}, at::kLong);
  return from_bytes(images_.pixels().index_select(0, indices), dtype);
}

}  // namespace san
