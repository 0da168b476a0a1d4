// Compiled for SAN_LANES float32 numbers in a vector, with or without SAN_BFLOAT16 (CMakeLists.txt).
// Everything here has internal linkage but the table: what the linker merges must not hold instructions of
// one set.
#include "inference/packed/kernels.h"

#include "ops/elementwise.h"
#include "ops/emit/params.h"
#include "ops/norm_act_skip/params.h"

#if defined(SAN_BFLOAT16)
#include <immintrin.h>
#endif

namespace san::packed {
namespace {

constexpr int64_t kLanes = SAN_LANES;
using Vector = float __attribute__((vector_size(SAN_LANES * sizeof(float)), may_alias));
using Unaligned = float __attribute__((vector_size(SAN_LANES * sizeof(float)), aligned(4), may_alias));
constexpr int64_t kVectors = kBlock / kLanes;
constexpr float kSlope = 0.2f;

inline Vector load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
inline void store(float* p, Vector v) { *reinterpret_cast<Unaligned*>(p) = v; }
inline Vector all(float x) { return x - Vector{}; }
inline Vector leaky(Vector v) { return v >= 0 ? v : v * kSlope; }

inline float sum_of(Vector v) {
  float s[kLanes];
  __builtin_memcpy(s, &v, sizeof(v));
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; ++i) s[i] += s[i + half];
  return s[0];
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

// ---- convolutions

/// Most pixels of a tile: its sums, a word of weights and one of input fill the registers.
template <int B>
constexpr int kTile = kLanes == 16 ? (B == 1 ? 16 : 13) : (kLanes == 8 ? 6 : 3);

template <int P, int B>
[[gnu::always_inline]] inline void tile(const Tap* taps, int64_t count, const float* weights, const float* x,
                                        int64_t step, float* y, int64_t y_step) {
  constexpr int V = B * static_cast<int>(kVectors);
  Vector sums[P][V] = {};
  for (int64_t t = 0; t < count; ++t) {
    const float* w = weights + taps[t].weight * (V * kLanes);
    const float* from[(P + 3) / 4];
    for (int q = 0; q < (P + 3) / 4; ++q) from[q] = x + taps[t].input + 4 * q * step;
    for (int64_t k = 0; k < taps[t].words; ++k, w += V * kLanes) {
      Vector weight[V];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) weight[v] = load(w + v * kLanes);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) {
        const float word = from[p / 4][p % 4 * step];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sums[p][v] = multiply_add(sums[p][v], word, weight[v]);
      }
#pragma GCC unroll 4
      for (int q = 0; q < (P + 3) / 4; ++q) ++from[q];
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) store(y + p * y_step + v * kLanes, sums[p][v]);
}

/// A tile of `pixels` <= P pixels.
template <int P, int B>
void tile_of(int64_t pixels, const Tap* taps, int64_t count, const float* weights, const Run& run) {
  if (pixels == P)
    tile<P, B>(taps, count, weights, run.input, run.input_step, run.output, run.output_step);
  else if constexpr (P > 1)
    tile_of<P - 1, B>(pixels, taps, count, weights, run);
}

template <int B>
void convolve_blocks(const Tap* taps, int64_t count, const float* weights, Run run) {
  constexpr int64_t most = kTile<B>;
  // Tiles of about one size: a small one costs nearly as much as a large one.
  for (int64_t tiles = (run.pixels + most - 1) / most; tiles > 0; --tiles) {
    const int64_t pixels = (run.pixels + tiles - 1) / tiles;
    tile_of<most, B>(pixels, taps, count, weights, run);
    run.input += pixels * run.input_step;
    run.output += pixels * run.output_step;
    run.pixels -= pixels;
  }
}

void convolve(const Tap* taps, int64_t count, const float* weights, int64_t blocks, const Run& run) {
  if constexpr (kLanes == 16) {
    if (blocks == 2) return convolve_blocks<2>(taps, count, weights, run);
  }
  convolve_blocks<1>(taps, count, weights, run);
}

// ---- rows of pixels

/// 1 / sqrt(mean of f(i)^2 + epsilon) of one pixel.
template <typename F>
inline float norm_of(const Row& row, const F& f) {
  Vector squares = {};
  for (int64_t i = 0; i < row.channels; i += kLanes) {
    const Vector v = f(i);
    squares += v * v;
  }
  return 1.0f / __builtin_sqrtf(sum_of(squares) / static_cast<float>(row.real) +
                                static_cast<float>(ops::kNormEpsilon));
}

template <typename F>
inline void each_pixel(const Row& row, const F& f) {
  for (int64_t p = 0; p < row.pixels; ++p) f(p * row.channels);
}

void pack(const float* x, float* words, Row row) {
  const int64_t numbers = row.pixels * row.channels;
  for (int64_t i = 0; i < numbers; i += kLanes) store_words(words, i, load(x + i));
}

void scale(const float* x, const float* gates, float* words, Row row) {
  const int64_t pixel = row.images * row.channels;
  for (int64_t at = 0; at < row.pixels * row.channels; at += pixel)
    for (int64_t i = 0; i < pixel; i += kLanes)
      store_words(words, at + i, load(x + at + i) * load(gates + i));
}

void norm(const float* x, float* words, Row row) {
  each_pixel(row, [&](int64_t at) {
    const float r = norm_of(row, [&](int64_t i) { return load(x + at + i); });
    for (int64_t i = 0; i < row.channels; i += kLanes) store_words(words, at + i, load(x + at + i) * r);
  });
}

void act_norm(const float* x, const float* bias, float* words, Row row) {
  each_pixel(row, [&](int64_t at) {
    const auto value = [&](int64_t i) { return leaky(load(x + at + i) + load(bias + i)); };
    const float r = norm_of(row, value);
    for (int64_t i = 0; i < row.channels; i += kLanes) store_words(words, at + i, value(i) * r);
  });
}

void norm_act(const float* x, const float* bias, float* words, Row row) {
  each_pixel(row, [&](int64_t at) {
    const auto value = [&](int64_t i) { return load(x + at + i) + load(bias + i); };
    const float r = norm_of(row, value);
    for (int64_t i = 0; i < row.channels; i += kLanes) store_words(words, at + i, leaky(value(i) * r));
  });
}

void sigmoids(float* y, int64_t numbers) {
#pragma omp simd
  for (int64_t i = 0; i < numbers; ++i) y[i] = ops::sigmoid(y[i]);
}

void norm_sigmoid(const float* x, const float* bias, float* s, Row row) {
  each_pixel(row, [&](int64_t at) {
    const auto value = [&](int64_t i) { return load(x + at + i) + load(bias + i); };
    const float r = norm_of(row, value);
    for (int64_t i = 0; i < row.channels; i += kLanes) store(s + at + i, value(i) * r);
  });
  sigmoids(s, row.pixels * row.channels);
}

void block(const float* x, const float* bias, const float* skip, float* y, Row row) {
  each_pixel(row, [&](int64_t at) {
    const auto value = [&](int64_t i) { return load(x + at + i) + load(bias + i); };
    const float r = norm_of(row, value);
    for (int64_t i = 0; i < row.channels; i += kLanes)
      store(y + at + i, leaky(value(i) * r) + load(skip + at + i));
  });
}

void ado(const float* x, const float* logits, const float* bias, float threshold, float* y, Row row) {
  each_pixel(row, [&](int64_t at) {
    for (int64_t i = 0; i < row.channels; i += kLanes) {
      const Vector logit = load(logits + at + i) + load(bias + i);
      store(y + at + i, logit >= threshold ? load(x + at + i) : Vector{});
    }
  });
}

/// Row by row, then row to row: short sums lose less.
void sum(const float* x, float* sums, Row row) {
  const int64_t pixel = row.images * row.channels;
  for (int64_t i = 0; i < pixel; i += kLanes) {
    Vector s = {};
    for (int64_t at = i; at < row.pixels * row.channels; at += pixel) s += load(x + at);
    store(sums + i, load(sums + i) + s);
  }
}

void blend(float a, const float* x, float b, const float* z, float* y, int64_t numbers) {
  for (int64_t i = 0; i < numbers; i += kLanes) store(y + i, a * load(x + i) + b * load(z + i));
}

void gate(const float* x, float a, const float* low, float b, const float* high, float* y, int64_t numbers) {
  for (int64_t i = 0; i < numbers; i += kLanes)
    store(y + i, load(x + i) * (a * load(low + i) + b * load(high + i)));
}

void sigmoid(const float* x, const float* bias, float* y, Row row) {
  each_pixel(row, [&](int64_t at) {
    for (int64_t i = 0; i < row.channels; i += kLanes) store(y + at + i, load(x + at + i) + load(bias + i));
  });
  sigmoids(y, row.pixels * row.channels);
}

void leaky(const float* x, const float* bias, float* y, Row row) {
  each_pixel(row, [&](int64_t at) {
    for (int64_t i = 0; i < row.channels; i += kLanes)
      store(y + at + i, leaky(load(x + at + i) + load(bias + i)));
  });
}

// ---- the image

void fold(const float* x, int64_t step, const int64_t* from, int64_t count, float* y, int64_t pixels) {
  using Last = float __attribute__((vector_size(kLast * sizeof(float)), aligned(4), may_alias));
  for (int64_t p = 0; p < pixels; ++p) {
    Last s = {};
    for (int64_t t = 0; t < count; ++t) s += *reinterpret_cast<const Last*>(x + p * step + from[t]);
    *reinterpret_cast<Last*>(y + p * kLast) = s;
  }
}

void emit(float* x, const float* bias, uint8_t* bytes, int64_t pixels, int64_t real) {
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t i = 0; i < kLast; ++i) x[p * kLast + i] += bias[i];
#pragma omp simd
  for (int64_t i = 0; i < pixels * kLast; ++i)  // tanh(x) = 1 - 2 / (1 + e^2x)
    x[i] = 1.0f - 2.0f / (1.0f + ops::exponential(2.0f * x[i]));
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t i = 0; i < real; ++i) bytes[p * real + i] = ops::emit_value(x[p * kLast + i]);
}

}  // namespace

extern const Kernels SAN_TABLE;
const Kernels SAN_TABLE = {kPerWord,     kLanes == 16 ? 2 : 1,
                           convolve,     pack,
                           scale,        norm,
                           act_norm,     norm_act,
                           norm_sigmoid, block,
                           ado,          sum,
                           blend,        gate,
                           sigmoid,      leaky,
                           fold,         emit};

}  // namespace san::packed
