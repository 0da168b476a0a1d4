// What a GPU needs to make a batch, in one piece of memory that is copied there at once.
#pragma once

#include <cstdint>

#include "ops/feed/params.h"

namespace san {

/// Offsets in bytes: a FeedTransform for each image, then the numbers of the images or, where the set is not
/// on the device, their pixels.
struct StagingLayout {
  /// `image_bytes`: of one image that travels, or 0 where its number does.
  StagingLayout(int64_t batch_size, int64_t image_bytes_)
      : image_bytes(image_bytes_),
        images(batch_size * static_cast<int64_t>(sizeof(ops::FeedTransform))),
        bytes(images + batch_size * (image_bytes > 0 ? image_bytes : static_cast<int64_t>(sizeof(int64_t)))) {
  }

  bool carries_pixels() const { return image_bytes > 0; }

  /// The transforms are at 0.
  int64_t image_bytes, images, bytes;
};

static_assert(sizeof(ops::FeedTransform) % sizeof(int64_t) == 0);

}  // namespace san
