// Between JavaScript values and the core's plain structs and tensors. Main thread only.
#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <optional>
#include <string>
#include <variant>

#include "binding/options.h"
#include "san/augmentation.h"
#include "san/config.h"
#include "san/image_set.h"
#include "san/trainer.h"

namespace san::binding {

inline constexpr int64_t kLargestInteger = (int64_t{1} << 53) - 1;

ModelConfig read_model(Options options);
LossConfig read_loss(Options options);
OptimizerConfig read_optimizer(Options options);
/// `augmentation` of an options object: none unless it is given.
AugmentationConfig read_augmentation(Options& options);
/// `dtype` of an options object: float32 unless it says float64.
at::ScalarType read_dtype(Options& options);
/// `device` of an options object: "cpu" unless given; open_device() judges it.
std::string read_device(Options& options);
/// `precision` of an options object: fp32 unless given.
Precision read_precision(Options& options);
/// `threads` of an options object, 0 for the default.
int read_threads(Options& options);

/// NativeTensor -> a tensor of its own memory.
NamedTensor read_tensor(Options options);
std::vector<NamedTensor> read_tensors(std::vector<Options> list);
/// ImageBatch -> uint8 (N, H, W, C); checked against the model where given.
at::Tensor read_images(Options options, const ModelConfig* model);
/// Where training images come from: the path of a .npy file, or uint8 (N, H, W, C).
using ImageSource = std::variant<std::string, at::Tensor>;
/// `dataset` or `images` of an options object; none when it has neither.
std::optional<ImageSource> read_source(Options& options, const ModelConfig* model);
/// Opens the file, if it is one; for the engine thread.
std::optional<ImageSet> open_images(const std::optional<ImageSource>& source);
/// LatentBatch -> float32 (N, Zc, Sz, Sz) of the model.
at::Tensor read_latents(Options options, const ModelConfig& model);
/// LatentBatch -> float32 (N, Zc, Sz, Sz) of any model.
at::Tensor read_latents(Options options);
/// FeatureBatch -> float32 (N, D).
at::Tensor read_features(Options options);
TrainerState read_state(Options options);

/// seed, startIndex and count of an options object.
struct SampleRange {
  uint64_t seed, first;
  int64_t count;
};
SampleRange read_range(Options& options);
/// `truncation` of an options object.
std::optional<double> read_truncation(Options& options);

/// A typed array over the tensor's own memory, which lives as long as the array. float32 -> Float32Array,
/// else Uint8Array.
Napi::Value tensor_bytes(Napi::Env env, const at::Tensor& tensor, bool as_floats = false);
Napi::Array sizes_of(Napi::Env env, at::IntArrayRef sizes);
Napi::Array shape_of(Napi::Env env, const at::Tensor& tensor);
/// ImageBatch, LatentBatch or FeatureBatch.
Napi::Object batch_of(Napi::Env env, const at::Tensor& tensor);
Napi::Object named_tensor(Napi::Env env, const NamedTensor& named);
Napi::Array named_tensors(Napi::Env env, const std::vector<NamedTensor>& list);
Napi::Object losses_of(Napi::Env env, const Losses& losses);

}  // namespace san::binding
