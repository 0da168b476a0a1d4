#include "san/inference.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "inference/fixed_batches.h"
#include "inference/packed/network.h"
#include "ops/reference.h"
#include "profiling/scope.h"
#include "random/random.h"
#include "san/device.h"
#include "san/error.h"
#include "san/images.h"

namespace san {
namespace {

constexpr const char* kBrief = "a few images do not repay a capture";

/// Rows of a batch. On the processor few, which stay in its caches; on a GPU enough to keep it busy, about a
/// million pixels.
int64_t batch_of(const c10::Device& device, const ModelConfig& config) {
  constexpr int64_t kLeast = 16, kMost = 256, kPixels = int64_t{1} << 20;
  if (device.is_cpu()) return kLeast;
  return std::clamp(kPixels / (config.image_size() * config.image_size()), kLeast, kMost);
}

}  // namespace

at::Tensor sample_latents(const ModelConfig& config, uint64_t seed, uint64_t first, int64_t count,
                          std::optional<double> truncation, const Cancelled& cancelled) {
  if (truncation && !(*truncation >= random::kLeastTruncation))
    throw Error(kOptions, "truncation must be at least 0.01", "truncation");
  const int64_t n = config.latent_numel();
  at::Tensor rows = random::normal_rows({seed, random::Stream::sample_latent, first}, count, n);
  if (truncation) {
    // At the least truncation a tenth of a second each.
    const int64_t some = std::max<int64_t>(1, (int64_t{1} << 16) / n);
    for (int64_t row = 0; row < count; row += some) {
      stop_if(cancelled);
      at::Tensor part = rows.narrow(0, row, std::min(some, count - row));
      random::redraw_beyond(part, seed, first + static_cast<uint64_t>(row), *truncation);
    }
  }
  return rows.view({count, config.latent_channels, config.latent_size, config.latent_size});
}

Inference::Inference(const ModelConfig& config, NetworkParameters generator, NetworkParameters reverser,
                     const at::TensorOptions& options, Precision precision)
    : config_(config), generator_(std::move(generator)), reverser_(std::move(reverser)), options_(options) {
  const bool on_cpu = options.device().is_cpu();
  if (precision == Precision::bf16 && !on_cpu) {
    generator_ = with_kernels_in(generator_, at::kBFloat16);
    reverser_ = with_kernels_in(reverser_, at::kBFloat16);
  } else if (precision == Precision::bf16) {
    kernels_ = packed::bfloat16_kernels();
    if (kernels_ == nullptr)
      throw Error(kOptions,
                  "this CPU cannot compute with bf16 numbers (it has no avx512_bf16); use precision fp32",
                  "precision");
  } else {
    kernels_ = &packed::float_kernels();
  }
  const bool fit = on_cpu && options.dtype() == at::kFloat && packed::supports(config);
  if (!fit || ops::use_reference()) kernels_ = nullptr;
}

Inference Inference::brief(const ModelConfig& config, NetworkParameters generator, NetworkParameters reverser,
                           const at::TensorOptions& options) {
  Inference inference(config, std::move(generator), std::move(reverser), options);
  inference.brief_ = true;
  return inference;
}

Inference::~Inference() = default;
Inference::Inference(Inference&&) noexcept = default;

// Weights are laid out when first needed: many users need one of the two networks alone.
at::Tensor Inference::decode(const at::Tensor& latents, const Cancelled& cancelled) const {
  const at::NoGradGuard no_grad;
  if (kernels_ != nullptr) {
    if (!packed_generator_)
      packed_generator_ = std::make_unique<packed::Network>(Net::generator, config_, generator_, *kernels_);
    return packed_generator_->decode(latents, cancelled);
  }
  const profiling::Scope scope("heads and bytes");
  use_precision(options_.device(), Precision::fp32);
  if (!decoder_) {
    decoder_ = std::make_unique<FixedBatches>(
        batch_of(options_.device(), config_), options_.device(),
        // Of what stays where it is when this object moves.
        [config = config_, generator = generator_, options = options_](const at::Tensor& z) {
          return to_bytes(generate(config, generator, z.to(options)));
        });
    if (brief_) decoder_->never_capture(kBrief);
  }
  return decoder_->run(latents, cancelled);
}

at::Tensor Inference::encode(const at::Tensor& images, const Cancelled& cancelled) const {
  const at::NoGradGuard no_grad;
  if (kernels_ != nullptr) {
    if (!packed_reverser_)
      packed_reverser_ = std::make_unique<packed::Network>(Net::reverser, config_, reverser_, *kernels_);
    return packed_reverser_->encode(images, cancelled);
  }
  const profiling::Scope scope("heads and bytes");
  use_precision(options_.device(), Precision::fp32);
  if (!encoder_) {
    encoder_ = std::make_unique<FixedBatches>(
        batch_of(options_.device(), config_), options_.device(),
        [config = config_, reverser = reverser_,
         dtype = at::typeMetaToScalarType(options_.dtype())](const at::Tensor& x) {
          return reverse(config, reverser, from_bytes(x, dtype)).to(at::kFloat).contiguous();
        });
    if (brief_) encoder_->never_capture(kBrief);
  }
  return encoder_->run(images, cancelled);
}

}  // namespace san
