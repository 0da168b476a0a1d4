#include "ops/feed/feed.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "ops/reference.h"

namespace san::ops {
namespace {

#define SAN_INLINE inline __attribute__((always_inline))

/// Four values side by side: the channels of a colour pixel and one that is not used.
template <typename T>
using Four __attribute__((vector_size(4 * sizeof(T)))) = T;
using FourWords __attribute__((vector_size(16))) = uint32_t;
using FourNumbers __attribute__((vector_size(16))) = int32_t;

/// Room beyond an image that the right and lower neighbours of its last pixels are read from, with weight 0.
size_t slack(const FeedSource& source) {
  return static_cast<size_t>((source.size + 2) * source.channels + 4);
}

/// Where a row of output pixels is taken from.
template <typename T>
struct RowPlan {
  explicit RowPlan(int64_t size) : from(size), right(size), down(size) {}

  /// Number of the upper left source pixel, and the weights of its right and lower neighbours.
  std::vector<int32_t> from;
  std::vector<T> right, down;
};

template <typename T>
struct Scratch {
  explicit Scratch(const FeedSource& source)
      : plan(source.size),
        pixels(static_cast<size_t>(source.size * source.size * source.channels) + slack(source)) {}

  RowPlan<T> plan;
  /// One image and its slack.
  std::vector<uint8_t> pixels;
};

template <typename T>
SAN_INLINE void plan_row(const double* geometry, int64_t row, int64_t size, RowPlan<T>& plan) {
  const T side = static_cast<T>(size), centre = static_cast<T>(size - 1) / 2;
  const T y = static_cast<T>(row) - centre;
  const T du = static_cast<T>(geometry[0]), dv = static_cast<T>(geometry[3]);
  const T u0 = static_cast<T>(geometry[1]) * y + static_cast<T>(geometry[2]) + centre;
  const T v0 = static_cast<T>(geometry[4]) * y + static_cast<T>(geometry[5]) + centre;
  int32_t* from = plan.from.data();
  T *right = plan.right.data(), *down = plan.down.data();
  const auto width = static_cast<int32_t>(size);
  for (int32_t x = 0; x < width; ++x) {
    const T along = static_cast<T>(x) - centre;
    const T u = mirrored(du * along + u0, side), v = mirrored(dv * along + v0, side);
    const auto column = static_cast<int32_t>(u), line = static_cast<int32_t>(v);
    from[x] = line * width + column;
    right[x] = u - static_cast<T>(column);
    down[x] = v - static_cast<T>(line);
  }
}

template <typename T>
SAN_INLINE Four<T> colour_pixel(const uint8_t* at) {
  uint32_t word;
  std::memcpy(&word, at, sizeof word);
  const FourWords shifted = FourWords{word, word, word, word} >> FourWords{0, 8, 16, 24};
  return __builtin_convertvector(reinterpret_cast<FourNumbers>(shifted & 255u), Four<T>);
}

template <typename T>
SAN_INLINE Four<T> clamped(Four<T> q) {
  const Four<T> low = {-1, -1, -1, -1}, high = {1, 1, 1, 1};
  q = q > low ? q : low;
  return q < high ? q : high;
}

template <typename T, bool kColours>
SAN_INLINE void colour_row(const uint8_t* pixels, int64_t size, const RowPlan<T>& plan,
                           const Four<T> (&columns)[4], T* out) {
  const int64_t line = 3 * size;
  for (int64_t x = 0; x < size; ++x) {
    const uint8_t* at = pixels + 3 * static_cast<int64_t>(plan.from[x]);
    const Four<T> p = bilinear(colour_pixel<T>(at), colour_pixel<T>(at + 3), colour_pixel<T>(at + line),
                               colour_pixel<T>(at + line + 3), plan.right[x], plan.down[x]);
    Four<T> q = normalised(p, T{});
    if constexpr (kColours)
      q = clamped<T>(columns[0] * q[0] + columns[1] * q[1] + columns[2] * q[2] + columns[3]);
    std::memcpy(out + 3 * x, &q, 3 * sizeof(T));
  }
}

template <typename T>
SAN_INLINE void other_row(const uint8_t* pixels, const FeedSource& source, const RowPlan<T>& plan,
                          const FeedTransform& transform, T* out) {
  const int64_t channels = source.channels, line = channels * source.size;
  const double* k = transform.colour;
  const T factor = static_cast<T>(k[0] + k[1] + k[2]), offset = static_cast<T>(k[3]);
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t x = 0; x < source.size; ++x) {
      const uint8_t* at = pixels + channels * static_cast<int64_t>(plan.from[x]) + c;
      T q = normalised(bilinear(static_cast<T>(at[0]), static_cast<T>(at[channels]), static_cast<T>(at[line]),
                                static_cast<T>(at[line + channels]), plan.right[x], plan.down[x]),
                       T{});
      if (transform.colours) q = std::clamp(factor * q + offset, T(-1), T(1));
      out[channels * x + c] = q;
    }
}

template <typename T>
SAN_INLINE void feed_plain(const uint8_t* pixels, int64_t count, T* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = normalised(static_cast<T>(pixels[i]), T{});
}

template <typename T>
SAN_INLINE void feed_changed(const FeedSource& source, const uint8_t* image, const FeedTransform& transform,
                             Scratch<T>& scratch, T* out) {
  const int64_t size = source.size, line = size * source.channels;
  uint8_t* pixels = scratch.pixels.data();
  std::memcpy(pixels, image, static_cast<size_t>(line * size));
  const auto column = [&](int j) {
    const double* k = transform.colour + j;
    return Four<T>{static_cast<T>(k[0]), static_cast<T>(k[4]), static_cast<T>(k[8]), T(0)};
  };
  const Four<T> columns[4] = {column(0), column(1), column(2), column(3)};
  for (int64_t y = 0; y < size; ++y) {
    T* row = out + y * line;
    plan_row(transform.geometry, y, size, scratch.plan);
    if (source.channels != 3)
      other_row(pixels, source, scratch.plan, transform, row);
    else if (transform.colours)
      colour_row<T, true>(pixels, size, scratch.plan, columns, row);
    else
      colour_row<T, false>(pixels, size, scratch.plan, columns, row);
    if (y >= transform.cut_top && y < transform.cut_bottom)
      std::fill(row + transform.cut_left * source.channels, row + transform.cut_right * source.channels,
                T(0));
  }
}

template <typename T>
SAN_INLINE void feed_all(const FeedSource& source, const std::vector<int64_t>& indices,
                         const std::vector<FeedTransform>& transforms, T* out) {
  const int64_t count = source.size * source.size * source.channels;
  Scratch<T> scratch(source);
  for (size_t i = 0; i < indices.size(); ++i) {
    const uint8_t* image = source.pixels + indices[i] * count;
    const FeedTransform& transform = transforms[i];
    const bool cuts = transform.cut_right > transform.cut_left && transform.cut_bottom > transform.cut_top;
    if (transform.moves || transform.colours || cuts)
      feed_changed(source, image, transform, scratch, out);
    else
      feed_plain(image, count, out);
    out += count;
  }
}

// Clones are not made of templates.
SAN_CLONES void feed_floats(const FeedSource& source, const std::vector<int64_t>& indices,
                            const std::vector<FeedTransform>& transforms, float* out) {
  feed_all(source, indices, transforms, out);
}

SAN_CLONES void feed_doubles(const FeedSource& source, const std::vector<int64_t>& indices,
                             const std::vector<FeedTransform>& transforms, double* out) {
  feed_all(source, indices, transforms, out);
}

at::Tensor numbers(const double* values, at::IntArrayRef shape) {
  return at::from_blob(const_cast<double*>(values), shape, at::kDouble).clone();
}

/// (C, S, S) in [-1, 1], float64.
at::Tensor moved_reference(const at::Tensor& image, const FeedTransform& transform) {
  const int64_t size = image.size(1);
  const double side = static_cast<double>(size), centre = (side - 1) / 2;
  const at::Tensor at = at::arange(size, at::kDouble) - centre;
  const at::Tensor y = at.view({size, 1}), x = at.view({1, size});
  const double* g = transform.geometry;
  const at::Tensor u = x * g[0] + y * g[1] + (g[2] + centre), v = x * g[3] + y * g[4] + (g[5] + centre);
  const at::Tensor grid = (at::stack({u, v}, 2) * 2 + 1) / side - 1;
  constexpr int64_t kBilinear = 0, kReflection = 2;
  return at::grid_sampler_2d(image.unsqueeze(0), grid.unsqueeze(0), kBilinear, kReflection,
                             /*align_corners=*/false)[0];
}

}  // namespace

