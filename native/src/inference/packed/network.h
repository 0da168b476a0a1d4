// Both networks without gradients, image by image: faster than ATen's operations, and the same numbers
// whatever the batch, to 1e-5 of theirs in float32.
#pragma once

#include "inference/packed/plane.h"
#include "san/cancelled.h"

namespace san::packed {

/// Whether the network can run here: images have at most kLast channels.
bool supports(const ModelConfig& config);

class Walk;

/// One of the two networks with its weights laid out.
class Network {
 public:
  Network(Net net, const ModelConfig& config, const NetworkParameters& parameters, const Kernels& kernels);

  /// The generator: latents float32 (N, Zc, Sz, Sz) -> uint8 (N, S, S, C).
  at::Tensor decode(const at::Tensor& latents, const Cancelled& cancelled) const;
  /// The reverser: uint8 (N, S, S, C) -> float32 (N, Zc, Sz, Sz).
  at::Tensor encode(const at::Tensor& images, const Cancelled& cancelled) const;

 private:
  template <typename F>
  void in_groups(int64_t count, const Cancelled& cancelled, const F& f) const;
  /// Numbers in the largest plane of the modules whose images are side by side, and of the others.
  int64_t together_numbers(int64_t images) const;
  int64_t alone_numbers() const;

  void start_generator(Walk& walk, const float* latents, int64_t count) const;
  void emit(Walk& walk, uint8_t* bytes) const;
  void start_reverser(Walk& walk, const uint8_t* bytes) const;
  void latents_of(const Walk& walk, float* latents) const;

  ModelConfig config_;
  const Kernels& kernels_;
  Weights weights_;
  /// Modules 0 ... grouped_ - 1 see images side by side, the others one by one: these have pixels enough.
  int grouped_ = 0;
};

}  // namespace san::packed
