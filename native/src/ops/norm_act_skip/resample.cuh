// up() and down() of a skip and their adjoints (spec, section 1, "Parts"), pack by pack.
#pragma once

#include "ops/cuda/device.cuh"
#include "ops/norm_act_skip/norm_act_skip_kernels.h"

namespace san::ops::cuda {

/// V channels from c on, by the channel rule without its scale, of a pixel at p; those of two to one and one
/// to two by vectors, since most blocks have them.
template <int V, typename T>
SAN_DEVICE Pack<Accumulator<T>, V> match_channels(const T* p, int64_t c, int64_t from, int64_t to) {
  Pack<Accumulator<T>, V> out;
  if (from == to) return load<V>(p + c);
  if (from == 2 * to) {
    const Pack<Accumulator<T>, 2 * V> pairs = load<2 * V>(p + 2 * c);
    SAN_UNROLL
    for (int e = 0; e < V; ++e) out.at[e] = pairs.at[2 * e] + pairs.at[2 * e + 1];
  } else if (V > 1 && 2 * from == to) {
    const Pack<Accumulator<T>, (V + 1) / 2> half = load<(V + 1) / 2>(p + c / 2);
    SAN_UNROLL
    for (int e = 0; e < V; ++e) out.at[e] = half.at[e / 2];
  } else if (from > to) {
    const int64_t group = from / to;
    SAN_UNROLL
    for (int e = 0; e < V; ++e) {
      out.at[e] = 0;
      for (int64_t j = 0; j < group; ++j) out.at[e] += widen(p[(c + e) * group + j]);
    }
  } else {
    const auto group = static_cast<unsigned>(to / from), first = static_cast<unsigned>(c);
    SAN_UNROLL
    for (int e = 0; e < V; ++e) out.at[e] = widen(p[(first + e) / group]);
  }
  return out;
}

template <typename T>
SAN_DEVICE bool same_shape(const Resample<T>& s) {
  return s.stride == 1 && s.from == s.to;
}

/// V channels from c on at (row, column) of the target.
template <int V, typename T>
SAN_DEVICE Pack<Accumulator<T>, V> resample(const Resample<T>& s, int64_t row, unsigned column, int64_t c) {
  using A = Accumulator<T>;
  Pack<A, V> out;
  if (s.nearest) {
    const int64_t from_row =
        s.stride == 1 ? row : static_cast<int64_t>(static_cast<uint64_t>(row) / s.stride);
    out = match_channels<V>(s.source + (from_row * s.width + column / s.stride) * s.from, c, s.from, s.to);
  } else {
    SAN_UNROLL
    for (int e = 0; e < V; ++e) out.at[e] = 0;
    for (unsigned i = 0; i < s.stride; ++i)
      for (unsigned j = 0; j < s.stride; ++j) {
        const int64_t pixel = (row * s.stride + i) * s.width + int64_t{column} * s.stride + j;
        const Pack<A, V> one = match_channels<V>(s.source + pixel * s.from, c, s.from, s.to);
        SAN_UNROLL
        for (int e = 0; e < V; ++e) out.at[e] += one.at[e];
      }
  }
  const A scale = static_cast<A>(s.scale);
  SAN_UNROLL
  for (int e = 0; e < V; ++e) out.at[e] *= scale;
  return out;
}

}  // namespace san::ops::cuda
