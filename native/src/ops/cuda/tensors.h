// What the host code of CUDA operations needs. Without CUDA it serves the tests, whose kernels run on the
// CPU.
#pragma once

#include <ATen/ATen.h>
#include <ATen/OpMathType.h>

#include <cstdint>

#include "ops/cuda/types.h"

#if defined(SAN_NATIVE_CUDA)
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace san::ops::cuda {

#if defined(SAN_NATIVE_CUDA)
/// While it lives, x's device is the current one.
class OnDeviceOf {
 public:
  explicit OnDeviceOf(const at::Tensor& x) : guard_(x.device()) {}
  cudaStream_t stream() const { return c10::cuda::getCurrentCUDAStream(); }

 private:
  c10::cuda::CUDAGuard guard_;
};
#else
class OnDeviceOf {
 public:
  explicit OnDeviceOf(const at::Tensor&) {}
  cudaStream_t stream() const { return nullptr; }
};
#endif

/// ATen's element type as the kernels' one.
template <typename T>
struct ElementOf {
  using type = T;
};
template <>
struct ElementOf<at::BFloat16> {
  using type = Bf16;
};
template <typename T>
using Element = typename ElementOf<T>::type;

/// t where a kernel's 16-byte accesses may start at its first element, else a copy.
inline at::Tensor aligned(const at::Tensor& t) {
  return t.defined() && reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 != 0 ? t.clone() : t;
}

/// A parameter in the type that x is accumulated in, which is what kernels take it in.
inline at::Tensor parameter(const at::Tensor& p, const at::Tensor& x) {
  return p.defined() ? aligned(p.to(at::toOpMathType(x.scalar_type())).contiguous()) : p;
}

/// B H W of x (B, C, H, W). Kernels count pixels in 64 bits and divide in 32.
inline int64_t count_pixels(const at::Tensor& x) {
  const int64_t pixels = x.size(0) * x.size(2) * x.size(3);
  TORCH_CHECK(pixels <= INT32_MAX, "a tensor of sizes ", x.sizes(), " has more than 2^31 - 1 pixels");
  return pixels;
}

template <typename T>
const Element<T>* input(const at::Tensor& t) {
  return t.defined() ? reinterpret_cast<const Element<T>*>(t.const_data_ptr<T>()) : nullptr;
}

template <typename T>
Element<T>* output(const at::Tensor& t) {
  return t.defined() ? reinterpret_cast<Element<T>*>(t.mutable_data_ptr<T>()) : nullptr;
}

}  // namespace san::ops::cuda