template <>
void feed<float>(const FeedSource& source, const std::vector<int64_t>& indices,
                 const std::vector<FeedTransform>& transforms, float* out) {
  feed_floats(source, indices, transforms, out);
}

template <>
void feed<double>(const FeedSource& source, const std::vector<int64_t>& indices,
                  const std::vector<FeedTransform>& transforms, double* out) {
  feed_doubles(source, indices, transforms, out);
}

at::Tensor feed_reference(const at::Tensor& images, const std::vector<int64_t>& indices,
                          const std::vector<FeedTransform>& transforms, at::ScalarType dtype) {
  std::vector<at::Tensor> out;
  for (size_t i = 0; i < indices.size(); ++i) {
    const FeedTransform& transform = transforms[i];
    at::Tensor image = images[indices[i]].to(at::kDouble).permute({2, 0, 1}) / 127.5 - 1;
    const int64_t channels = image.size(0), size = image.size(1);
    if (transform.moves) image = moved_reference(image, transform);
    if (transform.colours) {
      const at::Tensor matrix = numbers(transform.colour, {3, 4});
      const at::Tensor k = matrix.slice(1, 0, 3), t = matrix.slice(1, 3, 4);
      image = channels == 3 ? at::matmul(k, image.reshape({3, -1})) + t : image * k[0].sum() + t[0];
      image = image.clamp(-1, 1).reshape({channels, size, size});
    }
    image = image.permute({1, 2, 0}).clone();
    image.slice(0, transform.cut_top, transform.cut_bottom)
        .slice(1, transform.cut_left, transform.cut_right)
        .zero_();
    out.push_back(image);
  }
  return at::stack(out).to(dtype);
}

}  // namespace san::ops
