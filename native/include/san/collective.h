// What the ranks of a data-parallel run do together.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace san {

/// Bytes that this rank has handed to collectives, and how long it waited for them.
struct Traffic {
  int64_t collectives = 0;
  /// Sent by this rank: 2 (N - 1) / N of what is summed for all, half as much for one row each, (N - 1) times
  /// what is gathered, as rings do.
  int64_t bytes = 0;
  double seconds_waited = 0;
};

/// A sum over the ranks that is under way.
class Reduction {
 public:
  virtual ~Reduction() = default;
  /// Until the tensor holds the sum. Throws ERR_SAN_RANK_LOST.
  virtual void wait() = 0;
};

/// Sums of tensors on the processor are PairwiseSum's of the ranks' parts; those of a GPU are as NCCL makes
/// them. What all_gather() and reduce_scatter() give on a GPU is waited for by the current stream, not by the
/// thread: a rank that is lost meanwhile is noticed by the wait of the next Reduction.
///
/// Every rank makes the same calls in the same order, with tensors of the same shape and dtype. All may throw
/// ERR_SAN_RANK_LOST, after which none may be called any more. For one thread at a time.
class Collective {
 public:
  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// (n, ...) of each rank -> (size n, ...) in the order of ranks. No gradient.
  virtual at::Tensor all_gather(const at::Tensor& part) = 0;
  /// Sums (size, n) tensors over the ranks; each gets its row of the sum: (n).
  virtual at::Tensor reduce_scatter(const at::Tensor& rows) = 0;
  /// Begins to sum a one-dimensional tensor over the ranks, in place.
  virtual std::unique_ptr<Reduction> all_reduce(const at::Tensor& flat) = 0;
  /// Rank 0's values into everybody's tensor, of any dense layout.
  virtual void broadcast(const at::Tensor& tensor) = 0;
  virtual void barrier() = 0;
};

/// The one rank of a run that is not distributed: every operation is the identity.
Collective& alone();

}  // namespace san
