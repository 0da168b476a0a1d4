// What kernels are written with: nvcc sees CUDA itself, the tests' g++ the emulation that runs a kernel on
// the CPU (native/test/cuda_emulation).
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/cuda/types.h"
#include "ops/device.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
/// A function of device code.
#define SAN_DEVICE __device__ __forceinline__
/// An array in shared memory; a macro, since the emulation gives it storage in another way.
#define SAN_SHARED(type, name, count) __shared__ type name[count]
#define SAN_UNROLL _Pragma("unroll")
#else
#include "cuda_emulation/cuda.h"
#endif

namespace san::ops::cuda {

inline constexpr unsigned kWarp = 32, kWholeWarp = 0xffffffffu;

/// What sums and statistics of T are computed in.
template <typename T>
struct AccumulatorOf {
  using type = float;
};
template <>
struct AccumulatorOf<double> {
  using type = double;
};
template <typename T>
using Accumulator = typename AccumulatorOf<T>::type;

SAN_DEVICE float widen(float x) { return x; }
SAN_DEVICE double widen(double x) { return x; }
SAN_DEVICE float widen(Bf16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }

/// x as T, rounded to nearest.
template <typename T, typename A>
SAN_DEVICE T narrow(A x) {
  return static_cast<T>(x);
}
template <>
SAN_DEVICE Bf16 narrow<Bf16, float>(float x) {
  return {__bfloat16_as_ushort(__float2bfloat16_rn(x))};
}

/// N neighbours, moved by one access of at most 16 bytes each.
template <typename T, int N>
struct alignas(sizeof(T) * N > 16 ? 16 : sizeof(T) * N) Pack {
  T at[N];
};

/// What a 16-byte access holds of T.
template <typename T>
inline constexpr int kVector = static_cast<int>(16 / sizeof(T));

#if defined(__CUDACC__)
/// What one instruction moves.
template <size_t kBytes>
struct WordOf;
template <>
struct WordOf<1> {
  using type = unsigned char;
};
template <>
struct WordOf<2> {
  using type = unsigned short;
};
template <>
struct WordOf<4> {
  using type = unsigned;
};
template <>
struct WordOf<8> {
  using type = uint2;
};
template <>
struct WordOf<16> {
  using type = uint4;
};

template <typename P>
struct Words {
  using Word = typename WordOf<alignof(P)>::type;
  Word at[sizeof(P) / sizeof(Word)];
};

/// *p = word, in global memory, by one instruction: the compiler often splits an assignment of more than four
/// bytes.
template <typename W>
SAN_DEVICE void store_word(W* p, const W& word) {
  *p = word;
}
SAN_DEVICE void store_word(uint2* p, const uint2& w) {
  asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(p)), "r"(w.x), "r"(w.y)
               : "memory");
}
SAN_DEVICE void store_word(uint4* p, const uint4& w) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(p)), "r"(w.x),
               "r"(w.y), "r"(w.z), "r"(w.w)
               : "memory");
}
#endif

/// A pack from p, which is aligned to it, by whole accesses.
template <int N, typename T>
SAN_DEVICE Pack<T, N> load_stored(const T* p) {
  using P = Pack<T, N>;
#if defined(__CUDACC__)
  Words<P> words;
  SAN_UNROLL
  for (size_t i = 0; i < sizeof(P) / sizeof(typename Words<P>::Word); ++i)
    words.at[i] = reinterpret_cast<const typename Words<P>::Word*>(p)[i];
  return __builtin_bit_cast(P, words);
#else
  emulation::check_aligned(p, alignof(P));
  return *reinterpret_cast<const P*>(p);
#endif
}

/// A pack to p in global memory, which is aligned to it, by whole accesses.
template <int N, typename T>
SAN_DEVICE void store_stored(T* p, const Pack<T, N>& values) {
  using P = Pack<T, N>;
#if defined(__CUDACC__)
  const Words<P> words = __builtin_bit_cast(Words<P>, values);
  SAN_UNROLL
  for (size_t i = 0; i < sizeof(P) / sizeof(typename Words<P>::Word); ++i)
    store_word(reinterpret_cast<typename Words<P>::Word*>(p) + i, words.at[i]);
#else
  emulation::check_aligned(p, alignof(P));
  *reinterpret_cast<P*>(p) = values;
#endif
}

template <int N, typename T>
SAN_DEVICE Pack<Accumulator<T>, N> widened(const Pack<T, N>& stored) {
  Pack<Accumulator<T>, N> out;
  SAN_UNROLL
  for (int e = 0; e < N; ++e) out.at[e] = widen(stored.at[e]);
  return out;
}

/// N elements from p, which is aligned to a Pack, as accumulators.
template <int N, typename T>
SAN_DEVICE Pack<Accumulator<T>, N> load(const T* p) {
  return widened(load_stored<N>(p));
}

template <int N, typename T>
SAN_DEVICE void store(T* p, const Pack<Accumulator<T>, N>& values) {
  Pack<T, N> out;
  SAN_UNROLL
  for (int e = 0; e < N; ++e) out.at[e] = narrow<T>(values.at[e]);
  store_stored<N>(p, out);
}

/// The sum of v over `lanes` neighbouring lanes (a power of two), in each of them. All of a warp calls it.
template <typename T>
SAN_DEVICE T sum_over_lanes(T v, unsigned lanes) {
  for (unsigned offset = lanes / 2; offset > 0; offset /= 2)
    v += __shfl_xor_sync(kWholeWarp, v, static_cast<int>(offset));
  return v;
}

/// The sum of v over the lanes of a warp that have the same place within their `lanes`.
template <typename T>
SAN_DEVICE T sum_over_groups(T v, unsigned lanes) {
  for (unsigned offset = kWarp / 2; offset >= lanes; offset /= 2)
    v += __shfl_xor_sync(kWholeWarp, v, static_cast<int>(offset));
  return v;
}

}  // namespace san::ops::cuda
