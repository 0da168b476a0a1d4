// Rows of channels over threads: `lanes` neighbouring threads take a pixel, each of them packs of `V`
// channels, lane by lane, so that a warp's accesses are contiguous. Sums over channels go through shuffles,
// sums over pixels through each block's partial sums (one row of C a block) and finish_sums: no atomics, and
// the order of additions depends on the shape alone.
#pragma once

#include <algorithm>
#include <bit>

#include "ops/cuda/launch.h"

namespace san::ops::cuda {

/// Threads of a block, of every kernel over rows.
inline constexpr unsigned kBlock = 256;
/// Packs that a thread keeps of a pixel; what needs more is read again. float64 serves tests, and gets less
/// code.
template <typename T>
inline constexpr int kKeptPacks = sizeof(T) == 8 ? 1 : 4;

/// Blocks of a grid that leaves partial sums, one row a block: four on each multiprocessor of an H200 (132),
/// which all run at once where a thread has at most 64 registers. A constant, so that the order of additions
/// is the same on each device.
inline constexpr unsigned kSummingBlocks = 528;
/// Blocks of another grid: so many waves that the last one, which is not full, costs little.
inline constexpr unsigned kMostBlocks = 16384;

inline unsigned block_limit(unsigned on_a_gpu) {
#if defined(__CUDACC__)
  return on_a_gpu;
#else
  return emulation::block_limit(on_a_gpu);
#endif
}

struct Rows {
  unsigned lanes;
  /// Packs that a lane takes of a pixel: a power of two, or 0 where they are more than it may keep.
  int packs;
  /// Channels of a pack: 16 bytes of them, or 1.
  int vector;

  unsigned pixels_in_block() const { return kBlock / lanes; }

  /// Blocks for the pixels of each of `samples`, at least one; together at most `limit`, if there are fewer
  /// samples than that.
  unsigned blocks(int64_t pixels, unsigned limit, int64_t samples = 1) const {
    const int64_t wanted = (pixels + pixels_in_block() - 1) / pixels_in_block();
    const int64_t most = block_limit(limit) / std::max<int64_t>(1, samples);
    return static_cast<unsigned>(std::clamp<int64_t>(most, 1, std::max<int64_t>(1, wanted)));
  }
};

/// How rows of `channels` elements of T are spread; packs are of `widest` elements, or of one.
template <typename T>
Rows rows_of(int64_t channels, int widest = kVector<T>) {
  const int vector = channels % widest == 0 ? widest : 1;
  const auto packs = static_cast<uint64_t>(channels / vector);
  const auto lanes = static_cast<unsigned>(std::min<uint64_t>(kWarp, std::bit_ceil(packs)));
  const uint64_t each = std::bit_ceil((packs + lanes - 1) / lanes);
  return {lanes, each > kKeptPacks<T> ? 0 : static_cast<int>(each), vector};
}

/// The place of a thread among the rows.
struct Place {
  unsigned lane, group, groups;

  SAN_DEVICE explicit Place(unsigned lanes)
      : lane(threadIdx.x & (lanes - 1)), group(threadIdx.x / lanes), groups(kBlock / lanes) {}

