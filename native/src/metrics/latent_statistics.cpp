#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "metrics/check.h"
#include "san/metrics.h"

namespace san {
namespace {

/// Numbers of a Gram matrix held at a time: 32 MiB.
constexpr int64_t kValues = int64_t{1} << 22;

double mean_square(const at::Tensor& x) { return x.square().mean().item<double>(); }

/// Sum of the squares of all entries of X^T X.
double gram_squares(const at::Tensor& x, const Cancelled& cancelled) {
  // X X^T has the same sum; the smaller of the two is taken.
  const at::Tensor rows = x.size(0) < x.size(1) ? x : x.t();
  const int64_t n = rows.size(0), block = std::clamp<int64_t>(kValues / n, 1, n);
  double sum = 0;
  for (int64_t begin = 0; begin < n; begin += block) {
    stop_if(cancelled);
    sum += rows.slice(0, begin, std::min(begin + block, n)).matmul(rows.t()).square_().sum().item<double>();
  }
  return sum;
}

}  // namespace

LatentStatistics latent_statistics(const at::Tensor& latents, const Cancelled& cancelled) {
  if (latents.dim() < 2 || latents.size(0) < 2 || latents.numel() == 0)
    throw Error(kOptions,
                "latents.shape is " + metrics::shape_text(latents) + "; at least two latents are needed",
                "latents.shape");
  metrics::check_finite(latents, "latents");
  at::Tensor x = latents.flatten(1).to(at::kDouble);
  const auto samples = static_cast<double>(x.size(0)), dimensions = static_cast<double>(x.size(1));
  const at::Tensor mean = x.mean(0);
  x = x - mean;
  const at::Tensor variance = x.square().sum(0) / (samples - 1);
  LatentStatistics out{std::sqrt(mean_square(mean)), std::sqrt(mean_square(variance - 1)), 0};
  if (dimensions > 1) {
    const double all = gram_squares(x, cancelled) / ((samples - 1) * (samples - 1));
    const double others = std::max(0.0, all - variance.square().sum().item<double>());
    out.covariance = std::sqrt(others / (dimensions * (dimensions - 1)));
  }
  return out;
}

}  // namespace san
