// A network's images as 8-bit pixels, sRGB as in the training images.
//
//   byte = round((x + 1) 127.5), halves to even, clamped to 0 ... 255; NaN becomes 0.
// There is no gradient. Memory traffic per value: reads x, writes one byte.
// Tolerance against the reference: none, the bytes are equal (but for NaN, which the reference leaves to the
// platform).
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/device.h"

namespace san::ops {

/// Rounds |x| < 2^22 to a whole number, halves to even.
SAN_HD float whole(float x) { return (x + 12582912.0f) - 12582912.0f; }
SAN_HD double whole(double x) { return std::nearbyint(x); }

template <typename T>
SAN_HD uint8_t emit_value(T x) {
  const T v = (x + T(1)) * T(127.5);
  const T clamped = v > T(0) ? (v < T(255) ? v : T(255)) : T(0);
  return static_cast<uint8_t>(static_cast<int32_t>(whole(clamped)));
}

}  // namespace san::ops
