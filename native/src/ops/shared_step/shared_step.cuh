// The update of all parameters of both networks; params.h has the formulas, launch.h what lies where.
//
// check_gradients reads every gradient once. begin_step is one block: it joins the chunks' findings in an
// order that no thread changes and works out the step's rates in float64. update_parameters reads and writes
// each value once, by 16-byte accesses where every pointer allows: of a shared float32 kernel with a bfloat16
// copy 58 bytes an element (read W, two gradients, four moments, E; write W, four moments, E, the copy).
#pragma once

#include "ops/cuda/device.cuh"
#include "ops/shared_step/launch.h"
#include "ops/shared_step/params.h"

namespace san::ops {

inline constexpr int kStepThreads = 256, kBeginThreads = 1024;

/// The least of `v` over a block of kThreads, in thread 0.
template <int kThreads>
__device__ inline int32_t least_of_block(int32_t v) {
  SAN_SHARED(int32_t, found, kThreads);
  found[threadIdx.x] = v;
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half && found[threadIdx.x + half] < found[threadIdx.x])
      found[threadIdx.x] = found[threadIdx.x + half];
  }
  return found[threadIdx.x];
}

/// Whether x is neither infinite nor NaN.
template <typename A>
__device__ inline bool finite(A x) {
  return x - x == A(0);
}

template <typename G>
__device__ inline bool finite_piece(const G* gradient, int64_t begin, int64_t end) {
  constexpr int kN = cuda::kVector<G>;
  bool good = true;
  int64_t tail = begin;
  if (reinterpret_cast<uintptr_t>(gradient + begin) % 16 == 0) {
    const int64_t packs = (end - begin) / kN;
    for (int64_t k = threadIdx.x; k < packs; k += kStepThreads) {
      const auto values = cuda::load<kN>(gradient + begin + k * kN);
#pragma unroll
      for (int e = 0; e < kN; ++e) good = finite(values.at[e]) && good;
    }
    tail += packs * kN;
  }
  for (int64_t i = tail + threadIdx.x; i < end; i += kStepThreads)
    good = finite(cuda::widen(gradient[i])) && good;
  return good;
}

__device__ inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

template <typename T, typename G>
__global__ void __launch_bounds__(kStepThreads)
    check_gradients(const StepTable<T> table, const StepGradients<G> gradients, int32_t* faults) {
  const StepChunk chunk = table.chunks[blockIdx.x];
  const StepSegment<T>& s = table.segments[chunk.segment];
  const int64_t begin = chunk.number * kStepChunk, end = least(s.numel, begin + kStepChunk);
  const G *generator = gradients.generator[chunk.segment], *reverser = gradients.reverser[chunk.segment];
  int32_t fault = kAllFinite;
  if (reverser != nullptr && !finite_piece(reverser, begin, end)) fault = s.reverser_fault;
  // The generator's numbers are the lower ones.
  if (generator != nullptr && !finite_piece(generator, begin, end)) fault = s.generator_fault;
  fault = least_of_block<kStepThreads>(fault);
  if (threadIdx.x == 0) faults[blockIdx.x] = fault;
}

static __global__ void __launch_bounds__(kBeginThreads) begin_step(const BeginParams p) {
  int32_t fault = kAllFinite;
  for (int64_t i = threadIdx.x; i < p.chunk_count; i += kBeginThreads)
    if (p.faults[i] < fault) fault = p.faults[i];
  fault = least_of_block<kBeginThreads>(fault);
  if (threadIdx.x != 0) return;
  StepState& state = *p.state;
  double losses[kStepLosses] = {};
#pragma unroll
  for (int k = kStepLosses - 1; k >= 0; --k)
    if (p.losses != nullptr) {
      losses[k] = p.losses[k];
      if (!finite(losses[k])) fault = k;
    }
  if (fault == kAllFinite) ++state.updates;
  const StepRow row = p.schedule[least(state.taken, p.rows - 1)];
  const auto t = static_cast<double>(state.updates);
  state.fault = fault;
  state.rate = row.learning_rate / (1 - std::pow(p.beta1, t));
  state.correction = 1 / std::sqrt(1 - std::pow(p.beta2, t));
  state.decay = row.learning_rate * p.weight_decay;
  state.lambda = row.lambda;
  state.average_rate = 1 - row.ema_decay;
  if (p.records != nullptr) {
    StepRecord& record = p.records[state.taken];
#pragma unroll
    for (int k = 0; k < kStepLosses; ++k) record.losses[k] = losses[k];
    record.fault = fault;
  }
  ++state.taken;
}

/// The rates of one parameter, as adam_step() takes them.
template <typename T>
struct AdamRates {
  T beta1, beta2, epsilon, rate, correction;
  T decay, generator_share, reverser_share, average_rate;
};

template <typename T>
__device__ inline AdamRates<T> adam_rates(const AdamConstants<T>& c, const StepState& state, bool decays,
                                          bool shared) {
  return {c.beta1,
          c.beta2,
          c.epsilon,
          static_cast<T>(state.rate),
          static_cast<T>(state.correction),
          decays ? static_cast<T>(state.decay) : T(0),
          shared ? static_cast<T>(state.lambda) : T(1),
          shared ? static_cast<T>(1 - state.lambda) : T(1),
          static_cast<T>(state.average_rate)};
}

