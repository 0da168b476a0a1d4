#include "metrics/laplacian_pyramid.h"

#include <ATen/ATen.h>

namespace san::metrics {
namespace {

/// Weights 1 4 6 4 1 over `divisor` along a padded axis.
at::Tensor blur(const at::Tensor& x, int64_t axis, double divisor) {
  const int64_t length = x.size(axis) - 4;
  const auto moved = [&](int64_t by) { return x.narrow(axis, by, length); };
  // Sums of slices rather than a convolution: no library chooses an algorithm by the batch size.
  return (moved(0) + moved(4)).add_(moved(1) + moved(3), 4).add_(moved(2), 6).div_(divisor);
}

at::Tensor blur(const at::Tensor& images, double divisor) {
  // The border pixel itself is not repeated: "mirror" in SciPy, as in the published code.
  return blur(blur(at::reflection_pad2d(images, {2, 2, 2, 2}), 2, divisor), 3, divisor);
}

}  // namespace

at::Tensor pyramid_down(const at::Tensor& images) {
  return blur(images, 16).slice(2, 0, std::nullopt, 2).slice(3, 0, std::nullopt, 2).contiguous();
}

at::Tensor pyramid_up(const at::Tensor& images) {
  at::Tensor spread =
      at::zeros({images.size(0), images.size(1), 2 * images.size(2), 2 * images.size(3)}, images.options());
  spread.slice(2, 0, std::nullopt, 2).slice(3, 0, std::nullopt, 2).copy_(images);
  return blur(spread, 8);
}

}  // namespace san::metrics
