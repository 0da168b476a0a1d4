#pragma once

#include <ATen/ATen.h>

namespace san::losses {

/// ||x_i - y_j||^2 of (N, D) and (M, D): (N, M). By the expanded square, so its gradient exists where x_i =
/// y_j.
inline at::Tensor squared_distances(const at::Tensor& x, const at::Tensor& y) {
  return x.square().sum(1, /*keepdim=*/true) + y.square().sum(1).unsqueeze(0) - 2 * x.matmul(y.t());
}

}  // namespace san::losses
