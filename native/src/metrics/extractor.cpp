#include "san/extractor.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <filesystem>
#include <new>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "memory/full.h"
#include "metrics/check.h"
#include "metrics/reason.h"

namespace san {
namespace {

constexpr int64_t kBatch = 64;
constexpr const char* kReturnFeatures = "return_features";

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error(kExtractor, "the feature extractor " + path + " " + what, "path");
}

/// Within a module LibTorch's errors are texts of another class.
void fail_if_full(const std::string& path, const std::string& reason) {
  if (full_by_text(reason) == Full::nothing && reason != std::bad_alloc().what()) return;
  throw Error(kOutOfMemory, "out of memory in the feature extractor " + path + ": " + reason +
                                "; a smaller extractorSize needs less, and so does another extractor");
}

int64_t size_of_file(const std::string& path) {
  std::error_code error;
  // A pipe would block, a folder would be read.
  if (!std::filesystem::is_regular_file(path, error))
    fail(path, error ? "cannot be read: " + error.message() : std::string("is not a file"));
  const auto size = std::filesystem::file_size(path, error);
  if (error) fail(path, "cannot be read: " + error.message());
  return static_cast<int64_t>(size);
}

void check_images(const at::Tensor& images) {
  if (images.dim() != 4 || images.numel() == 0 || (images.size(3) != 1 && images.size(3) != 3))
    throw Error(kOptions,
                "images.shape is " + metrics::shape_text(images) +
                    "; it must be [N, S, S, C] with at least one image of 1 or 3 channels",
                "images.shape");
}

}  // namespace

struct Extractor::Module {
  torch::jit::Module script;
  bool takes_return_features = false;
};

Extractor::Extractor(ExtractorConfig config)
    : config_(std::move(config)), bytes_(size_of_file(config_.path)), module_(std::make_unique<Module>()) {
  try {
    module_->script = torch::jit::load(config_.path, at::Device(at::kCPU));
    module_->script.eval();
    const auto forward = module_->script.find_method("forward");
    if (!forward) fail(config_.path, "has no method forward");
    module_->takes_return_features =
        forward->function().getSchema().argumentIndexWithName(kReturnFeatures).has_value();
  } catch (const Error&) {
    throw;
  } catch (...) {
    const std::string reason = metrics::current_reason();
    fail_if_full(config_.path, reason);
    fail(config_.path, "is not a TorchScript module: " + reason);
  }
}

Extractor::~Extractor() = default;

at::Tensor Extractor::features_of_batch(const at::Tensor& images) {
  at::Tensor x = images.permute({0, 3, 1, 2}).to(at::kFloat).expand({-1, 3, -1, -1}).contiguous();
  const int64_t size = config_.size;
  if (size > 0 && (x.size(2) != size || x.size(3) != size))
    x = at::_upsample_bicubic2d_aa(x, {size, size}, /*align_corners=*/false);
  const auto [low, high] = config_.range;
  if (low != 0 || high != 255) x.mul_((high - low) / 255).add_(low);

  std::unordered_map<std::string, c10::IValue> named;
  if (module_->takes_return_features) named.emplace(kReturnFeatures, true);
  const c10::IValue result = module_->script.forward({x}, named);
  if (!result.isTensor()) fail(config_.path, "gave a " + result.tagKind() + " instead of a tensor");
  at::Tensor out = result.toTensor().detach();
  if ((out.dim() != 2 && out.dim() != 4) || out.size(0) != images.size(0) || out.numel() == 0)
    fail(config_.path, "gave a tensor of shape " + metrics::shape_text(out) + " for " +
                           std::to_string(images.size(0)) + " images; it must give (N, D) or (N, D, H, W)");
  if (out.is_complex()) fail(config_.path, "gave complex numbers");
  out = out.to(at::kCPU, at::kFloat);
  // The copy keeps neither the module's buffers nor a larger tensor alive.
  return out.dim() == 4 ? out.mean({2, 3}) : out.clone(at::MemoryFormat::Contiguous);
}

at::Tensor Extractor::features(const at::Tensor& images, const Cancelled& cancelled) {
  check_images(images);
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> out;
  for (int64_t begin = 0; begin < images.size(0); begin += kBatch) {
    stop_if(cancelled);
    try {
      out.push_back(features_of_batch(images.slice(0, begin, std::min(begin + kBatch, images.size(0)))));
    } catch (const Error&) {
      throw;
    } catch (...) {
      const std::string reason = metrics::current_reason();
      fail_if_full(config_.path, reason);
      fail(config_.path, "failed on images: " + reason);
    }
    if (out.back().size(1) != out.front().size(1))
      fail(config_.path, "gave " + std::to_string(out.front().size(1)) + " and then " +
                             std::to_string(out.back().size(1)) + " features an image");
  }
  return at::cat(out);
}

}  // namespace san
