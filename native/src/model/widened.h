// bfloat16 on the processor: numbers are bfloat16, arithmetic float32, as in a GPU's kernels and multipliers.
#pragma once

#include <ATen/ATen.h>

namespace san::layers {

/// op(wide), whose argument turns a tensor into what the operation is to take; the result has x's dtype. Own
/// code, since the processor's operations are of float32 and float64, and LibTorch's bfloat16 convolutions
/// there are slow without instructions for them and leave garbage in the weight gradients of 1x1 images (seen
/// in 2.13).
template <typename Op>
at::Tensor widened(const at::Tensor& x, const Op& op) {
  const bool widens = x.scalar_type() == at::kBFloat16 && x.is_cpu();
  return op([widens](const at::Tensor& t) { return widens && t.defined() ? t.to(at::kFloat) : t; })
      .to(x.scalar_type());
}

}  // namespace san::layers
