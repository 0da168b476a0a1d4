// Kernels of the counter-based generator; philox.h has the formulas, random.h which number is where.
//
// A thread makes one block of four numbers and writes it by one access where rows begin at multiples of 16
// bytes. Traffic: 4 bytes a number, written once; redraw() reads each number and writes those it replaces.
#pragma once

#include "ops/cuda/device.cuh"
#include "random/launch.h"
#include "random/philox.h"

namespace san::random {

inline constexpr int kThreads = 256;

struct Normals {
  __device__ std::array<float, 4> operator()(const Words& words) const { return normals(words); }
};

struct Uniforms {
  __device__ std::array<float, 4> operator()(const Words& words) const {
    return {uniform_of(words[0]), uniform_of(words[1]), uniform_of(words[2]), uniform_of(words[3])};
  }
};

template <typename Make>
__global__ void __launch_bounds__(kThreads) fill(const FillParams p) {
  const int64_t blocks = (p.n + 3) / 4;
  const int64_t thread = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (thread >= p.rows * blocks) return;
  const int64_t row = thread / blocks, number = thread % blocks;
  uint64_t index = p.index.first + static_cast<uint64_t>(row);
  if (p.index.step != nullptr) index += static_cast<uint64_t>(*p.index.step) * p.index.stride;
  const auto values = Make{}(block_of(p.seed, p.stream, index, static_cast<uint32_t>(number)));
  float* out = p.out + row * p.n + 4 * number;
  if (p.n % 4 == 0 && reinterpret_cast<uintptr_t>(p.out) % 16 == 0) {
    ops::cuda::store<4>(out, ops::cuda::Pack<float, 4>{values[0], values[1], values[2], values[3]});
    return;
  }
  // Unrolled: an index that is not a constant would move the numbers to local memory.
#pragma unroll
  for (int j = 0; j < 4; ++j)
    if (4 * number + j < p.n) out[j] = values[static_cast<size_t>(j)];
}

__device__ inline bool within(float value, double threshold) {
  return std::abs(static_cast<double>(value)) <= threshold;
}

static __global__ void __launch_bounds__(kThreads) redraw(const RedrawParams p) {
  const int64_t thread = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (thread >= p.rows * p.n || within(p.values[thread], p.threshold)) return;
  const int64_t row = thread / p.n, place = thread % p.n;
  const uint64_t index = p.first + static_cast<uint64_t>(row);
  for (auto number = static_cast<uint32_t>(place);; number += static_cast<uint32_t>(p.n)) {
    const auto values = normals(block_of(p.seed, p.stream, index, number));
#pragma unroll
    for (size_t j = 0; j < 4; ++j)
      if (within(values[j], p.threshold)) {
        p.values[thread] = values[j];
        return;
      }
  }
}

}  // namespace san::random
