#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "check.h"
#include "san/losses.h"

namespace san::test {
namespace {

double cost_of(const at::Tensor& rows, const at::Tensor& columns, const at::Tensor& assignment) {
  return (rows - columns.index_select(0, assignment)).square().sum().item<double>();
}

/// The least cost of all n! assignments.
double least_cost(const at::Tensor& rows, const at::Tensor& columns) {
  std::vector<int64_t> order(static_cast<size_t>(rows.size(0)));
  std::iota(order.begin(), order.end(), 0);
  double least = std::numeric_limits<double>::infinity();
  do {
    least = std::min(least, cost_of(rows, columns, at::tensor(order, at::kLong)));
  } while (std::next_permutation(order.begin(), order.end()));
  return least;
}

}  // namespace

void assignment_tests() {
  for (const int64_t n : {1, 2, 3, 5, 7}) {
    for (int repeat = 0; repeat < 5; ++repeat) {
      const at::Tensor rows = at::randn({n, 3}, at::kDouble), columns = at::randn({n, 3}, at::kDouble);
      const double found = cost_of(rows, columns, optimal_assignment(rows, columns));
      expect(std::abs(found - least_cost(rows, columns)) < 1e-9, "assignment of " + std::to_string(n));
    }
  }
  // Ties: small integers make many equal costs.
  for (int repeat = 0; repeat < 10; ++repeat) {
    const at::Tensor rows = at::randint(0, 2, {6, 2}).to(at::kDouble),
                     columns = at::randint(0, 2, {6, 2}).to(at::kDouble);
    expect(std::abs(cost_of(rows, columns, optimal_assignment(rows, columns)) - least_cost(rows, columns)) <
               1e-9,
           "assignment with ties");
  }
  const at::Tensor bad = at::full({4, 2}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  expect(optimal_assignment(bad, bad).equal(at::arange(4, at::kLong)), "assignment of NaN ends");
}

}  // namespace san::test
