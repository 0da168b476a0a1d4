// CUDA's device language for g++: the very kernels run on the CPU, so that their index arithmetic, reductions
// and tails are tested where there is no GPU. A thread is a fiber that runs until a barrier or a shuffle;
// blocks run one after another. Found by it: wrong results, accesses out of bounds (guard.h), barriers and
// shuffles that not every thread reaches, at the same place; with `set_order`, results that depend on who
// comes first, as after a missing barrier; shared memory that is read before it is written, which holds NaN.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <source_location>

#include "cuda_emulation/types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define SAN_DEVICE inline
#define SAN_UNROLL
#define SAN_SHARED(type, name, count)                           \
  static ::san::emulation::Shared<type, count> name##_in_block; \
  type(&name)[count] = name##_in_block.get()

namespace san::emulation {

/// In which order the blocks of a launch and the threads of a block take their turns.
enum class Order { kForward, kBackward };
void set_order(Order order);

/// Grids of kernels over rows have at most `blocks` blocks; 0 takes the limit that a GPU has. Few blocks make
/// each of them run several times on small tensors.
void set_block_limit(unsigned blocks);
unsigned block_limit(unsigned on_a_gpu);
/// Whether a grid has depended on the limit since it was set.
bool block_limit_asked();

/// Runs `thread` once for each thread of each block. Throws std::runtime_error with the place where threads
/// wait that cannot be released.
void run(dim3 grid, dim3 block, const std::function<void()>& thread);

/// Counts blocks, so that shared memory can tell a new one.
extern uint64_t block_serial;

template <typename T, size_t N>
class Shared {
 public:
  using Array = T[N];

  Array& get() {
    if (serial_ != block_serial) std::memset(static_cast<void*>(data_), 0xff, sizeof data_);
    serial_ = block_serial;
    return data_;
  }

 private:
  uint64_t serial_ = 0;
  Array data_;
};

void wait_for_block(const std::source_location& at);
void wait_for_warp(const std::source_location& at);

/// v of lane `source` of this warp.
uint64_t exchange(uint64_t v, unsigned source, unsigned mask, const std::source_location& at);
unsigned lane();

template <typename T>
T shuffle(T v, unsigned source, unsigned mask, const std::source_location& at) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &v, sizeof v);
  bits = exchange(bits, source, mask, at);
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

/// A misaligned vector access, which a GPU refuses, fails the launch.
void check_aligned(const void* p, size_t bytes);

}  // namespace san::emulation

inline thread_local uint3 threadIdx, blockIdx;
inline thread_local dim3 blockDim, gridDim;

inline void __syncthreads(const std::source_location& at = std::source_location::current()) {
  san::emulation::wait_for_block(at);
}
inline void __syncwarp(unsigned = 0xffffffffu,
                       const std::source_location& at = std::source_location::current()) {
  san::emulation::wait_for_warp(at);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T v, int lanes, int = 32,
                  const std::source_location& at = std::source_location::current()) {
  return san::emulation::shuffle(v, san::emulation::lane() ^ static_cast<unsigned>(lanes), mask, at);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32,
                   const std::source_location& at = std::source_location::current()) {
  const unsigned lane = san::emulation::lane(), last = lane | (static_cast<unsigned>(width) - 1);
  return san::emulation::shuffle(v, lane + delta <= last ? lane + delta : lane, mask, at);
}
template <typename T>
T __shfl_sync(unsigned mask, T v, int source, int width = 32,
              const std::source_location& at = std::source_location::current()) {
  const unsigned w = static_cast<unsigned>(width), lane = san::emulation::lane();
  return san::emulation::shuffle(v, (lane & ~(w - 1)) | (static_cast<unsigned>(source) & (w - 1)), mask, at);
}

template <typename T>
T __ldg(const T* p) {
  return *p;
}
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((uint64_t{a} * b) >> 32); }
inline float __uint_as_float(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline unsigned __float_as_uint(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

struct __nv_bfloat16 {
  uint16_t bits;
};
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  const unsigned bits = __float_as_uint(x);
  if (x != x) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}
inline float __bfloat162float(__nv_bfloat16 x) {
  return __uint_as_float(static_cast<unsigned>(x.bits) << 16);
}
inline uint16_t __bfloat16_as_ushort(__nv_bfloat16 x) { return x.bits; }
inline __nv_bfloat16 __ushort_as_bfloat16(uint16_t bits) { return {bits}; }
