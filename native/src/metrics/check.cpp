#include "metrics/check.h"

#include <ATen/ATen.h>

#include "san/error.h"

namespace san::metrics {
namespace {

void check_set(const at::Tensor& features, const std::string& name, int64_t least) {
  if (features.dim() != 2 || features.size(1) < 1)
    throw Error(kOptions, name + ".shape is " + shape_text(features) + "; it must be [N, D]",
                name + ".shape");
  if (features.size(0) < least)
    throw Error(kOptions,
                name + " holds " + std::to_string(features.size(0)) + " features; at least " +
                    std::to_string(least) + " are needed",
                name + ".shape");
  check_finite(features, name);
}

}  // namespace

void check_features(const at::Tensor& real, const at::Tensor& fake, int64_t least) {
  check_set(real, "real", least);
  check_set(fake, "fake", least);
  if (real.size(1) != fake.size(1))
    throw Error(kOptions,
                "features of " + std::to_string(real.size(1)) + " and " + std::to_string(fake.size(1)) +
                    " numbers cannot be compared",
                "fake.shape");
}

void check_finite(const at::Tensor& tensor, const std::string& name) {
  // A sum would be quicker but can overflow.
  if (!at::isfinite(tensor).all().item<bool>())
    throw Error(kOptions, name + ".data holds a value that is not finite", name + ".data");
}

std::string shape_text(const at::Tensor& tensor) {
  std::string text = "[";
  for (int64_t i = 0; i < tensor.dim(); ++i) text += (i > 0 ? ", " : "") + std::to_string(tensor.size(i));
  return text + "]";
}

}  // namespace san::metrics
