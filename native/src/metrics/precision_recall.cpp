#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "metrics/check.h"
#include "san/metrics.h"

namespace san {
namespace {

/// Distances held at a time: 32 MiB.
constexpr int64_t kValues = int64_t{1} << 22;
/// Of |x|^2 + |y|^2: above the rounding of a product of thousands of terms, below any difference of float32
/// vectors that could matter.
constexpr double kRounding = 1e-12;

int64_t block_rows(int64_t columns) { return std::clamp<int64_t>(kValues / columns, 1, 1024); }

/// Points in float64 with their squared lengths.
struct Points {
  Points(const at::Tensor& features, const at::Tensor& origin)
      : rows(features.to(at::kDouble) - origin), squares(rows.square().sum(1)) {}
  int64_t count() const { return rows.size(0); }
  at::Tensor rows, squares;
};

/// Squared distances of points begin..end of `a` to all of `b`. |x|^2 + |y|^2 - 2 x.y cancels, which in
/// float64 leaves more than the float32 features hold; equal points are at distance 0, as they would be by
/// differences.
at::Tensor squared_distances(const Points& a, int64_t begin, int64_t end, const Points& b) {
  const at::Tensor lengths = a.squares.slice(0, begin, end).unsqueeze(1) + b.squares;
  at::Tensor out = at::addmm(lengths, a.rows.slice(0, begin, end), b.rows.t(), 1, -2);
  return out.masked_fill_(out < lengths * kRounding, 0);
}

/// Squared distance of each point to its k-th neighbour.
at::Tensor squared_radii(const Points& points, int64_t k, const Cancelled& cancelled) {
  at::Tensor out = at::empty({points.count()}, at::kDouble);
  const int64_t block = block_rows(points.count());
  for (int64_t begin = 0; begin < points.count(); begin += block) {
    stop_if(cancelled);
    const int64_t end = std::min(begin + block, points.count());
    at::Tensor distances = squared_distances(points, begin, end, points);
    distances.diagonal(begin).fill_(std::numeric_limits<double>::infinity());
    out.slice(0, begin, end).copy_(std::get<0>(distances.kthvalue(k, 1)));
  }
  return out;
}

}  // namespace

PrecisionRecall precision_recall(const at::Tensor& real, const at::Tensor& fake, int64_t neighbours,
                                 const Cancelled& cancelled) {
  metrics::check_features(real, fake, neighbours + 1);
  // Distances do not depend on the origin, but rounding does.
  const at::Tensor origin = real.mean(0, false, at::kDouble);
  const Points a(real, origin), b(fake, origin);
  const at::Tensor radii_a = squared_radii(a, neighbours, cancelled),
                   radii_b = squared_radii(b, neighbours, cancelled);
  int64_t fakes_within = 0;
  at::Tensor reals_within = at::zeros({a.count()}, at::kBool);
  const int64_t block = block_rows(a.count());
  for (int64_t begin = 0; begin < b.count(); begin += block) {
    stop_if(cancelled);
    const int64_t end = std::min(begin + block, b.count());
    const at::Tensor distances = squared_distances(b, begin, end, a);
    fakes_within += (distances <= radii_a).any(1).sum().item<int64_t>();
    reals_within |= (distances <= radii_b.slice(0, begin, end).unsqueeze(1)).any(0);
  }
  return {static_cast<double>(fakes_within) / static_cast<double>(b.count()),
          static_cast<double>(reals_within.sum().item<int64_t>()) / static_cast<double>(a.count())};
}

}  // namespace san
