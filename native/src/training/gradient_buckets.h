// The gradients of a step that is shared out among ranks or passes.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <vector>

#include "san/collective.h"
#include "san/parameters.h"

namespace san {

/// Both networks' gradients in one flat buffer, in about the order in which a backward pass completes them.
/// They are summed over the ranks in buckets, each as soon as it and those before it are complete, while the
/// pass goes on. The order of the buckets is the catalogue's alone, the same on every rank.
class GradientBuckets {
 public:
  /// `extras` numbers are summed along with the last bucket.
  GradientBuckets(const ParameterStore& parameters, Collective& ranks, int64_t extras);

  /// Each gradient of the network is complete after so many calls of add().
  void expect(Net net, int64_t contributions);
  /// Adds scale * gradient to the k-th of parameters.indices(net).
  void add(Net net, size_t k, const at::Tensor& gradient, double scale);
  /// (extras), to be set before finish().
  const at::Tensor& extras() const { return extras_; }
  /// Sums what is not complete as it is, and waits for all sums.
  void finish();
  /// Views of the buffer, in the memory order of the parameters. They line up with parameters.indices(net).
  const std::vector<at::Tensor>& gradients(Net net) const { return gradients_[index(net)]; }

 private:
  struct Slot {
    size_t bucket = 0;
    int64_t missing = 0;
    bool touched = false;
  };
  struct Bucket {
    int64_t begin = 0, end = 0;
    size_t incomplete = 0;
  };

  static size_t index(Net net) { return net == Net::generator ? 0 : 1; }
  void launch_complete();
  void launch(const Bucket& bucket);

  Collective& ranks_;
  at::Tensor flat_, extras_;
  std::array<std::vector<at::Tensor>, 2> gradients_;
  std::array<std::vector<Slot>, 2> slots_;
  std::vector<Bucket> buckets_;
  size_t launched_ = 0;
  std::vector<std::unique_ptr<Reduction>> reductions_;
};

}  // namespace san
