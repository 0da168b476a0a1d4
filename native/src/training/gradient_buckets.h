// The gradients of a step that is shared out among ranks or passes.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <vector>

#include "distributed/pairwise_sum.h"
#include "san/collective.h"
#include "san/parameters.h"

namespace san {

/// Both networks' gradients in one flat buffer, in about the order in which a backward pass completes them.
/// Those of all passes and ranks are summed pairwise, in buckets: each goes to the other ranks as soon as it
/// and those before it are complete, while the last pass goes on. The order of the buckets is the catalogue's
/// alone, the same on every rank. Of P passes about log2(P) are held at a time.
class GradientBuckets {
 public:
  /// `extras` numbers are summed along with the last bucket.
  GradientBuckets(const ParameterStore& parameters, Collective& ranks, int64_t extras);

  /// Before each backward pass. Each gradient of a network is complete after so many calls of add().
  void begin_pass(int64_t of_generator, int64_t of_reverser, bool last);
  /// Adds scale * gradient to the k-th of parameters.indices(net).
  void add(Net net, size_t k, const at::Tensor& gradient, double scale);
  /// (extras) of this pass, zero until set.
  const at::Tensor& extras() const { return pass_.extras; }
  /// Takes what is not complete as it is. After the last pass it waits for all sums.
  void end_pass();
  /// The sums over all passes and ranks, after the last pass: views of the buffer, in the memory order of the
  /// parameters. They line up with parameters.indices(net).
  const std::vector<at::Tensor>& gradients(Net net) const { return sums_.gradients[index(net)]; }
  const at::Tensor& summed_extras() const { return sums_.extras; }

 private:
  struct Slot {
    at::Tensor parameter;
    int64_t offset = 0;
    size_t bucket = 0;
    int64_t missing = 0;
    bool touched = false;
  };
  struct Bucket {
    int64_t begin = 0, end = 0;
    size_t slots = 0, incomplete = 0;
    PairwiseSum sum;
  };
  struct Buffer {
    at::Tensor flat, extras;
    std::array<std::vector<at::Tensor>, 2> gradients;
  };

  static size_t index(Net net) { return net == Net::generator ? 0 : 1; }
  Buffer make_buffer() const;
  void close_complete();
  void close(Bucket& bucket);

  Collective& ranks_;
  int64_t extras_;
  std::array<std::vector<Slot>, 2> slots_;
  std::vector<Bucket> buckets_;
  /// That of the first pass, where pairwise sums end up, and that of the pass under way.
  Buffer sums_, pass_;
  bool last_ = false;
  size_t closed_ = 0;
  std::vector<std::unique_ptr<Reduction>> reductions_;
};

}  // namespace san
