// One parameter's update (spec, section 3).
//
// For each network n in {G, R} that owns the parameter, from the same old W:
//   m_n <- m_n + (1 - b1)(g_n - m_n),  v_n <- b2 v_n + (1 - b2) g_n^2
//   d_n = lr c W + lr / (1 - b1^t) * m_n / (sqrt(v_n) / sqrt(1 - b2^t) + eps)
// then W <- W - (lambda d_G + (1 - lambda) d_R) for a shared kernel, W <- W - d_n for an own parameter, and
// for what the generator uses E <- E + (1 - decay)(W - E).
//
// Memory traffic of a shared kernel, one pass, per float32 element: read 32 bytes (W, two gradients, four
// moments, E), write 24 (W, four moments, E).
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/device.h"

namespace san::ops {

template <typename T>
struct NetworkUpdate {
  const T* gradient;
  T* exp_avg;
  T* exp_avg_sq;
  /// Share of this network's update in the parameter: lambda, 1 - lambda, or 1 for an own parameter.
  T share;
};

template <typename T>
struct SharedStepParams {
  T* value;
  /// Null where no moving average is kept.
  T* average;
  int64_t numel;
  T beta1, beta2, epsilon;
  /// lr * weight decay.
  T decay;
  /// lr / (1 - beta1^t).
  T rate;
  /// 1 / sqrt(1 - beta2^t).
  T correction;
  /// 1 - EMA decay.
  T average_rate;
};

/// Advances the moments m and v of one element and returns the Adam step, weight decay left out. `p` is
/// anything with beta1, beta2, epsilon, rate and correction.
template <typename P, typename T>
SAN_HD T adam_step(const P& p, T gradient, T& m, T& v) {
  m += (1 - p.beta1) * (gradient - m);
  v = p.beta2 * v + (1 - p.beta2) * gradient * gradient;
  return p.rate * m / (std::sqrt(v) * p.correction + p.epsilon);
}

/// Advances the moments of element i and returns the network's share of its step.
template <typename T>
SAN_HD T adam(const SharedStepParams<T>& p, const NetworkUpdate<T>& n, int64_t i) {
  T m = n.exp_avg[i], v = n.exp_avg_sq[i];
  const T step = n.share * adam_step(p, n.gradient[i], m, v);
  n.exp_avg[i] = m;
  n.exp_avg_sq[i] = v;
  return step;
}

}  // namespace san::ops
