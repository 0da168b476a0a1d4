// Kernels of norm_act_skip; norm_act_skip_kernels.h has their traffic, params.h formulas and gradients.
#pragma once

#include <cmath>

#include "ops/cuda/rows.cuh"
#include "ops/norm_act_skip/resample.cuh"

namespace san::ops::cuda {

/// v = LReLU_p(x + bias) of V channels.
template <int V, typename T, typename A>
SAN_DEVICE Pack<A, V> biased(const T* x, const A* bias, int64_t c, A before) {
  Pack<A, V> v = load<V>(x + c);
  if (bias != nullptr) {
    const Pack<A, V> b = load<V>(bias + c);
    SAN_UNROLL
    for (int e = 0; e < V; ++e) v.at[e] += b.at[e];
  }
  SAN_UNROLL
  for (int e = 0; e < V; ++e) v.at[e] = leaky(v.at[e], before);
  return v;
}

template <typename A>
SAN_DEVICE A inverse_root(A sum, int64_t channels) {
  return A(1) / sqrt(sum / static_cast<A>(channels) + static_cast<A>(kNormEpsilon));
}

template <int V, typename A>
SAN_DEVICE Pack<A, V> norm_act_values(const Pack<A, V>& v, A r, A after, const Pack<A, V>& skip) {
  Pack<A, V> y;
  SAN_UNROLL
  for (int e = 0; e < V; ++e) y.at[e] = norm_act_value(v.at[e], r, after) + skip.at[e];
  return y;
}

/// The skip at V channels; zeros where there is none.
template <int V, typename T, typename A>
SAN_DEVICE Pack<A, V> skip_values(const NormActForward<T, A>& p, int64_t pixel, int64_t c) {
  if (p.skip.source != nullptr) {
    if (same_shape(p.skip)) return load<V>(p.skip.source + pixel * p.channels + c);
    const auto row = static_cast<unsigned>(pixel) / p.width;
    return resample<V>(p.skip, row, static_cast<unsigned>(pixel) - row * p.width, c);
  }
  Pack<A, V> none;
  SAN_UNROLL
  for (int e = 0; e < V; ++e) none.at[e] = 0;
  return none;
}

/// Packs of a pixel up to which the skip is read together with x, before the sum over channels is known: more
/// registers would cost more than the wait.
inline constexpr int kEarlySkips = 2;

template <typename T, typename A, int V, int N>
__global__ void __launch_bounds__(kBlock) norm_act_forward_kernel(NormActForward<T, A> p, unsigned lanes) {
  const Place at(lanes);
  for (int64_t base = at.first(); base < p.pixels; base += at.step()) {
    const int64_t pixel = base + at.group;
    const bool active = pixel < p.pixels;
    const T* x = p.x + pixel * p.channels;
    A sum = 0;
    if constexpr (N > 0) {
      constexpr bool kEarly = N <= kEarlySkips;
      Pack<A, V> v[N], skip[kEarly ? N : 1];
      SAN_UNROLL
      for (int n = 0; n < N; ++n) {
        const int64_t c = (int64_t{n} * lanes + at.lane) * V;
        if (!active || c >= p.channels) continue;
        v[n] = biased<V>(x, p.bias, c, p.before);
        if constexpr (kEarly) skip[n] = skip_values<V>(p, pixel, c);
        SAN_UNROLL
        for (int e = 0; e < V; ++e) sum += v[n].at[e] * v[n].at[e];
      }
      const A r = inverse_root(sum_over_lanes(sum, lanes), p.channels);
      if (active && at.lane == 0) p.r[pixel] = r;
      SAN_UNROLL
      for (int n = 0; n < N; ++n) {
        const int64_t c = (int64_t{n} * lanes + at.lane) * V;
        if (!active || c >= p.channels) continue;
        if constexpr (!kEarly) skip[0] = skip_values<V>(p, pixel, c);
        store<V>(p.y + pixel * p.channels + c, norm_act_values(v[n], r, p.after, skip[kEarly ? n : 0]));
      }
    } else {
      const int64_t first = active ? int64_t{at.lane} * V : p.channels;
      for (int64_t c = first; c < p.channels; c += int64_t{lanes} * V) {
        const Pack<A, V> v = biased<V>(x, p.bias, c, p.before);
        SAN_UNROLL
        for (int e = 0; e < V; ++e) sum += v.at[e] * v.at[e];
      }
      const A r = inverse_root(sum_over_lanes(sum, lanes), p.channels);
      if (active && at.lane == 0) p.r[pixel] = r;
      for (int64_t c = first; c < p.channels; c += int64_t{lanes} * V)
        store<V>(p.y + pixel * p.channels + c,
                 norm_act_values(biased<V>(x, p.bias, c, p.before), r, p.after, skip_values<V>(p, pixel, c)));
    }
  }
}

/// Adds this pack's terms of sum(v u) to `sum`.
template <int V, typename A>
SAN_DEVICE void add_products(const Pack<A, V>& v, const Pack<A, V>& g, A after, A& sum) {
  SAN_UNROLL
  for (int e = 0; e < V; ++e) sum += v.at[e] * leaky_gradient(g.at[e], v.at[e], after);
}

template <int V, typename T, typename A>
SAN_DEVICE Pack<A, V> norm_act_gradients(const NormActBackward<T, A>& p, const Pack<A, V>& v,
                                         const Pack<A, V>& g, A r, A a) {
  Pack<A, V> d;
  SAN_UNROLL
  for (int e = 0; e < V; ++e) d.at[e] = norm_act_gradient(g.at[e], v.at[e], r, a, p.before, p.after);
  return d;
}

template <typename T, typename A, int V, int N>
__global__ void __launch_bounds__(kBlock) norm_act_backward_kernel(NormActBackward<T, A> p, unsigned lanes) {
  const Place at(lanes);
  Pack<A, V> sums[N > 0 ? N : 1] = {};
  for (int64_t base = at.first(); base < p.pixels; base += at.step()) {
    const int64_t pixel = base + at.group, offset = pixel * p.channels;
    const bool active = pixel < p.pixels;
    const A r = active ? p.r[pixel] : A(0);
    const A cube = r * r * r / static_cast<A>(p.channels);
    A sum = 0;
    if constexpr (N > 0) {
      Pack<A, V> v[N], g[N];
      SAN_UNROLL
      for (int n = 0; n < N; ++n) {
        const int64_t c = (int64_t{n} * lanes + at.lane) * V;
        if (!active || c >= p.channels) continue;
        g[n] = load<V>(p.g + offset + c);
        v[n] = biased<V>(p.x + offset, p.bias, c, p.before);
        add_products(v[n], g[n], p.after, sum);
      }
      const A a = cube * sum_over_lanes(sum, lanes);
      SAN_UNROLL
      for (int n = 0; n < N; ++n) {
        const int64_t c = (int64_t{n} * lanes + at.lane) * V;
        if (!active || c >= p.channels) continue;
        const Pack<A, V> d = norm_act_gradients(p, v[n], g[n], r, a);
        store<V>(p.dx + offset + c, d);
        SAN_UNROLL
        for (int e = 0; e < V; ++e) sums[n].at[e] += d.at[e];
      }
    } else {
      const int64_t first = active ? int64_t{at.lane} * V : p.channels;
      for (int64_t c = first; c < p.channels; c += int64_t{lanes} * V)
        add_products(biased<V>(p.x + offset, p.bias, c, p.before), load<V>(p.g + offset + c), p.after, sum);
      const A a = cube * sum_over_lanes(sum, lanes);
      for (int64_t c = first; c < p.channels; c += int64_t{lanes} * V)
        store<V>(p.dx + offset + c, norm_act_gradients(p, biased<V>(p.x + offset, p.bias, c, p.before),
                                                       load<V>(p.g + offset + c), r, a));
    }
  }
  if constexpr (N > 0) {
    if (p.partial == nullptr) return;
    SAN_UNROLL
    for (int n = 0; n < N; ++n) {
      const int64_t c = (int64_t{n} * lanes + at.lane) * V;
      write_block_sums(sums[n], lanes, p.partial + blockIdx.x * p.channels + c, c < p.channels);
    }
  }
}

template <typename T, int V>
__global__ void __launch_bounds__(kBlock) skip_gradient_kernel(SkipGradient<T> p, unsigned lanes) {
  const Place at(lanes);
  for (int64_t pixel = at.first() + at.group; pixel < p.pixels; pixel += at.step()) {
    const auto row = static_cast<unsigned>(pixel) / p.width;
    const unsigned column = static_cast<unsigned>(pixel) - row * p.width;
    for (int64_t c = int64_t{at.lane} * V; c < p.in.to; c += int64_t{lanes} * V)
      store<V>(p.out + pixel * p.in.to + c, resample<V>(p.in, row, column, c));
  }
}

}  // namespace san::ops::cuda
