// bilinear() of RPA's gate, built of ATen calls, for gradients that are differentiated again; params.h has
// the formulas.
#pragma once

#include <ATen/core/Tensor.h>

namespace san::ops {

/// s (B, C, h, w) at a height and width, corners not aligned; differentiable to any order.
at::Tensor bilinear(const at::Tensor& s, int64_t height, int64_t width);

/// The adjoint of bilinear() at z (B, C, H, W): (B, C, h, w), differentiable to any order. Two runs give the
/// same bits, on a GPU too.
at::Tensor bilinear_adjoint(const at::Tensor& z, int64_t h, int64_t w);

/// What bilinear_adjoint() is on a GPU, where ATen's own adds with atomics, in an order of each run: products
/// with the matrices of both axes.
at::Tensor bilinear_adjoint_by_products(const at::Tensor& z, int64_t h, int64_t w);

}  // namespace san::ops
