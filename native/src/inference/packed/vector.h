// Vectors of SAN_LANES float32 numbers and words of a convolution's input, for what is compiled once for each
// instruction set: all of internal linkage.
#pragma once

#include <cstdint>

#include "inference/packed/kernels.h"

#if defined(SAN_BFLOAT16)
#include <immintrin.h>
#endif

namespace san::packed {
namespace {

constexpr int64_t kLanes = SAN_LANES;
using Vector = float __attribute__((vector_size(SAN_LANES * sizeof(float)), may_alias));
using Unaligned = float __attribute__((vector_size(SAN_LANES * sizeof(float)), aligned(4), may_alias));
using Lanes = int32_t __attribute__((vector_size(SAN_LANES * sizeof(int32_t))));
constexpr int64_t kVectors = kBlock / kLanes;

inline Vector load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
inline void store(float* p, Vector v) { *reinterpret_cast<Unaligned*>(p) = v; }

/// Sums of neighbouring lanes: a's, then b's.
inline Vector pair_sums(Vector a, Vector b) {
  Lanes even, odd;
  for (int i = 0; i < kLanes; ++i) {
    even[i] = 2 * i;
    odd[i] = 2 * i + 1;
  }
  return __builtin_shuffle(a, b, even) + __builtin_shuffle(a, b, odd);
}

/// Lane i is the sum of v[i]'s lanes, for Count = kLanes vectors.
template <int Count = kLanes>
[[gnu::always_inline]] inline Vector sums_of(const Vector* v) {
  if constexpr (Count == 1) {
    return v[0];
  } else {
    Vector pairs[Count / 2];
#pragma GCC unroll 8
    for (int i = 0; i < Count / 2; ++i) pairs[i] = pair_sums(v[2 * i], v[2 * i + 1]);
    return sums_of<Count / 2>(pairs);
  }
}

#if defined(SAN_BFLOAT16)
constexpr int64_t kPerWord = 2;

inline Vector multiply_add(Vector sum, float word, Vector weights) {
  return reinterpret_cast<Vector>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum),
                                                   reinterpret_cast<__m512bh>(_mm512_set1_ps(word)),
                                                   reinterpret_cast<__m512bh>(weights)));
}

inline void store_words(float* words, int64_t channel, Vector v) {
  const __m256bh half = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(v));
  __builtin_memcpy(words + channel / 2, &half, sizeof(half));
}
#else
constexpr int64_t kPerWord = 1;

inline Vector multiply_add(Vector sum, float word, Vector weights) { return sum + word * weights; }
inline void store_words(float* words, int64_t channel, Vector v) { store(words + channel, v); }
#endif

}  // namespace
}  // namespace san::packed
