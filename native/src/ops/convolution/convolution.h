// Host entry; params.h has the formulas.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/convolution/params.h"

namespace san::ops {

/// x (B, C, H, W) by w (D, C, kh, kw): (B, D, H', W'), on any device and of any type that LibTorch convolves,
/// differentiable to any order. bias (D) may be undefined.
at::Tensor convolution(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                       const ConvolutionShape& shape);

/// LibTorch's own. Values and first derivatives are the same bits, second ones agree to 1e-13 of the largest
/// value in float64, 1e-5 in float32.
at::Tensor convolution_reference(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                                 const ConvolutionShape& shape);

}  // namespace san::ops
