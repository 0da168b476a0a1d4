// The gate of RPA (spec, section 1, "Parts"): from logits at a lower resolution to the gated input.
//
//   a = l + bias,   r = (mean over channels of a^2 + eps)^-1/2,   s = sigmoid(a r),   y = x * bilinear(s)
// bilinear() goes to x's height and width with corners not aligned. Gradient for an incoming g:
//   dx = g bilinear(s);   ds = the adjoint of bilinear() at g x;   dn = ds s (1 - s)
//   dl = r dn - r^3 a mean(a dn);   d bias = sum over pixels of dl
//
// Memory traffic per element of x: forward reads x and writes y; backward reads g and x and writes dx, and
// reads g and x again for ds, from cache where a sample fits. l, s and their gradients have a sixteenth of
// the pixels. Every gradient is gathered, not scattered: no sum depends on the thread count.
#pragma once

#include <cstdint>

#include "ops/elementwise.h"

namespace san::ops {

/// Between which two source rows (or columns) a target lies, and the weight of each.
template <typename T>
struct Tap {
  int64_t low, high;
  T low_weight, high_weight;
};

/// The tap of target `i`, `from` rows becoming `to`.
template <typename T>
SAN_HD Tap<T> bilinear_tap(int64_t i, int64_t from, int64_t to) {
  const T scale = static_cast<T>(from) / static_cast<T>(to);
  T at = scale * (static_cast<T>(i) + T(0.5)) - T(0.5);
  at = at < T(0) ? T(0) : at;
  const int64_t floor = static_cast<int64_t>(at);
  const int64_t low = floor < from - 1 ? floor : from - 1, high = low < from - 1 ? low + 1 : low;
  const T weight = at - static_cast<T>(low);
  return {low, high, T(1) - weight, weight};
}

}  // namespace san::ops
