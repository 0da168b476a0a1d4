// Images, latents and features that ranks work out together, each some of the rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "san/collective.h"

namespace san::distributed {

/// What is wanted of all ranks.
struct Inference {
  enum class Kind : int64_t { sample, decode, encode, extract };
  Kind kind = Kind::sample;
  /// Of kind sample: images [first, first + count) of `seed`, by the moving average or the raw weights.
  uint64_t seed = 0, first = 0;
  bool average = true;
  int64_t count = 0;
  /// Of the other kinds: `count` rows of latents or images.
  at::Tensor input;
};

/// Rank 0 gives what is wanted, the others take it.
Inference agreed(const Inference& wanted, Collective& ranks);

/// All rows on rank 0, undefined on the others. `work` is asked for one stretch of rows, of at least one, on
/// each rank; where it fails, rank 0 throws and the others go on.
at::Tensor share_out(const Inference& wanted, Collective& ranks,
                     const std::function<at::Tensor(const Inference&)>& work);

}  // namespace san::distributed
