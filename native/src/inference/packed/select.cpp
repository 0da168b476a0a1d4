#include <ATen/Version.h>

#include <string>

#include "inference/packed/kernels.h"

namespace san::packed {

extern const Kernels kernels_default, kernels_avx2, kernels_avx512, kernels_avx512_bf16;

const Kernels& float_kernels() {
  static const Kernels& best = []() -> const Kernels& {
    // ATen asks the CPU and the environment.
    const std::string capability = at::get_cpu_capability();
    if (capability == "AVX512") return kernels_avx512;
    if (capability == "AVX2") return kernels_avx2;
    return kernels_default;
  }();
  return best;
}

const Kernels* bfloat16_kernels() {
  static const bool there = &float_kernels() == &kernels_avx512 && __builtin_cpu_supports("avx512bf16");
  return there ? &kernels_avx512_bf16 : nullptr;
}

}  // namespace san::packed
