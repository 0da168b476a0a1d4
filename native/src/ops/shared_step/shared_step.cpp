#include "ops/shared_step/shared_step.h"

#include <ATen/Parallel.h>

#include <cmath>

namespace san::ops {
namespace {

// Below this a thread costs more than it saves.
constexpr int64_t kGrain = 32768;

/// Advances the moments and returns the network's share of the Adam step, weight decay left out.
template <typename T>
inline T adam(const SharedStepParams<T>& p, const NetworkUpdate<T>& n, int64_t i) {
  const T gradient = n.gradient[i];
  const T m = n.exp_avg[i] + (1 - p.beta1) * (gradient - n.exp_avg[i]);
  const T v = p.beta2 * n.exp_avg_sq[i] + (1 - p.beta2) * gradient * gradient;
  n.exp_avg[i] = m;
  n.exp_avg_sq[i] = v;
  return n.share * p.rate * m / (std::sqrt(v) * p.correction + p.epsilon);
}

template <typename T, typename Step>
void update(const SharedStepParams<T>& p, const Step& step) {
  at::parallel_for(0, p.numel, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      // The shares add up to 1, so the decay is the same for both.
      const T value = p.value[i] - (p.decay * p.value[i] + step(i));
      p.value[i] = value;
      if (p.average != nullptr) p.average[i] += p.average_rate * (value - p.average[i]);
    }
  });
}

}  // namespace

template <typename T>
void shared_step(const SharedStepParams<T>& p, const NetworkUpdate<T>& generator,
                 const NetworkUpdate<T>& reverser) {
  update(p, [&](int64_t i) { return adam(p, generator, i) + adam(p, reverser, i); });
}

template <typename T>
void own_step(const SharedStepParams<T>& p, const NetworkUpdate<T>& own) {
  update(p, [&](int64_t i) { return adam(p, own, i); });
}

template void shared_step(const SharedStepParams<float>&, const NetworkUpdate<float>&,
                          const NetworkUpdate<float>&);
template void shared_step(const SharedStepParams<double>&, const NetworkUpdate<double>&,
                          const NetworkUpdate<double>&);
template void own_step(const SharedStepParams<float>&, const NetworkUpdate<float>&);
template void own_step(const SharedStepParams<double>&, const NetworkUpdate<double>&);

}  // namespace san::ops
