// Counter-based random numbers that are the same on every machine and device.
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) maps a counter of four
// words and a key of two to four random words. Two of them make two normal numbers by Box-Muller:
//   u1 = ((a >> 8) + 1) 2^-24 in (0, 1],  u2 = (b >> 8) 2^-24 in [0, 1),
//   r = sqrt(-2 ln u1),  (r cos 2 pi u2, r sin 2 pi u2).
// ln, sin and cos are polynomials evaluated by fused multiply-adds, each rounded to nearest: no libm, no
// division, so nothing is left to the platform. Maximum error 6e-7. There is no gradient. Nothing is read,
// and each number is written once: 4 bytes. A host translation unit that includes this must be compiled with
// -ffp-contract=off; on the device intrinsics say what is fused.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "ops/device.h"

namespace san::random {

using Words = std::array<uint32_t, 4>;

// Each rounded to nearest, and only `fma` fused.
#if defined(__CUDA_ARCH__)
SAN_HD float fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
SAN_HD float mul(float a, float b) { return __fmul_rn(a, b); }
SAN_HD float add(float a, float b) { return __fadd_rn(a, b); }
SAN_HD float root(float a) { return __fsqrt_rn(a); }
#else
SAN_HD float fma(float a, float b, float c) { return std::fma(a, b, c); }
SAN_HD float mul(float a, float b) { return a * b; }
SAN_HD float add(float a, float b) { return a + b; }
SAN_HD float root(float a) { return std::sqrt(a); }
#endif

SAN_HD Words philox(Words counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(a)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

/// Block `number` of what (seed, stream, index) keys; random.h has the meaning.
SAN_HD Words block_of(uint64_t seed, uint32_t stream, uint64_t index, uint32_t number) {
  return philox({number, stream, static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32)},
                static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

/// A uniform number in [0, 1), a multiple of 2^-24.
SAN_HD float uniform_of(uint32_t word) { return mul(static_cast<float>(word >> 8), 0x1p-24f); }

/// Natural logarithm of u in [2^-24, 1].
SAN_HD float log_unit(float u) {
  uint32_t bits = std::bit_cast<uint32_t>(u);
  // Moves the mantissa to [sqrt(1/2), sqrt(2)), where the polynomial was fitted.
  const uint32_t shifted = bits - 0x3F3504F3u;
  const int32_t exponent = static_cast<int32_t>(shifted) >> 23;
  const float m = std::bit_cast<float>((shifted & 0x007FFFFFu) + 0x3F3504F3u);
  const float f = add(m, -1.0f);
  float p = 0.0714975372f;
  p = fma(p, f, -0.115712009f);
  p = fma(p, f, 0.116615109f);
  p = fma(p, f, -0.124110505f);
  p = fma(p, f, 0.142499372f);
  p = fma(p, f, -0.166684806f);
  p = fma(p, f, 0.200007081f);
  p = fma(p, f, -0.249999896f);
  p = fma(p, f, 0.333333313f);
  const float f2 = mul(f, f);
  const float e = static_cast<float>(exponent);
  // ln 2 in two parts; the first has trailing zeros, so e times it is exact.
  float low = fma(e, -2.12194440e-4f, mul(mul(f2, f), p));
  low = fma(f2, -0.5f, low);
  return fma(e, 0.693359375f, add(f, low));
}

struct SinCos {
  float sin, cos;
};

/// Sine and cosine of 2 pi u, u in [0, 1) with at most 24 bits.
SAN_HD SinCos sincos_turn(float u) {
  const float turns = mul(u, 4.0f);
  const int quadrant = static_cast<int>(add(turns, 0.5f));
  const float r = add(turns, -static_cast<float>(quadrant));  // exact, in [-1/2, 1/2] quarter turns
  const float t = mul(r, r);
  float s = 0.000158206531f;
  s = fma(s, t, -0.00468126638f);
  s = fma(s, t, 0.0796925798f);
  s = fma(s, t, -0.645964086f);
  s = fma(s, t, 1.57079637f);
  s = mul(s, r);
  float c = -2.48509823e-05f;
  c = fma(c, t, 0.000919161772f);
  c = fma(c, t, -0.0208634678f);
  c = fma(c, t, 0.2536695f);
  c = fma(c, t, -1.23370051f);
  c = fma(c, t, 1.0f);
  switch (quadrant & 3) {
    case 0:
      return {s, c};
    case 1:
      return {c, -s};
    case 2:
      return {-s, -c};
    default:
      return {-c, s};
  }
}

/// Four standard normal numbers from four random words.
SAN_HD std::array<float, 4> normals(const Words& w) {
  std::array<float, 4> out;
  for (int pair = 0; pair < 2; ++pair) {
    const float u1 = mul(static_cast<float>((w[2 * pair] >> 8) + 1), 0x1p-24f);
    const float radius = root(mul(-2.0f, log_unit(u1)));
    const SinCos angle = sincos_turn(uniform_of(w[2 * pair + 1]));
    out[2 * pair] = mul(radius, angle.cos);
    out[2 * pair + 1] = mul(radius, angle.sin);
  }
  return out;
}

}  // namespace san::random
