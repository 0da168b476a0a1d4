// A 3x3 convolution at stride 1 by Winograd's minimal filtering: a tile of T x T output pixels from its (T +
// 2)^2 input pixels takes one product per point, (T + 2)^2 in all, in the place of 9 T^2. Y = A' ((G g G') *
// (B' d B)) A with the matrices of Cook and Toom for the points below and infinity; G is in weights.cpp.
#pragma once

#include "inference/packed/vector.h"
#include "inference/packed/winograd.h"

namespace san::packed {
namespace {

template <int T>
struct Transform;

/// Points 0, 1, -1.
template <>
struct Transform<2> {
  /// d <- B' d of four numbers.
  static void in(const Vector d[4], Vector out[4]) {
    out[0] = d[0] - d[2];
    out[1] = d[1] + d[2];
    out[2] = d[2] - d[1];
    out[3] = d[3] - d[1];
  }
  /// A' m of four numbers.
  static void out(const Vector m[4], Vector y[2]) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] + m[3];
  }
};

/// Points 0, a, -a, b, -b.
template <>
struct Transform<4> {
  static constexpr float a = static_cast<float>(kPointA), b = static_cast<float>(kPointB);

  static void in(const Vector d[6], Vector out[6]) {
    constexpr float aa = a * a, bb = b * b, product = aa * bb, sum = aa + bb;
    out[0] = product * d[0] + (d[4] - sum * d[2]);
    const Vector even_a = d[4] - bb * d[2], odd_a = d[3] - bb * d[1];
    const Vector even_b = d[4] - aa * d[2], odd_b = d[3] - aa * d[1];
    out[1] = even_a + a * odd_a;
    out[2] = even_a - a * odd_a;
    out[3] = even_b + b * odd_b;
    out[4] = even_b - b * odd_b;
    out[5] = product * d[1] + (d[5] - sum * d[3]);
  }
  static void out(const Vector m[6], Vector y[4]) {
    constexpr float aa = a * a, bb = b * b;
    const Vector even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + even_a + even_b;
    y[1] = a * odd_a + b * odd_b;
    y[2] = aa * even_a + bb * even_b;
    y[3] = aa * a * odd_a + bb * b * odd_b + m[5];
  }
};

/// One vector of channels of one tile: `pixel(i, j)` gives row i, column j.
template <int T, typename F>
[[gnu::always_inline]] inline void tile_in(const F& pixel, float* words, int64_t channel, int64_t point) {
  constexpr int P = T + 2;
  Vector half[P][P];
#pragma GCC unroll 6
  for (int j = 0; j < P; ++j) {
    Vector d[P], column[P];
#pragma GCC unroll 6
    for (int i = 0; i < P; ++i) d[i] = pixel(i, j);
    Transform<T>::in(d, column);
#pragma GCC unroll 6
    for (int i = 0; i < P; ++i) half[i][j] = column[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < P; ++i) {
    Vector row[P];
    Transform<T>::in(half[i], row);
#pragma GCC unroll 6
    for (int j = 0; j < P; ++j) store_words(words + (i * P + j) * point, channel, row[j]);
  }
}

template <int T, bool gated>
void tiles_in_as(const TilesIn& t) {
  for (int64_t column = 0; column < t.columns; ++column)
    for (int64_t n = 0; n < t.images; ++n) {
      const int64_t at = (column * T * t.images + n) * t.step, next = t.images * t.step;
      float* words = t.words + (column * t.images + n) * t.pixel_words;
      for (int64_t c = 0; c < t.step; c += kLanes) {
        const Vector gate = gated ? load(t.gates + n * t.step + c) : Vector{};
        tile_in<T>(
            [&](int i, int j) -> Vector {
              if (t.rows[i] == nullptr) return Vector{};
              const Vector v = load(t.rows[i] + at + j * next + c);
              return gated ? v * gate : v;
            },
            words, c, t.point_words);
      }
    }
}

template <int T>
void tiles_in(const TilesIn& t) {
  if (t.gates != nullptr)
    tiles_in_as<T, true>(t);
  else
    tiles_in_as<T, false>(t);
}

template <int T>
void tiles_out(const TilesOut& t) {
  constexpr int P = T + 2;
  for (int64_t tile = 0; tile < t.columns * t.images; ++tile) {
    const int64_t at = (tile / t.images * T * t.images + tile % t.images) * t.step, next = t.images * t.step;
    for (int64_t c = 0; c < t.step; c += kLanes) {
      const float* sums = t.sums + tile * t.step + c;
      Vector half[T][P];
#pragma GCC unroll 6
      for (int j = 0; j < P; ++j) {
        Vector m[P], column[T];
#pragma GCC unroll 6
        for (int i = 0; i < P; ++i) m[i] = load(sums + (i * P + j) * t.point_numbers);
        Transform<T>::out(m, column);
#pragma GCC unroll 4
        for (int i = 0; i < T; ++i) half[i][j] = column[i];
      }
#pragma GCC unroll 4
      for (int i = 0; i < T; ++i) {
        Vector y[T];
        Transform<T>::out(half[i], y);
#pragma GCC unroll 4
        for (int j = 0; j < T; ++j) store(t.rows[i] + at + j * next + c, y[j]);
      }
    }
  }
}

}  // namespace
}  // namespace san::packed
