#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <tuple>

#include "losses/pairwise.h"
#include "san/losses.h"

namespace san {
namespace {

at::Tensor project(const at::Tensor& flat, const Directions& directions) {
  const at::Tensor projected = flat.matmul(directions.random);
  if (directions.axes == 0) return projected;
  return at::cat({flat.narrow(1, directions.first_axis, directions.axes), projected}, 1);
}

at::Tensor sorted(const at::Tensor& projections) { return std::get<0>(projections.sort(0)); }

/// q_k = InverseNormalCDF((k - 1/2) / B), k = 1..B, as a column.
at::Tensor quantiles_of(int64_t n) {
  const at::Tensor p = (at::arange(n, at::kDouble) + 0.5) / n;
  return at::special_ndtri(p).unsqueeze(1);
}

/// In the type and on the device of `like`. A GPU gets them once: LibTorch would compile ndtri() there at its
/// first use, and a captured step reads what stays where it is.
at::Tensor normal_quantiles(const at::Tensor& like) {
  const int64_t n = like.size(0);
  if (like.is_cpu()) return quantiles_of(n).to(like.scalar_type());
  static std::mutex mutex;
  // Never destroyed: at exit the device's library may be gone before.
  static auto* kept = new std::map<std::tuple<int64_t, at::ScalarType, c10::DeviceIndex>, at::Tensor>();
  const std::lock_guard lock(mutex);
  at::Tensor& column = (*kept)[{n, like.scalar_type(), like.device().index()}];
  if (!column.defined()) column = quantiles_of(n).to(like.options());
  return column;
}

/// Entropic transport cost with the plan held constant in the gradient.
at::Tensor transport_cost(const at::Tensor& x, const at::Tensor& y, double epsilon, int64_t iterations) {
  const at::Tensor cost = losses::squared_distances(x, y) / static_cast<double>(x.size(1));
  at::Tensor plan;
  {
    const at::NoGradGuard no_grad;
    const double log_weight = -std::log(static_cast<double>(x.size(0)));
    at::Tensor f = at::zeros({x.size(0)}, x.options());
    at::Tensor g = at::zeros({y.size(0)}, x.options());
    for (int64_t i = 0; i < iterations; ++i) {
      f = at::logsumexp((g.unsqueeze(0) - cost) / epsilon + log_weight, 1) * -epsilon;
      g = at::logsumexp((f.unsqueeze(1) - cost) / epsilon + log_weight, 0) * -epsilon;
    }
    plan = ((f.unsqueeze(1) + g.unsqueeze(0) - cost) / epsilon + 2 * log_weight).exp();
  }
  return (plan * cost).sum();
}

}  // namespace

Directions Directions::part(int64_t first, int64_t last) const {
  const int64_t from = std::min(first, axes), to = std::min(last, axes);
  return {random.narrow(1, first - from, (last - to) - (first - from)), to - from, first_axis + from};
}

at::Tensor wasserstein_distance(const LossConfig& config, const at::Tensor& a, const at::Tensor& b,
                                const Directions& directions) {
  const at::Tensor x = a.flatten(1), y = b.flatten(1);
  switch (config.estimator) {
    case Estimator::normal:
      return (sorted(project(x, directions)) - normal_quantiles(x)).square().mean();
    case Estimator::sliced:
      return (sorted(project(x, directions)) - sorted(project(y, directions))).square().mean();
    case Estimator::dual:
      return project(x - y, directions).mean(0).abs().mean();
    case Estimator::sinkhorn:
      break;
  }
  const auto cost = [&](const at::Tensor& p, const at::Tensor& q) {
    return transport_cost(p, q, config.sinkhorn_epsilon, config.sinkhorn_iterations);
  };
  return cost(x, y) - (cost(x, x) + cost(y, y)) / 2;
}

}  // namespace san
