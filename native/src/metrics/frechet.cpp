#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "metrics/check.h"
#include "san/metrics.h"

namespace san {
namespace {

/// Mean and covariance of a set, the latter as factor^T factor.
struct Moments {
  /// (D).
  at::Tensor mean;
  /// (min(N, D), D).
  at::Tensor factor;
  /// Of the covariance.
  double trace = 0;
};

/// Calls f on blocks of rows in float64.
template <typename F>
void for_blocks(const at::Tensor& rows, int64_t block, const Cancelled& cancelled, const F& f) {
  for (int64_t begin = 0; begin < rows.size(0); begin += block) {
    stop_if(cancelled);
    f(rows.slice(0, begin, std::min(begin + block, rows.size(0))).to(at::kDouble));
  }
}

Moments moments_of(const at::Tensor& features, const Cancelled& cancelled) {
  const int64_t count = features.size(0), length = features.size(1);
  // Half as much again as one QR of everything costs, but it can be stopped, and memory does not grow with N.
  const int64_t block = std::max<int64_t>(1024, 2 * length);
  Moments out;
  out.mean = at::zeros({length}, at::kDouble);
  for_blocks(features, block, cancelled, [&](const at::Tensor& rows) { out.mean += rows.sum(0); });
  out.mean /= count;
  for_blocks(features, block, cancelled, [&](const at::Tensor& rows) {
    const at::Tensor centred = (rows - out.mean) / std::sqrt(static_cast<double>(count - 1));
    out.trace += centred.square().sum().item<double>();
    out.factor = out.factor.defined() ? at::cat({out.factor, centred}) : centred;
    // X = Q R has the same X^T X as R.
    if (out.factor.size(0) > length) out.factor = std::get<1>(at::linalg_qr(out.factor, "r"));
  });
  return out;
}

}  // namespace

double frechet_distance(const at::Tensor& real, const at::Tensor& fake, const Cancelled& cancelled) {
  metrics::check_features(real, fake, 2);
  const Moments a = moments_of(real, cancelled), b = moments_of(fake, cancelled);
  stop_if(cancelled);
  // The eigenvalues of S1 S2 are the squared singular values of R1 R2^T. Taking roots of eigenvalues instead
  // would turn a rounding error e of a zero one into sqrt(e), for every dimension beyond the rank.
  const double root = at::linalg_svdvals(a.factor.matmul(b.factor.t())).sum().item<double>();
  const double means = (a.mean - b.mean).square().sum().item<double>();
  return std::max(0.0, means + a.trace + b.trace - 2 * root);
}

}  // namespace san
