// What the metrics ask of their arguments. Each check throws ERR_SAN_OPTIONS with the argument's name.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace san::metrics {

/// Two sets of finite features of one length, at least `least` in each.
void check_features(const at::Tensor& real, const at::Tensor& fake, int64_t least);

/// No value of `tensor` is infinite or NaN.
void check_finite(const at::Tensor& tensor, const std::string& name);

/// "[2, 3]".
std::string shape_text(const at::Tensor& tensor);

}  // namespace san::metrics
