// The skip of a block (spec, section 1: up(x), down(x)) as rows of pixels, and its ATen form.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/norm_act_skip/params.h"

namespace san::ops {

/// How a skip of sizes (B, C, H, W) reaches y's; throws where one height is no multiple of the other.
SkipShape skip_shape(const at::Tensor& skip, const at::Tensor& y);

/// Adds the skip to row `row` (counted over all samples) of y (B H, W, C), W `width` and C `channels`.
template <typename T>
void add_skip_row(const SkipShape& s, const T* skip, T* y, int64_t row, int64_t width, int64_t channels);

/// d skip for an incoming g of y's sizes (B, C, H, W), channels-last: the adjoint of up() or down(). g itself
/// where the skip is y's size.
at::Tensor skip_gradient(const at::Tensor& g, at::IntArrayRef skip_sizes);

/// The skip at (B, channels, height, width), and its adjoint, in ATen calls.
at::Tensor skip_reference(const at::Tensor& skip, int64_t channels, int64_t height);
at::Tensor skip_gradient_reference(const at::Tensor& g, at::IntArrayRef skip_sizes);

}  // namespace san::ops
