// The gate of ADO (spec, section 1, "Parts").
//
//   a = sigmoid(l),   y = x where a >= threshold, else 0
// Gradient for an incoming g, straight through the mask:
//   dx = g where a >= threshold, else 0;   dl = g x a (1 - a)
//
// Memory traffic per element: forward reads l and x and writes a and y; backward reads g, x and a and writes
// dx and dl.
#pragma once

namespace san::ops {

template <typename T>
struct AdoGradient {
  T x, logit;
};

template <typename T>
inline T ado_value(T x, T a, T threshold) {
  return a >= threshold ? x : T(0);
}

template <typename T>
inline AdoGradient<T> ado_gradient(T g, T x, T a, T threshold) {
  return {a >= threshold ? g : T(0), g * x * a * (1 - a)};
}

}  // namespace san::ops
