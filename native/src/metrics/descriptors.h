// Patches of the images of one pyramid level, as points between which distances are taken.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "san/cancelled.h"

namespace san::metrics {

/// Width and height of a patch (Karras et al. 2018, section 5).
inline constexpr int64_t kPatch = 7;

/// Where the random positions come from: image i takes stream metric_patch at index `first` + i.
struct PatchKey {
  uint64_t seed, first;
};

/// A level of a pyramid taken apart.
struct Level {
  /// float32 (N P, C 7 7), each channel with mean 0 and variance 1 over all of it; 0 where the level is flat.
  at::Tensor descriptors;
  /// float32 (N, C, S/2, S/2), images of the next level; undefined after the last one.
  at::Tensor next;
};

/// `images`: uint8 (N, S, S, C), the first level, or float32 (N, C, S, S), a later one. `last`: the
/// descriptors are of the images themselves, not of what halving them loses.
Level take_level(const at::Tensor& images, bool last, int64_t patches, const PatchKey& key,
                 const Cancelled& cancelled);

}  // namespace san::metrics
