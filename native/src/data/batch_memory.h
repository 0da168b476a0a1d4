// Memory of batches, used again.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <utility>
#include <vector>

namespace san {

/// Hands out tensors that nobody holds any more, so that in the steady state none is allocated.
class BatchMemory {
 public:
  /// `make` allocates one; `most` are kept.
  BatchMemory(std::function<at::Tensor()> make, size_t most) : make_(std::move(make)), most_(most) {}

  at::Tensor take() {
    for (const at::Tensor& tensor : pool_)
      if (tensor.storage().use_count() == 1) return tensor.alias();
    at::Tensor fresh = make_();
    if (pool_.size() < most_) pool_.push_back(fresh);
    return fresh.alias();
  }

  /// Leaves what is kept to the end of the process: where freeing it would fail.
  void leave() {
    for (at::Tensor& tensor : pool_) static_cast<void>(tensor.unsafeReleaseTensorImpl());
    pool_.clear();
  }

 private:
  const std::function<at::Tensor()> make_;
  const size_t most_;
  std::vector<at::Tensor> pool_;
};

}  // namespace san
