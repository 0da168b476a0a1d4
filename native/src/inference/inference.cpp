#include "san/inference.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "inference/packed/network.h"
#include "ops/reference.h"
#include "profiling/scope.h"
#include "random/random.h"
#include "san/error.h"
#include "san/images.h"

namespace san {
namespace {

// Convolution libraries choose their algorithm by the batch size, and algorithms differ in their last bits.
constexpr int64_t kBatch = 16;

/// Applies `f` to blocks of kBatch rows, the last one filled up with zeros, and joins the results.
template <typename F>
at::Tensor in_batches(const at::Tensor& rows, const Cancelled& cancelled, const F& f) {
  const profiling::Scope scope("heads and bytes");
  std::vector<at::Tensor> out;
  for (int64_t begin = 0; begin < rows.size(0); begin += kBatch) {
    stop_if(cancelled);
    const int64_t count = std::min(kBatch, rows.size(0) - begin);
    at::Tensor block = rows.narrow(0, begin, count);
    if (count < kBatch) {
      std::vector<int64_t> missing = rows.sizes().vec();
      missing[0] = kBatch - count;
      block = at::cat({block, at::zeros(missing, rows.options())});
    }
    out.push_back(f(block).narrow(0, 0, count));
  }
  return out.size() == 1 ? out[0].contiguous() : at::cat(out);
}

}  // namespace

at::Tensor sample_latents(const ModelConfig& config, uint64_t seed, uint64_t first, int64_t count,
                          std::optional<double> truncation) {
  at::Tensor rows =
      random::normal_rows({seed, random::Stream::sample_latent, first}, count, config.latent_numel());
  if (truncation) {
    if (!(*truncation >= random::kLeastTruncation))
      throw Error(kOptions, "truncation must be at least 0.01", "truncation");
    random::redraw_beyond(rows, seed, first, *truncation);
  }
  return rows.view({count, config.latent_channels, config.latent_size, config.latent_size});
}

Inference::Inference(const ModelConfig& config, NetworkParameters generator, NetworkParameters reverser,
                     const at::TensorOptions& options, Precision precision)
    : config_(config), generator_(std::move(generator)), reverser_(std::move(reverser)), options_(options) {
  const bool on_cpu = options.device().is_cpu();
  if (precision == Precision::bf16 && !on_cpu)
    throw Error(kOptions, "images are drawn in float32 on a GPU; use precision fp32", "precision");
  if (precision == Precision::bf16) {
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
  return in_batches(latents, cancelled, [&](const at::Tensor& z) {
    return to_bytes(generate(config_, generator_, z.to(options_))).cpu();
  });
}

at::Tensor Inference::encode(const at::Tensor& images, const Cancelled& cancelled) const {
  const at::NoGradGuard no_grad;
  if (kernels_ != nullptr) {
    if (!packed_reverser_)
      packed_reverser_ = std::make_unique<packed::Network>(Net::reverser, config_, reverser_, *kernels_);
    return packed_reverser_->encode(images, cancelled);
  }
  return in_batches(images, cancelled, [&](const at::Tensor& x) {
    return reverse(config_, reverser_,
                   from_bytes(x.to(options_.device()), at::typeMetaToScalarType(options_.dtype())))
        .to(at::kFloat)
        .cpu()
        .contiguous();
  });
}

}  // namespace san
