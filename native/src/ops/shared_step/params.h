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

/// Advances the moments of element i and returns the network's share of the Adam step, weight decay left out.
template <typename T>
SAN_HD T adam(const SharedStepParams<T>& p, const NetworkUpdate<T>& n, int64_t i) {
  const T gradient = n.gradient[i];
  const T m = n.exp_avg[i] + (1 - p.beta1) * (gradient - n.exp_avg[i]);
  const T v = p.beta2 * n.exp_avg_sq[i] + (1 - p.beta2) * gradient * gradient;
  n.exp_avg[i] = m;
  n.exp_avg_sq[i] = v;
  return n.share * p.rate * m / (std::sqrt(v) * p.correction + p.epsilon);
}

}  // namespace san::ops
