// Channel attention (spec, section 1, "Parts").
//
// Of one sample, with n = H W pixels:
//   a = mean over pixels of x;   p = squeeze a + bias;   h = LReLU(p);   s = sigmoid(excite h + bias);   y =
//   x s
// Gradient for an incoming g:
//   ds = sum over pixels of g x;  dl = ds s (1 - s);  dp = LReLU'(p) (excite^T dl);  da = squeeze^T dp
//   dx = g s + da / n;  d excite = sum over samples of dl h^T;  d squeeze = sum over samples of dp a^T;
//   biases likewise
//
// Memory traffic per element: forward reads x twice (the second time from cache while a sample fits it) and
// writes y; backward reads g and x, then g again, and writes dx. Sums over pixels are accumulated in float64.
#pragma once

#include <cstdint>

namespace san::ops {

/// x, y, g, dx are (samples, pixels, channels), channels-last; squeeze is (hidden, channels).
struct AttentionSize {
  int64_t samples, pixels, channels, hidden;
};

}  // namespace san::ops
