#include <ATen/ATen.h>

#include "san/losses.h"

namespace san {

at::Tensor image_error(const at::Tensor& a, const at::Tensor& b, const std::vector<double>& scales) {
  at::Tensor difference = a - b, sum;
  for (size_t s = 0; s < scales.size(); ++s) {
    // Averaging is linear: the difference of the averages is the average of the difference.
    if (s > 0)
      difference = at::avg_pool2d(difference, {2, 2}, {2, 2}, {0, 0}, /*ceil_mode=*/true,
                                  /*count_include_pad=*/false);
    if (scales[s] == 0) continue;
    at::Tensor term = difference.square().mean();
    if (scales[s] != 1) term = scales[s] * term;
    sum = sum.defined() ? sum + term : term;
  }
  return sum.defined() ? sum : (difference * 0).mean();
}

}  // namespace san
