// feed on the device; params.h has the formulas. Coordinates and colours are computed in float32, or float64
// for T = double.
//
// A block makes a piece of one image. Where an image has 1 or 3 channels and a multiple of four pixels, a
// thread makes four pixels and writes them by accesses of four values, and reads those of an image that
// nothing changes by four bytes at once; otherwise it makes one pixel. Traffic: an image's bytes are read
// once from memory, each value is written once.
#pragma once

#include "ops/cuda/device.cuh"
#include "ops/feed/launch.h"

namespace san::ops {

inline constexpr int kFeedThreads = 256;

template <typename A>
__device__ inline A clamp_unit(A q) {
  const A low = q > A(-1) ? q : A(-1);
  return low < A(1) ? low : A(1);
}

/// A transform's geometry and colours as A, which each block converts once: 6 and 12 numbers.
inline constexpr int kGeometry = 6, kFeedNumbers = 18;

/// All threads of a block call it.
template <typename A>
__device__ inline void convert_numbers(const FeedTransform& t, A* numbers) {
  const auto i = static_cast<int>(threadIdx.x);
  if (i < kFeedNumbers) numbers[i] = static_cast<A>(i < kGeometry ? t.geometry[i] : t.colour[i - kGeometry]);
  __syncthreads();
}

/// Pixels around one place of a source image, and their weights.
template <typename A>
struct FeedTaps {
  int64_t p00, p01, p10, p11;
  A right, down;
};

/// A neighbour beyond the edge has the weight 0; the pixel itself stands for it.
template <typename A>
__device__ inline FeedTaps<A> feed_taps(const A* geometry, int64_t x, int64_t y, int64_t size) {
  const A side = static_cast<A>(size), centre = static_cast<A>(size - 1) / 2;
  const A along = static_cast<A>(x) - centre, across = static_cast<A>(y) - centre;
  const A u0 = geometry[1] * across + geometry[2] + centre;
  const A v0 = geometry[4] * across + geometry[5] + centre;
  const A u = mirrored(geometry[0] * along + u0, side);
  const A v = mirrored(geometry[3] * along + v0, side);
  const int64_t column = static_cast<int>(u), line = static_cast<int>(v);
  const int64_t next = column + 1 < size ? 1 : 0, below = line + 1 < size ? size : 0;
  const int64_t at = line * size + column;
  return {at, at + next, at + below, at + below + next, u - static_cast<A>(column), v - static_cast<A>(line)};
}

template <typename A>
__device__ inline A tapped(const uint8_t* pixels, const FeedTaps<A>& t, int64_t channels, int64_t c) {
  const auto at = [&](int64_t pixel) { return static_cast<A>(__ldg(pixels + pixel * channels + c)); };
  return normalised(bilinear(at(t.p00), at(t.p01), at(t.p10), at(t.p11), t.right, t.down), A{});
}

/// The change of a value's colours alone: images that do not have three channels.
template <typename A>
__device__ inline A other_colour(const FeedTransform& t, A q) {
  if (!t.colours) return q;
  return clamp_unit(static_cast<A>(t.colour[0] + t.colour[1] + t.colour[2]) * q +
                    static_cast<A>(t.colour[3]));
}

template <int kChannels, typename A>
__device__ inline void changed_pixel(const uint8_t* pixels, const FeedTransform& t, const A* numbers,
                                     int64_t x, int64_t y, int64_t size, A* out) {
  if (x >= t.cut_left && x < t.cut_right && y >= t.cut_top && y < t.cut_bottom) {
#pragma unroll
    for (int c = 0; c < kChannels; ++c) out[c] = A(0);
    return;
  }
  const FeedTaps<A> taps = feed_taps(numbers, x, y, size);
  A q[kChannels];
#pragma unroll
  for (int c = 0; c < kChannels; ++c) q[c] = tapped(pixels, taps, kChannels, c);
#pragma unroll
  for (int c = 0; c < kChannels; ++c) {
    if constexpr (kChannels == 3) {
      const A* k = numbers + kGeometry + 4 * c;
      const A mixed = k[0] * q[0] + k[1] * q[1] + k[2] * q[2];
      out[c] = t.colours ? clamp_unit(mixed + k[3]) : q[c];
    } else {
      out[c] = other_colour(t, q[c]);
    }
  }
}

__device__ inline bool changes(const FeedTransform& t) {
  return t.moves || t.colours || (t.cut_right > t.cut_left && t.cut_bottom > t.cut_top);
}

/// Which image, and from which pixel on, a thread works that makes kPixels of them.
struct FeedPlace {
  int64_t image, pixel;
};

template <int kPixels>
__device__ inline FeedPlace feed_place(int64_t area) {
  constexpr int64_t kPiece = int64_t{kFeedThreads} * kPixels;
  const int64_t pieces = (area + kPiece - 1) / kPiece;
  return {blockIdx.x / pieces, blockIdx.x % pieces * kPiece + int64_t{threadIdx.x} * kPixels};
}

/// size * size is a multiple of 4; pixels is aligned to 4 bytes, out to four values.
template <typename T, int kChannels>
__global__ void __launch_bounds__(kFeedThreads) feed_fours(const FeedParams<T> p) {
  using A = cuda::Accumulator<T>;
  constexpr int kPixels = 4;
  const int64_t area = p.size * p.size;
  const FeedPlace place = feed_place<kPixels>(area);
  const FeedTransform& t = p.transforms[place.image];
  SAN_SHARED(A, numbers, kFeedNumbers);
  convert_numbers(t, numbers);
  if (place.pixel >= area) return;
  const int64_t source = p.indices != nullptr ? p.indices[place.image] : place.image;
  const uint8_t* pixels = p.pixels + source * area * kChannels;
  cuda::Pack<A, kPixels> values[kChannels];
  if (!changes(t)) {
#pragma unroll
    for (int k = 0; k < kChannels; ++k) {
      const auto bytes = cuda::load_stored<4>(pixels + place.pixel * kChannels + 4 * k);
#pragma unroll
      for (int e = 0; e < kPixels; ++e) values[k].at[e] = normalised(static_cast<A>(bytes.at[e]), A{});
    }
  } else {
    int64_t y = place.pixel / p.size, x = place.pixel % p.size;
    A made[kPixels * kChannels];
#pragma unroll
    for (int i = 0; i < kPixels; ++i) {
      changed_pixel<kChannels>(pixels, t, numbers, x, y, p.size, made + i * kChannels);
      if (++x == p.size) {
        x = 0;
        ++y;
      }
    }
#pragma unroll
    for (int i = 0; i < kPixels * kChannels; ++i) values[i / kPixels].at[i % kPixels] = made[i];
  }
  T* out = p.out + (place.image * area + place.pixel) * kChannels;
#pragma unroll
  for (int k = 0; k < kChannels; ++k) cuda::store<kPixels>(out + kPixels * k, values[k]);
}

/// Any size and channel count.
template <typename T>
__global__ void __launch_bounds__(kFeedThreads) feed_single(const FeedParams<T> p) {
  using A = cuda::Accumulator<T>;
  const int64_t area = p.size * p.size;
  const FeedPlace place = feed_place<1>(area);
  const FeedTransform& t = p.transforms[place.image];
  SAN_SHARED(A, numbers, kFeedNumbers);
  convert_numbers(t, numbers);
  if (place.pixel >= area) return;
  const int64_t source = p.indices != nullptr ? p.indices[place.image] : place.image;
  const uint8_t* pixels = p.pixels + source * area * p.channels;
  T* out = p.out + (place.image * area + place.pixel) * p.channels;
  const int64_t y = place.pixel / p.size, x = place.pixel % p.size;
  if (p.channels == 3) {
    A made[3];
    changed_pixel<3>(pixels, t, numbers, x, y, p.size, made);
#pragma unroll
    for (int c = 0; c < 3; ++c) out[c] = cuda::narrow<T>(made[c]);
    return;
  }
  const bool cut = x >= t.cut_left && x < t.cut_right && y >= t.cut_top && y < t.cut_bottom;
  const FeedTaps<A> taps = feed_taps(numbers, x, y, p.size);
  for (int64_t c = 0; c < p.channels; ++c)
    out[c] = cuda::narrow<T>(cut ? A(0) : other_colour(t, tapped(pixels, taps, p.channels, c)));
}

}  // namespace san::ops
