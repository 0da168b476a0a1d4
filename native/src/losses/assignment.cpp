// Linear assignment by shortest augmenting paths (Jonker and Volgenant 1987; in the form of Crouse 2016),
// O(B^3).
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <limits>
#include <vector>

#include "losses/pairwise.h"
#include "san/losses.h"

namespace san {
namespace {

constexpr size_t kNone = std::numeric_limits<size_t>::max();

/// Row i's column in the assignment of least total cost; `cost` is n x n, row-major.
std::vector<size_t> assign(const double* cost, size_t n) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> row_price(n, 0), column_price(n, 0), shortest(n);
  std::vector<size_t> column_of(n, kNone), row_of(n, kNone), previous(n);
  std::vector<char> row_seen(n), column_seen(n);

  for (size_t start = 0; start < n; ++start) {
    std::fill(shortest.begin(), shortest.end(), kInfinity);
    std::fill(row_seen.begin(), row_seen.end(), 0);
    std::fill(column_seen.begin(), column_seen.end(), 0);
    double reached = 0;
    size_t row = start, end = kNone;
    while (end == kNone) {
      row_seen[row] = 1;
      double least = kInfinity;
      size_t next = kNone;
      for (size_t j = 0; j < n; ++j) {
        if (column_seen[j]) continue;
        const double through = reached + cost[row * n + j] - row_price[row] - column_price[j];
        if (through < shortest[j]) {
          shortest[j] = through;
          previous[j] = row;
        }
        // Among equals an unassigned column ends the search at once.
        if (next == kNone || shortest[j] < least || (shortest[j] == least && row_of[j] == kNone)) {
          least = shortest[j];
          next = j;
        }
      }
      reached = least;
      column_seen[next] = 1;
      if (row_of[next] == kNone) {
        end = next;
      } else {
        row = row_of[next];
      }
    }
    row_price[start] += reached;
    for (size_t i = 0; i < n; ++i)
      if (row_seen[i] && i != start) row_price[i] += reached - shortest[column_of[i]];
    for (size_t j = 0; j < n; ++j)
      if (column_seen[j]) column_price[j] -= reached - shortest[j];
    for (size_t column = end;;) {
      const size_t owner = previous[column];
      row_of[column] = owner;
      std::swap(column, column_of[owner]);
      if (owner == start) break;
    }
  }
  return column_of;
}

}  // namespace

at::Tensor optimal_assignment(const at::Tensor& rows, const at::Tensor& columns) {
  const at::NoGradGuard no_grad;
  const at::Tensor cost =
      losses::squared_distances(rows.flatten(1).to(at::kDouble), columns.flatten(1).to(at::kDouble))
          .cpu()
          .contiguous();
  // Distances with a NaN or infinity have no optimum; any order serves, the losses report the fault.
  if (!at::isfinite(cost).all().item<bool>())
    return at::arange(rows.size(0), rows.options().dtype(at::kLong));
  const auto assigned = assign(cost.const_data_ptr<double>(), static_cast<size_t>(cost.size(0)));
  at::Tensor out = at::empty({cost.size(0)}, at::kLong);
  for (size_t i = 0; i < assigned.size(); ++i)
    out.mutable_data_ptr<int64_t>()[i] = static_cast<int64_t>(assigned[i]);
  return out.to(rows.device());
}

}  // namespace san
