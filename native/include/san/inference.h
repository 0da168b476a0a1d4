// Images from latents and latents from images with trained parameters (spec, section 4).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "san/cancelled.h"
#include "san/config.h"
#include "san/network.h"

namespace san {

/// Latents of images first, first + 1, ... of a seed: float32 (count, Zc, Sz, Sz). Latent i depends on (seed,
/// i) alone, and on the truncation where there is one: numbers beyond +-truncation are drawn again (see
/// docs/random-numbers.md).
at::Tensor sample_latents(const ModelConfig& config, uint64_t seed, uint64_t first, int64_t count,
                          std::optional<double> truncation = {}, const Cancelled& cancelled = {});

namespace packed {
class Network;
struct Kernels;
}  // namespace packed

class FixedBatches;

/// Generator and reverser without gradients. An image does not depend on the batch it is asked for in, nor on
/// the number of threads. For one thread at a time.
class Inference {
 public:
  /// `generator` holds the moving average where there is one; `options` are the parameters'. What goes in and
  /// comes out is in main memory. The parameters must not change any more. With
  /// bf16 convolutions multiply bfloat16 numbers, and all else is float32, sums included; throws where the
  /// CPU cannot. On a GPU activations are bfloat16 as well.
  Inference(const ModelConfig& config, NetworkParameters generator, NetworkParameters reverser,
            const at::TensorOptions& options, Precision precision = Precision::fp32);

  /// For some images alone: a GPU's work is not captured, which would take memory and repays only over many
  /// batches.
  static Inference brief(const ModelConfig& config, NetworkParameters generator, NetworkParameters reverser,
                         const at::TensorOptions& options);
  ~Inference();
  Inference(Inference&&) noexcept;

  /// float32 (N, Zc, Sz, Sz) -> uint8 (N, S, S, C).
  at::Tensor decode(const at::Tensor& latents, const Cancelled& cancelled = {}) const;
  /// uint8 (N, S, S, C) -> float32 (N, Zc, Sz, Sz).
  at::Tensor encode(const at::Tensor& images, const Cancelled& cancelled = {}) const;

 private:
  ModelConfig config_;
  NetworkParameters generator_, reverser_;
  at::TensorOptions options_;
  /// Null where ATen's operations run instead, in batches of one fixed size.
  const packed::Kernels* kernels_ = nullptr;
  mutable std::unique_ptr<packed::Network> packed_generator_, packed_reverser_;
  mutable std::unique_ptr<FixedBatches> decoder_, encoder_;
  bool brief_ = false;
};

}  // namespace san