  /// The first pixel of this block, and how far it is to its next ones. Whole blocks run the same number of
  /// times, so that shuffles and barriers inside are met by all.
  SAN_DEVICE int64_t first() const { return int64_t{blockIdx.x} * groups; }
  SAN_DEVICE int64_t step() const { return int64_t{gridDim.x} * groups; }
};

/// Calls kernel.template operator()<V, N>() with the compile-time form of `rows`; N is 0 for rows too wide to
/// keep.
template <typename T, int N = 1, typename F>
void with_packs(const Rows& rows, const F& f) {
  const bool wide = rows.vector > 1;
  if (rows.packs == N || N == 0) {
    if (wide)
      f.template operator()<kVector<T>, N>();
    else
      f.template operator()<1, N>();
  } else if constexpr (N < kKeptPacks<T>) {
    with_packs<T, N * 2>(rows, f);
  } else {
    with_packs<T, 0>(rows, f);
  }
}

/// Calls kernel.template operator()<V>(), for kernels that go over a pixel's packs one by one.
template <typename T, typename F>
void with_vector(const Rows& rows, const F& f) {
  if (rows.vector > 1)
    f.template operator()<kVector<T>>();
  else
    f.template operator()<1>();
}

/// Adds up `sums` of all threads of the block that have the same lane, in order, and writes them to
/// out[0 ... V) of that lane's channel, where it has one. All threads call it.
template <int V, typename A>
SAN_DEVICE void write_block_sums(const Pack<A, V>& sums, unsigned lanes, A* out, bool has_channel) {
  constexpr unsigned kWarps = kBlock / kWarp;
  SAN_SHARED(A, shared, kWarps * kWarp * V);
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  SAN_UNROLL
  for (int e = 0; e < V; ++e) {
    const A sum = sum_over_groups(sums.at[e], lanes);
    if (lane < lanes) shared[(warp * lanes + lane) * V + e] = sum;
  }
  __syncthreads();
  if (threadIdx.x < lanes && has_channel) {
    SAN_UNROLL
    for (int e = 0; e < V; ++e) {
      A total = 0;
      for (unsigned w = 0; w < kWarps; ++w) total += shared[(w * lanes + threadIdx.x) * V + e];
      out[e] = total;
    }
  }
  __syncthreads();
}

/// Each block's sums over its pixels of x (samples, pixels, channels), times those of `factor` unless null.
/// partial is (samples, blocks, channels).
template <typename T>
struct ColumnSums {
  const T *x, *factor;
  Accumulator<T>* partial;
  int64_t pixels, channels, samples;
};

/// blockIdx.y counts ranges of lanes * V channels, blockIdx.z samples.
template <typename T, int V>
__global__ void __launch_bounds__(kBlock) column_sums_kernel(ColumnSums<T> p, unsigned lanes) {
  using A = Accumulator<T>;
  const Place at(lanes);
  const int64_t c = (int64_t{blockIdx.y} * lanes + at.lane) * V;
  for (int64_t sample = blockIdx.z; sample < p.samples; sample += gridDim.z) {
    Pack<A, V> sums = {};
    if (c < p.channels)
      for (int64_t pixel = at.first() + at.group; pixel < p.pixels; pixel += at.step()) {
        const int64_t offset = (sample * p.pixels + pixel) * p.channels + c;
        const Pack<A, V> x = load<V>(p.x + offset);
        if (p.factor == nullptr) {
          SAN_UNROLL
          for (int e = 0; e < V; ++e) sums.at[e] += x.at[e];
        } else {
          const Pack<A, V> factor = load<V>(p.factor + offset);
          SAN_UNROLL
          for (int e = 0; e < V; ++e) sums.at[e] += x.at[e] * factor.at[e];
        }
      }
    write_block_sums(sums, lanes, p.partial + (sample * gridDim.x + blockIdx.x) * p.channels + c,
                     c < p.channels);
  }
}

/// A grid for `samples` of rows: blockIdx.x over pixels, y over ranges of channels, z over samples.
inline dim3 sample_grid(const Rows& rows, unsigned blocks, int64_t channels, int64_t samples) {
  const int64_t range = int64_t{rows.lanes} * rows.vector;
  return {blocks, static_cast<unsigned>((channels + range - 1) / range),
          static_cast<unsigned>(std::min<int64_t>(samples, 65535))};
}

template <typename T>
void column_sums(const ColumnSums<T>& p, unsigned blocks, cudaStream_t stream) {
  const Rows rows = rows_of<T>(p.channels);
  with_vector<T>(rows, [&]<int V>() {
    launch(column_sums_kernel<T, V>, sample_grid(rows, blocks, p.channels, p.samples), kBlock, stream, p,
           rows.lanes);
  });
}

/// out (channels) = the sums over `parts` of partial (parts, channels).
template <typename A>
struct FinishSums {
  const A* partial;
  A* out;
  int64_t parts, channels;
};

template <typename A>
__global__ void finish_sums_kernel(FinishSums<A> p) {
  constexpr unsigned kSlices = kBlock / kWarp;
  SAN_SHARED(double, shared, kBlock);
  const unsigned lane = threadIdx.x % kWarp, slice = threadIdx.x / kWarp;
  const int64_t channel = int64_t{blockIdx.x} * kWarp + lane;
  double sum = 0;
  if (channel < p.channels)
    for (int64_t part = slice; part < p.parts; part += kSlices) sum += p.partial[part * p.channels + channel];
  shared[threadIdx.x] = sum;
  __syncthreads();
  if (slice != 0 || channel >= p.channels) return;
  for (unsigned s = 1; s < kSlices; ++s) sum += shared[s * kWarp + lane];
  p.out[channel] = static_cast<A>(sum);
}

template <typename A>
void finish_sums(const FinishSums<A>& p, cudaStream_t stream) {
  launch(finish_sums_kernel<A>, static_cast<unsigned>((p.channels + kWarp - 1) / kWarp), kBlock, stream, p);
}

}  // namespace san::ops::cuda
