#pragma once

#include <cstdint>

#include "ops/feed/params.h"
#include "san/augmentation.h"

namespace san {

/// What becomes of an image of side `size` where random numbers are keyed by (seed, index); index = epoch * N
/// + number of the image. Every kind of change has random numbers of its own (docs/random-numbers.md), so
/// that turning one off leaves the others as they are.
ops::FeedTransform draw_transform(const AugmentationConfig& config, int64_t size, uint64_t seed,
                                  uint64_t index);

}  // namespace san
