// A sum whose rounding does not depend on who holds the parts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace san {

/// Adds up tensors of one shape as a binary tree over their numbers: ((0 + 1) + (2 + 3)) + ((4 + 5) + 6).
/// Runs of 2^k parts from a multiple of 2^k on are subtrees, so that they may be summed elsewhere first
/// without a difference in any bit.
class PairwiseSum {
 public:
  /// Takes the next part over; earlier ones are written to.
  void add(at::Tensor part) {
    for (int64_t n = ++count_; n % 2 == 0; n /= 2) part = joined(std::move(part));
    open_.push_back(std::move(part));
  }

  /// In the memory of the first part. Nothing may be added any more.
  const at::Tensor& total() {
    while (open_.size() > 1) {
      at::Tensor last = std::move(open_.back());
      open_.pop_back();
      open_.back().add_(last);
    }
    return open_.front();
  }

 private:
  at::Tensor joined(const at::Tensor& part) {
    at::Tensor before = std::move(open_.back());
    open_.pop_back();
    return before.add_(part);
  }

  int64_t count_ = 0;
  /// Sums of ever smaller powers of two of parts.
  std::vector<at::Tensor> open_;
};

}  // namespace san
