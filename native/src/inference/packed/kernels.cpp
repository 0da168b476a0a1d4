// Compiled for SAN_LANES float32 numbers in a vector, with or without SAN_BFLOAT16 (CMakeLists.txt).
// Everything here has internal linkage but the table: what the linker merges must not hold instructions of
// one set.
#include "inference/packed/kernels.h"

#include "inference/packed/tiles.h"
#include "inference/packed/vector.h"
#include "ops/elementwise.h"
#include "ops/emit/params.h"
#include "ops/norm_act_skip/params.h"

namespace san::packed {
namespace {

constexpr float kSlope = 0.2f;

inline Vector leaky(Vector v) { return v >= 0 ? v : v * kSlope; }

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
  if (run.pixels <= most) return tile_of<most, B>(run.pixels, taps, count, weights, run);
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

template <int B>
void points_of(const Products& p, const float* words, const float* weights, float* sums) {
  const int64_t most = kTile<B>, tiles = (p.pixels + most - 1) / most, size = (p.pixels + tiles - 1) / tiles;
  for (int64_t first = 0; first < p.pixels; first += size) {
    const Tap tap{0, 0, p.words};
    const int64_t pixels = p.pixels - first < size ? p.pixels - first : size;
    tile_of<most, B>(
        pixels, &tap, 1, weights,
        {words + first * p.word_step, p.word_step, sums + first * p.sum_step, p.sum_step, pixels});
  }
}

void products(const Products& p) {
  constexpr int64_t most = kLanes == 16 ? 2 : 1;
  const int64_t group = p.points * p.words * kBlock;
  for (int64_t i = 0; i < p.points; ++i) {
    const float* words = p.inputs + i * p.pixels * p.word_step;
    float* sums = p.sums + i * p.pixels * p.sum_step;
    for (int64_t b = 0; b < p.blocks; b += most) {
      const int64_t blocks = p.blocks - b < most ? p.blocks - b : most;
      const float* weights = p.weights + b * group + i * p.words * blocks * kBlock;
      if constexpr (most == 2) {
        if (blocks == 2) {
          points_of<2>(p, words, weights, sums + b * kBlock);
          continue;
        }
      }
      points_of<1>(p, words, weights, sums + b * kBlock);
    }
  }
}

// ---- rows of pixels

/// As each_norm, for kLanes pixels or, unless `all`, `count` of them from `first` on.
template <bool all, typename F, typename G>
[[gnu::always_inline]] inline void lanes_norm(const Row& row, int64_t first, int64_t count, const F& value,
                                              const G& use) {
  const float scale = 1.0f / static_cast<float>(row.real);
  Vector squares[kLanes];
#pragma GCC unroll 16
  for (int64_t p = 0; p < kLanes; ++p) {
    squares[p] = Vector{};
    if (!all && p >= count) continue;
    const int64_t at = (first + p) * row.channels;
    for (int64_t i = 0; i < row.channels; i += kLanes) {
      const Vector v = value(at, i);
      squares[p] += v * v;
    }
  }
  float norms[kLanes];
  store(norms, sums_of(squares));
#pragma omp simd
  for (int64_t p = 0; p < kLanes; ++p)
    norms[p] = 1.0f / __builtin_sqrtf(norms[p] * scale + static_cast<float>(ops::kNormEpsilon));
  for (int64_t p = 0; p < (all ? kLanes : count); ++p) use((first + p) * row.channels, norms[p]);
}

/// use(pixel's place, 1 / sqrt(mean of value(place, i)^2 + epsilon)) for each pixel. Roots are taken
/// together.
template <typename F, typename G>
[[gnu::always_inline]] inline void norms_of(const Row& row, const F& value, const G& use) {
  int64_t first = 0;
  for (; first + kLanes <= row.pixels; first += kLanes) lanes_norm<true>(row, first, kLanes, value, use);
  if (first < row.pixels) lanes_norm<false>(row, first, row.pixels - first, value, use);
}

template <typename F, typename G>
inline void each_norm(const Row& row, const F& value, const G& use) {
  // One vector of channels is what the largest planes have: its loops vanish.
  if (row.channels == kLanes)
    norms_of({row.pixels, row.images, kLanes, row.real}, value, use);
  else
    norms_of(row, value, use);
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
  each_norm(
      row, [&](int64_t at, int64_t i) { return load(x + at + i); },
      [&](int64_t at, float r) {
        for (int64_t i = 0; i < row.channels; i += kLanes) store_words(words, at + i, load(x + at + i) * r);
      });
}

void act_norm(const float* x, const float* bias, float* words, Row row) {
  const auto value = [&](int64_t at, int64_t i) { return leaky(load(x + at + i) + load(bias + i)); };
  each_norm(row, value, [&](int64_t at, float r) {
    for (int64_t i = 0; i < row.channels; i += kLanes) store_words(words, at + i, value(at, i) * r);
  });
}

void norm_act(const float* x, const float* bias, float* words, Row row) {
  const auto value = [&](int64_t at, int64_t i) { return load(x + at + i) + load(bias + i); };
  each_norm(row, value, [&](int64_t at, float r) {
    for (int64_t i = 0; i < row.channels; i += kLanes) store_words(words, at + i, leaky(value(at, i) * r));
  });
}

void sigmoids(float* y, int64_t numbers) {
#pragma omp simd
  for (int64_t i = 0; i < numbers; ++i) y[i] = ops::sigmoid(y[i]);
}

void norm_sigmoid(const float* x, const float* bias, float* s, Row row) {
  const auto value = [&](int64_t at, int64_t i) { return load(x + at + i) + load(bias + i); };
  each_norm(row, value, [&](int64_t at, float r) {
    for (int64_t i = 0; i < row.channels; i += kLanes) store(s + at + i, value(at, i) * r);
  });
  sigmoids(s, row.pixels * row.channels);
}

void block(const float* x, const float* bias, const float* skip, float* y, Row row) {
  const auto value = [&](int64_t at, int64_t i) { return load(x + at + i) + load(bias + i); };
  each_norm(row, value, [&](int64_t at, float r) {
    for (int64_t i = 0; i < row.channels; i += kLanes)
      store(y + at + i, leaky(value(at, i) * r) + load(skip + at + i));
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

/// Pairs of neighbouring channels are pairs of lanes.
void halve(const float* x, float* y, int64_t numbers) {
  for (int64_t i = 0; i < numbers; i += kLanes) {
    Vector pairs[2] = {load(x + 2 * i), load(x + 2 * i + kLanes)};
    store(y + i, pair_sums(pairs[0], pairs[1]) * 0.5f);
  }
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
const Kernels SAN_TABLE = {.channels_per_word = kPerWord,
                           .most_blocks = kLanes == 16 ? 2 : 1,
                           .convolve = convolve,
                           .products = products,
                           .tiles_in = {tiles_in<2>, tiles_in<4>},
                           .tiles_out = {tiles_out<2>, tiles_out<4>},
                           .pack = pack,
                           .scale = scale,
                           .norm = norm,
                           .act_norm = act_norm,
                           .norm_act = norm_act,
                           .norm_sigmoid = norm_sigmoid,
                           .block = block,
                           .ado = ado,
                           .sum = sum,
                           .blend = blend,
                           .gate = gate,
                           .sigmoid = sigmoid,
                           .leaky = leaky,
                           .halve = halve,
                           .fold = fold,
                           .emit = emit};

}  // namespace san::packed
