// The gate of ADO (spec, section 1, "Parts").
//
//   a = sigmoid(l + bias),   y = x where a >= threshold, else 0
// Gradient for an incoming g, straight through the mask:
//   dx = g where a >= threshold, else 0;   dl = g x a (1 - a);   d bias = sum over pixels of dl
//
// Memory traffic per element: forward reads l and x and writes y; backward reads g, x and l and writes dx and
// dl. The sigmoid is computed again rather than kept. Sums over pixels run in pieces, whose bounds depend on
// the shape alone.
#pragma once

#include "ops/elementwise.h"

namespace san::ops {

template <typename T>
struct AdoGradient {
  T x, logit;
};

template <typename T>
SAN_HD T ado_value(T x, T a, T threshold) {
  return a >= threshold ? x : T(0);
}

template <typename T>
SAN_HD AdoGradient<T> ado_gradient(T g, T x, T a, T threshold) {
  return {a >= threshold ? g : T(0), g * x * a * (T(1) - a)};
}

}  // namespace san::ops
