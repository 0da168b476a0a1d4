// Numbers for what is timed: multipliers are faster with zeros and ones.
#pragma once

#include <ATen/ATen.h>

#include "random/random.h"

namespace san::profiling {

/// Normally distributed numbers. From our own generator: a failed capture leaves LibTorch's unusable on a
/// GPU.
inline at::Tensor noise(at::IntArrayRef sizes, const at::TensorOptions& options) {
  return random::normal({1, random::Stream::training_latent, 0}, sizes, options.device()).to(options.dtype());
}

/// As `like`, which may have its channels last in memory.
inline at::Tensor noise_like(const at::Tensor& like) {
  return at::empty_like(like).copy_(noise(like.sizes(), like.options()));
}

}  // namespace san::profiling
