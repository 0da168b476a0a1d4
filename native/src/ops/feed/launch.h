// Launch of feed's kernel (feed.cuh).
#pragma once

#include "ops/cuda/types.h"
#include "ops/feed/params.h"

namespace san::ops {

/// All pointers are the device's.
template <typename T>
struct FeedParams {
  /// (any, size, size, channels).
  const uint8_t* pixels;
  int64_t size, channels;
  /// Which image each of the `images` is made of; null for the first, second, ...
  const int64_t* indices;
  const FeedTransform* transforms;
  int64_t images;
  /// (images, size, size, channels)
  T* out;
};

/// T is float, double or Bf16.
template <typename T>
void launch_feed(const FeedParams<T>& p, cudaStream_t stream);

}  // namespace san::ops
