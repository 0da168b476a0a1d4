// feed: images of the training set gathered, augmented and normalised in one pass.
//
// For pixel (x, y) of an output image of side S, with the centre c = (S - 1) / 2:
//   u = g0 (x - c) + g1 (y - c) + g2 + c         column in the source image
//   v = g3 (x - c) + g4 (y - c) + g5 + c         row
//   u, v mirrored at the outer edges -1/2 and S - 1/2, then clamped to [0, S - 1]
//   p = bilinear mean of the source pixels around (u, v), 0 to 255
//   q = p / 127.5 - 1
//   r = clamp(K q + t, -1, 1)                    only where colours change; K 3x3
//   0 inside the cut-out square
// An image that nothing changes gets q of its own pixels. Flips, turns by 90 degrees and shifts by whole
// pixels move pixels exactly, for their weights are 0 and 1. There is no gradient.
//
// Memory traffic: each image's bytes are read once from memory (its second to fourth reading, for the
// neighbours, come from the cache), each output value is written once: C S^2 (1 + sizeof T) bytes an image.
// Tolerance against the reference: 1e-6 S in float32, at least 1.6e-5 (the rounding of u times the steepest
// edge), and 1e-12 in float64.
#pragma once

#include <cstdint>

#include "ops/device.h"

namespace san::ops {

/// What becomes of one image.
struct FeedTransform {
  /// g0..g5: from the output to the source, in pixels.
  double geometry[6] = {1, 0, 0, 0, 1, 0};
  /// Rows of [K t], for values in [-1, 1]. Of grey images, and of any that do not have 3 channels, each
  /// channel becomes (K00 + K01 + K02) q + t0.
  double colour[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
  /// Columns and rows of the cut-out square, ends excluded.
  int32_t cut_left = 0, cut_top = 0, cut_right = 0, cut_bottom = 0;
  /// Whether geometry and colour are anything but the identity.
  bool moves = false, colours = false;
};

/// Source coordinate with its mirror images folded in; |u| up to 2 size.
template <typename T>
SAN_HD T mirrored(T u, T size) {
  const T above = u > T(-1) - u ? u : T(-1) - u;
  const T below = above < T(2) * size - T(1) - above ? above : T(2) * size - T(1) - above;
  const T low = below > T(0) ? below : T(0);
  return low < size - T(1) ? low : size - T(1);
}

/// P is a number, or several channels at once.
template <typename P, typename T>
SAN_HD P bilinear(P p00, P p01, P p10, P p11, T right, T down) {
  const P top = p00 + (p01 - p00) * right;
  const P bottom = p10 + (p11 - p10) * right;
  return top + (bottom - top) * down;
}

template <typename P, typename T>
SAN_HD P normalised(P p, T) {
  return p / T(127.5) - T(1);
}

}  // namespace san::ops
