// Functions of one number that several operations use; for host and device.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "ops/device.h"

namespace san::ops {

/// LeakyReLU; slope 1 is the identity.
template <typename T>
SAN_HD T leaky(T x, T slope) {
  return x >= T(0) ? x : x * slope;
}

/// LeakyReLU's derivative times u.
template <typename T>
SAN_HD T leaky_gradient(T u, T x, T slope) {
  return x > T(0) ? u : u * slope;
}

/// e^x to 2 units in the last place, without a call, so that loops over it are vectorised. Beyond +-87 it
/// stays at the value there; NaN stays NaN.
SAN_HD float exponential(float x) {
  const float clamped = x > 87.0f ? 87.0f : (x < -87.0f ? -87.0f : x);
  // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
  const float shifted = clamped * 1.44269504f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const auto power = std::bit_cast<float>((std::bit_cast<int32_t>(shifted) << 23) + 0x3F800000);
  return p * power;
}
SAN_HD double exponential(double x) { return std::exp(x); }

template <typename T>
SAN_HD T sigmoid(T x) {
#if defined(__CUDA_ARCH__)
  // The special function unit's: kernels that are bound by memory have no time for the polynomial.
  if constexpr (std::is_same_v<T, float>) return __fdividef(1.0f, 1.0f + __expf(-x));
#endif
  return T(1) / (T(1) + exponential(-x));
}

}  // namespace san::ops
