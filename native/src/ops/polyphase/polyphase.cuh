// A thread for each pair of an input and an output channel; neighbours in a warp are neighbours in memory.
#pragma once

#include "ops/cuda/device.cuh"
#include "ops/polyphase/launch.h"
#include "ops/polyphase/params.h"

namespace san::ops {

inline constexpr unsigned kPolyphaseThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kPolyphaseThreads)
    polyphase_kernel(Polyphase<T> p, const StepState* state) {
  if (state != nullptr && state->fault != kAllFinite) return;
  const int64_t pair = int64_t{blockIdx.x} * kPolyphaseThreads + threadIdx.x;
  if (pair >= p.inputs * p.outputs) return;
  const int64_t input = pair / p.outputs, first = input * 9 * p.outputs + (pair - input * p.outputs);
  T taps[9];
  SAN_UNROLL
  for (int t = 0; t < 9; ++t) taps[t] = p.value[first + t * p.outputs];
  equalise(taps);
  SAN_UNROLL
  for (int t = 0; t < 9; ++t) {
    p.value[first + t * p.outputs] = taps[t];
    if (p.copy != nullptr)
      p.copy[first + t * p.outputs] = cuda::narrow<cuda::Bf16>(static_cast<float>(taps[t]));
  }
  if (p.average == nullptr) return;
  SAN_UNROLL
  for (int t = 0; t < 9; ++t) taps[t] = p.average[first + t * p.outputs];
  equalise(taps);
  SAN_UNROLL
  for (int t = 0; t < 9; ++t) p.average[first + t * p.outputs] = taps[t];
}

}  // namespace san::ops
