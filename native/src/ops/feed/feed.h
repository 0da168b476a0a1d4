#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "ops/feed/params.h"

namespace san::ops {

/// Numbers of pixels within an image are int32.
inline constexpr int64_t kMostFeedSize = 46340;

/// Square images of 8 bits, one after the other: (N, size, size, channels).
struct FeedSource {
  const uint8_t* pixels;
  int64_t size, channels;
};

/// Writes the images `indices`, image i changed by transforms[i], to `out`: (n, size, size, channels) of
/// T, float or double, in [-1, 1]. Needs no ATen, so that any thread may run it at any time.
template <typename T>
void feed(const FeedSource& source, const std::vector<int64_t>& indices,
          const std::vector<FeedTransform>& transforms, T* out);

/// The same by ATen, one image after the other. `images`: uint8 (N, H, W, C); (n, H, W, C) of `dtype`.
at::Tensor feed_reference(const at::Tensor& images, const std::vector<int64_t>& indices,
                          const std::vector<FeedTransform>& transforms, at::ScalarType dtype);

}  // namespace san::ops
