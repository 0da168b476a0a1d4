// emit on the device; params.h has the formula. Reads each value once, writes one byte for it.
#pragma once

#include "ops/cuda/device.cuh"
#include "ops/emit/params.h"

namespace san::ops {

inline constexpr int kEmitThreads = 256, kEmitLoads = 4;

/// Values that a block turns into bytes.
template <typename T>
inline constexpr int64_t kEmitTile = int64_t{kEmitThreads} * kEmitLoads * cuda::kVector<T>;

/// `vectors`: x is aligned to 16 bytes, and y to the bytes that 16 bytes of x become.
template <typename T>
__global__ void __launch_bounds__(kEmitThreads) emit_kernel(const T* x, uint8_t* y, int64_t n, bool vectors) {
  constexpr int kN = cuda::kVector<T>;
  using Values = cuda::Pack<cuda::Accumulator<T>, kN>;
  const int64_t begin = int64_t{blockIdx.x} * kEmitTile<T>;
  if (vectors && begin + kEmitTile<T> <= n) {
    Values values[kEmitLoads];
#pragma unroll
    for (int k = 0; k < kEmitLoads; ++k)
      values[k] = cuda::load<kN>(x + begin + (int64_t{k} * kEmitThreads + threadIdx.x) * kN);
#pragma unroll
    for (int k = 0; k < kEmitLoads; ++k) {
      cuda::Pack<uint8_t, kN> bytes;
#pragma unroll
      for (int e = 0; e < kN; ++e) bytes.at[e] = emit_value(values[k].at[e]);
      cuda::store_stored<kN>(y + begin + (int64_t{k} * kEmitThreads + threadIdx.x) * kN, bytes);
    }
    return;
  }
  const int64_t end = begin + kEmitTile<T> < n ? begin + kEmitTile<T> : n;
  for (int64_t i = begin + threadIdx.x; i < end; i += kEmitThreads) y[i] = emit_value(cuda::widen(x[i]));
}

}  // namespace san::ops
