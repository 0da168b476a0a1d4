// What the kernels of Winograd's convolution are given; tiles.h has the formula.
#pragma once

#include <cstdint>

namespace san::packed {

/// The points of tiles of 4 x 4 are 0, +-a, +-b and infinity. Of those that float32 holds exactly with their
/// squares, these lose least: about 4 units in the last place more than sums in order.
inline constexpr double kPointA = 0.625, kPointB = 1.5;
/// Most points along one axis.
inline constexpr int kMostPoints = 6;

/// One row of tiles' input: `columns` tiles beside one another, `images` of each.
struct TilesIn {
  /// Rows of pixels, from the column before the first tile's; null where it is all zeros.
  const float* rows[kMostPoints];
  int64_t columns, images, step;
  /// A factor for each image and channel, or null.
  const float* gates;
  /// Point p of tile i at words + p point_words + i pixel_words.
  float* words;
  int64_t pixel_words, point_words;
};

/// sums[point][tile] = inputs[point][tile] times the point's weights, laid out as a Convolution's.
struct Products {
  int64_t points, pixels, words, blocks;
  const float *inputs, *weights;
  float* sums;
  /// From tile to tile, in words and numbers.
  int64_t word_step, sum_step;
};

/// The same tiles' output.
struct TilesOut {
  /// Point p of tile i at sums + p point_numbers + i step.
  const float* sums;
  int64_t point_numbers;
  int64_t columns, images, step;
  float* rows[kMostPoints - 2];
};

}  // namespace san::packed
