#include <ATen/ATen.h>

#include <algorithm>

#include "metrics/check.h"
#include "random/random.h"
#include "san/metrics.h"

namespace san {
namespace {

/// Values of the kernel held at a time: 32 MiB.
constexpr int64_t kValues = int64_t{1} << 22;

int64_t block_rows(int64_t columns) { return std::clamp<int64_t>(kValues / columns, 1, 512); }

at::Tensor kernel(const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor base = x.matmul(y.t()).div_(x.size(1)).add_(1);
  return base * base * base;
}

double total(const at::Tensor& values) { return values.sum().item<double>(); }

/// Mean of the kernel over pairs of different rows of x.
double mean_within(const at::Tensor& x, const Cancelled& cancelled) {
  const int64_t n = x.size(0), block = block_rows(n);
  double sum = 0;
  for (int64_t begin = 0; begin < n; begin += block) {
    stop_if(cancelled);
    const int64_t end = std::min(begin + block, n);
    // Symmetric: the square on the diagonal counts once, what is right of it twice.
    const at::Tensor values = kernel(x.slice(0, begin, end), x.slice(0, begin));
    const at::Tensor square = values.narrow(1, 0, end - begin);
    sum += total(square) - total(square.diagonal()) + 2 * total(values.slice(1, end - begin));
  }
  return sum / (static_cast<double>(n) * static_cast<double>(n - 1));
}

double mean_between(const at::Tensor& x, const at::Tensor& y, const Cancelled& cancelled) {
  const int64_t n = x.size(0), block = block_rows(y.size(0));
  double sum = 0;
  for (int64_t begin = 0; begin < n; begin += block) {
    stop_if(cancelled);
    sum += total(kernel(x.slice(0, begin, std::min(begin + block, n)), y));
  }
  return sum / (static_cast<double>(n) * static_cast<double>(y.size(0)));
}

double squared_mmd(const at::Tensor& real, const at::Tensor& fake, const Cancelled& cancelled) {
  const at::Tensor x = real.to(at::kDouble), y = fake.to(at::kDouble);
  return mean_within(x, cancelled) + mean_within(y, cancelled) - 2 * mean_between(x, y, cancelled);
}

at::Tensor subset_of(const at::Tensor& features, int64_t size, const random::Key& key) {
  const auto rows = random::subset(key, features.size(0), size);
  return features.index_select(0, at::tensor(rows, at::kLong));
}

}  // namespace

double kernel_distance(const at::Tensor& real, const at::Tensor& fake, const KernelDistanceConfig& config,
                       const Cancelled& cancelled) {
  metrics::check_features(real, fake, 2);
  if (std::max(real.size(0), fake.size(0)) <= config.subset_size) return squared_mmd(real, fake, cancelled);
  const int64_t size = std::min({config.subset_size, real.size(0), fake.size(0)});
  double sum = 0;
  for (int64_t i = 0; i < config.subsets; ++i) {
    const auto subset = [&](const at::Tensor& features, int64_t side) {
      return subset_of(features, size,
                       {config.seed, random::Stream::metric_subset, static_cast<uint64_t>(2 * i + side)});
    };
    sum += squared_mmd(subset(real, 0), subset(fake, 1), cancelled);
  }
  return sum / static_cast<double>(config.subsets);
}

}  // namespace san
