// Host entry; params.h has the formula.
#pragma once

#include <ATen/core/Tensor.h>

namespace san::ops {

/// Changes kernels (inputs, outputs, 3, 3) of a transposed convolution of stride 2 in place, by the least
/// that makes their polyphase components sum to the same. float32 or float64, channels-last in the
/// processor's memory, without a graph. SAN_NATIVE_REFERENCE=1 in the environment takes the reference.
void equalise_polyphase(const at::Tensor& kernel);

/// The same, built of ATen calls, on any device and in any memory order. They agree to 1e-6 of the largest
/// value in float32, 1e-14 in float64.
void equalise_polyphase_reference(const at::Tensor& kernel);

}  // namespace san::ops
