#include "san/images.h"

#include <ATen/ATen.h>

#include "ops/emit/emit.h"

namespace san {

at::Tensor from_bytes(const at::Tensor& bytes, at::ScalarType dtype) {
  // A permuted NHWC tensor is a channels-last NCHW one: nothing is moved.
  return bytes.to(dtype).div_(127.5).sub_(1).permute({0, 3, 1, 2});
}

at::Tensor to_bytes(const at::Tensor& images) { return ops::emit(images); }

}  // namespace san
