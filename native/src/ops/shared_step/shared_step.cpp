#include "ops/shared_step/shared_step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <type_traits>

#include "ops/reference.h"
#include "ops/tensors.h"
#include "parallel.h"

namespace san::ops {
namespace {

/// Elements [begin, end). `second` may be null, `average` as well.
template <typename T>
SAN_CLONES void update(const SharedStepParams<T> p, const NetworkUpdate<T> first,
                       const NetworkUpdate<T>* second, int64_t begin, int64_t end) {
  // The shares add up to 1, so the decay is the same for both.
  if (second == nullptr) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) p.value[i] -= p.decay * p.value[i] + adam(p, first, i);
  } else {
    const NetworkUpdate<T> other = *second;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i)
      p.value[i] -= p.decay * p.value[i] + (adam(p, first, i) + adam(p, other, i));
  }
  if (p.average == nullptr) return;
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) p.average[i] += p.average_rate * (p.value[i] - p.average[i]);
}

/// In blocks that stay in the nearest cache between the parameter's update and the average's.
template <typename T>
void run(const SharedStepParams<T>& p, const NetworkUpdate<T>& first, const NetworkUpdate<T>* second) {
  constexpr int64_t kBlock = 1024;
  at::parallel_for(0, p.numel, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at += kBlock)
      update<T>(p, first, second, at, std::min(end, at + kBlock));
  });
}

template <typename T>
at::Tensor view(T* data, int64_t n) {
  return at::from_blob(const_cast<std::remove_const_t<T>*>(data), {n},
                       c10::CppTypeToScalarType<std::remove_const_t<T>>::value);
}

template <typename T>
at::Tensor adam_reference(const SharedStepParams<T>& p, const NetworkUpdate<T>& n) {
  const at::Tensor gradient = view(n.gradient, p.numel);
  at::Tensor m = view(n.exp_avg, p.numel), v = view(n.exp_avg_sq, p.numel);
  m.lerp_(gradient, 1 - p.beta1);
  v.mul_(p.beta2).addcmul_(gradient, gradient, 1 - p.beta2);
  return n.share * p.rate * m / (v.sqrt() * p.correction + p.epsilon);
}

template <typename T>
void run_reference(const SharedStepParams<T>& p, const NetworkUpdate<T>& first,
                   const NetworkUpdate<T>* second) {
  at::Tensor step = adam_reference(p, first);
  if (second != nullptr) step = step + adam_reference(p, *second);
  at::Tensor value = view(p.value, p.numel);
  value.sub_(p.decay * value + step);
  if (p.average != nullptr) view(p.average, p.numel).lerp_(value, p.average_rate);
}

}  // namespace

template <typename T>
void shared_step(const SharedStepParams<T>& p, const NetworkUpdate<T>& generator,
                 const NetworkUpdate<T>& reverser) {
  use_reference() ? shared_step_reference(p, generator, reverser) : run(p, generator, &reverser);
}

template <typename T>
void own_step(const SharedStepParams<T>& p, const NetworkUpdate<T>& own) {
  use_reference() ? own_step_reference(p, own) : run<T>(p, own, nullptr);
}

template <typename T>
void shared_step_reference(const SharedStepParams<T>& p, const NetworkUpdate<T>& generator,
                           const NetworkUpdate<T>& reverser) {
  run_reference(p, generator, &reverser);
}

template <typename T>
void own_step_reference(const SharedStepParams<T>& p, const NetworkUpdate<T>& own) {
  run_reference<T>(p, own, nullptr);
}

template void shared_step(const SharedStepParams<float>&, const NetworkUpdate<float>&,
                          const NetworkUpdate<float>&);
template void shared_step(const SharedStepParams<double>&, const NetworkUpdate<double>&,
                          const NetworkUpdate<double>&);
template void own_step(const SharedStepParams<float>&, const NetworkUpdate<float>&);
template void own_step(const SharedStepParams<double>&, const NetworkUpdate<double>&);
template void shared_step_reference(const SharedStepParams<float>&, const NetworkUpdate<float>&,
                                    const NetworkUpdate<float>&);
template void shared_step_reference(const SharedStepParams<double>&, const NetworkUpdate<double>&,
                                    const NetworkUpdate<double>&);
template void own_step_reference(const SharedStepParams<float>&, const NetworkUpdate<float>&);
template void own_step_reference(const SharedStepParams<double>&, const NetworkUpdate<double>&);

}  // namespace san::ops