/// N elements of a network's gradient; moments advance in memory, the step's share is added to `step`.
template <int N, typename T>
__device__ inline void advance(const AdamRates<T>& r, T share, const cuda::Pack<T, N>& gradient,
                               cuda::Pack<T, N>& m, cuda::Pack<T, N>& v, cuda::Pack<T, N>& step) {
#pragma unroll
  for (int e = 0; e < N; ++e) step.at[e] += share * adam_step(r, gradient.at[e], m.at[e], v.at[e]);
}

template <int N, typename T, typename G>
__device__ inline cuda::Pack<T, N> gradient_of(const G* p) {
  const auto wide = cuda::load<N>(p);
  cuda::Pack<T, N> out;
#pragma unroll
  for (int e = 0; e < N; ++e) out.at[e] = static_cast<T>(wide.at[e]);
  return out;
}

/// Elements i ... i + N - 1 of a segment. Everything is read before the first use.
template <int N, typename T, typename G>
__device__ inline void update_elements(const StepSegment<T>& s, const G* generator, const G* reverser,
                                       const AdamRates<T>& r, int64_t i) {
  using Values = cuda::Pack<T, N>;
  Values value = cuda::load<N>(s.value + i), average, g, gm, gv, h, hm, hv, step{};
  if (generator != nullptr) {
    g = gradient_of<N, T>(generator + i);
    gm = cuda::load<N>(s.generator_exp_avg + i);
    gv = cuda::load<N>(s.generator_exp_avg_sq + i);
  }
  if (reverser != nullptr) {
    h = gradient_of<N, T>(reverser + i);
    hm = cuda::load<N>(s.reverser_exp_avg + i);
    hv = cuda::load<N>(s.reverser_exp_avg_sq + i);
  }
  if (s.average != nullptr) average = cuda::load<N>(s.average + i);
  if (generator != nullptr) {
    advance(r, r.generator_share, g, gm, gv, step);
    cuda::store<N>(s.generator_exp_avg + i, gm);
    cuda::store<N>(s.generator_exp_avg_sq + i, gv);
  }
  if (reverser != nullptr) {
    advance(r, r.reverser_share, h, hm, hv, step);
    cuda::store<N>(s.reverser_exp_avg + i, hm);
    cuda::store<N>(s.reverser_exp_avg_sq + i, hv);
  }
#pragma unroll
  for (int e = 0; e < N; ++e) value.at[e] -= r.decay * value.at[e] + step.at[e];
  cuda::store<N>(s.value + i, value);
  if (s.average != nullptr) {
#pragma unroll
    for (int e = 0; e < N; ++e) average.at[e] += r.average_rate * (value.at[e] - average.at[e]);
    cuda::store<N>(s.average + i, average);
  }
  if (s.copy != nullptr) {
    cuda::Pack<float, N> copy;
#pragma unroll
    for (int e = 0; e < N; ++e) copy.at[e] = static_cast<float>(value.at[e]);
    cuda::store<N>(s.copy + i, copy);
  }
}

/// Whether four elements from here on can be moved by whole accesses.
template <typename E>
__device__ inline bool aligned(const E* p) {
  return reinterpret_cast<uintptr_t>(p) % alignof(cuda::Pack<E, 4>) == 0;
}

template <typename T, typename G>
__global__ void __launch_bounds__(kStepThreads)
    update_parameters(const StepTable<T> table, const StepGradients<G> gradients,
                      const AdamConstants<T> constants, const StepState* state) {
  if (state->fault != kAllFinite) return;
  const StepChunk chunk = table.chunks[blockIdx.x];
  const StepSegment<T> s = table.segments[chunk.segment];
  const G *generator = gradients.generator[chunk.segment], *reverser = gradients.reverser[chunk.segment];
  const AdamRates<T> r =
      adam_rates(constants, *state, s.decays != 0, generator != nullptr && reverser != nullptr);
  const int64_t begin = chunk.number * kStepChunk, end = least(s.numel, begin + kStepChunk);
  const bool vectors = aligned(s.value) && aligned(s.average) && aligned(s.copy) && aligned(generator) &&
                       aligned(reverser) && aligned(s.generator_exp_avg) && aligned(s.generator_exp_avg_sq) &&
                       aligned(s.reverser_exp_avg) && aligned(s.reverser_exp_avg_sq);
  int64_t tail = begin;
  if (vectors) {
    const int64_t packs = (end - begin) / 4;
    for (int64_t k = threadIdx.x; k < packs; k += kStepThreads)
      update_elements<4>(s, generator, reverser, r, begin + 4 * k);
    tail += packs * 4;
  }
  for (int64_t i = tail + threadIdx.x; i < end; i += kStepThreads)
    update_elements<1>(s, generator, reverser, r, i);
}

}  // namespace san::ops
