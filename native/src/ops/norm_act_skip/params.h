// PixelNorm and LeakyReLU around a convolution's output, with its bias before and the block's skip after
// (spec, section 1: "Generator module", "Reverser module", "Parts").
//
// Over the C channels of one pixel, with means over channels:
//   v = LReLU_p(x + bias),   r = (mean v^2 + eps)^-1/2,   y = LReLU_q(v r) + skip
// where LReLU_p and LReLU_q have slopes p and q: (1, 0.2) is LeakyReLU(PixelNorm), (0.2, 1)
// PixelNorm(LeakyReLU), (1, 1) PixelNorm alone. `skip` is the block's input, brought to y's size and channels
// by up() or down().
//
// Gradient for an incoming g, with m_p, m_q the slopes at x + bias, u = m_q g and A = mean(v u):
//   dv = r u - r^3 v A,   dx = m_p dv,   d bias = sum over pixels of dx,   d skip = the adjoint of up() or
//   down() at g
// Gradient of dv for an incoming w, with B = mean(v w) and P = mean(u w):
//   to g: m_q (r w - r^3 v B);   to v: v (3 r^5 A B - r^3 P) - r^3 (A w + B u)
//
// Memory traffic per element: forward reads x and skip and writes y; backward reads x and g and writes dx,
// and reads g and writes d skip where the skip changes size or channels (else d skip is g itself). One r per
// pixel is kept from forward to backward. On the processor sums over channels are accumulated in float64,
// since the gradients of gates cancel to 1e-4 of their terms; on a GPU in float32, in which a lane adds up a
// few of them and the lanes theirs as a tree. Those over pixels go in pieces, whose bounds depend on the
// shape alone.
#pragma once

#include <cstdint>

#include "ops/elementwise.h"

namespace san::ops {

inline constexpr double kNormEpsilon = 1e-8;

/// Slopes of LeakyReLU before and after PixelNorm.
struct NormActSlopes {
  double before = 1, after = 0.2;
};

inline constexpr NormActSlopes kNormOnly{1, 1}, kNormThenAct{1, 0.2}, kActThenNorm{0.2, 1};

template <typename T>
SAN_HD T norm_act_value(T v, T r, T after) {
  return leaky(v * r, after);
}

/// dx of one element; `a` is r^3 A.
template <typename T>
SAN_HD T norm_act_gradient(T g, T v, T r, T a, T before, T after) {
  return leaky_gradient(r * leaky_gradient(g, v, after) - a * v, v, before);
}

/// The skip's way from (height, width, channels) to y's. `stride` divides or multiplies height and width
/// alike.
struct SkipShape {
  int64_t height, width, channels, stride;
  bool up;
};

}  // namespace san::ops
