// PixelNorm followed by LeakyReLU (spec, section 1, "Parts"); slope 1 is PixelNorm alone.
//
// Over the C channels of one pixel, with means over channels:
//   r = (mean x^2 + eps)^-1/2,   y = LReLU(x r),   m = 1 where x > 0, else slope
// Gradient for an incoming g, with u = m g and A = mean(x u):
//   dx = r u - r^3 x A
// Gradient of that for an incoming v, with B = mean(x v) and P = mean(u v):
//   to g: m (r v - r^3 x B)
//   to x: x (3 r^5 A B - r^3 P) - r^3 (A v + B u)
//
// Memory traffic per element: forward reads x and writes y; backward reads x and g and writes dx. One r per
// pixel is kept from forward to backward. Sums are accumulated in float64, since the gradients of gates
// cancel to 1e-4 of their terms.
#pragma once

#include <cstdint>

namespace san::ops {

inline constexpr double kNormEpsilon = 1e-8;

/// Rows are pixels, channels-last: x, y, g, dx are (pixels, channels), r is (pixels).
struct NormActSize {
  int64_t pixels, channels;
};

}  // namespace san::ops
