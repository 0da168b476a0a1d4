#include "binding/convert.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "binding/environment.h"
#include "san/error.h"

namespace san::binding {
namespace {

const std::vector<std::pair<const char*, at::ScalarType>> kDtypes = {{"float32", at::kFloat},
                                                                     {"float64", at::kDouble}};

struct Elements {
  /// Of numbers, not of bytes.
  size_t count;
  const void* data;
  Napi::Value buffer;
};

/// As they are now: napi's own wrapper remembers the length of an array that may have been detached since.
Elements elements_of(const Napi::Value& typed_array) {
  Elements out{};
  void* data = nullptr;
  napi_value buffer = nullptr;
  NAPI_THROW_IF_FAILED(
      typed_array.Env(),
      napi_get_typedarray_info(typed_array.Env(), typed_array, nullptr, &out.count, &data, &buffer, nullptr),
      out);
  out.data = data;
  out.buffer = Napi::Value(typed_array.Env(), buffer);
  return out;
}

/// Copies `data` (a Uint8Array or Float32Array of the options object) into a fresh tensor.
at::Tensor copy_data(Options& options, std::vector<int64_t> shape, at::ScalarType dtype,
                     napi_typedarray_type type) {
  const auto element = static_cast<int64_t>(at::elementSize(dtype));
  int64_t bytes = element;
  for (const int64_t size : shape)
    if (__builtin_mul_overflow(bytes, size, &bytes)) options.fail("shape", "is too large");
  const Napi::Value value = options.value("data");
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
    options.fail("data", type == napi_float32_array ? "must be a Float32Array" : "must be a Uint8Array");
  // May run JavaScript, such as a proxy's, and so comes before the array is looked at.
  options.finish();
  const Elements found = elements_of(value);
  if (!found.buffer.IsArrayBuffer())
    options.fail("data", "is over a SharedArrayBuffer, which others may write to; copy it with slice()");
  const auto has = static_cast<int64_t>(found.count * (type == napi_float32_array ? sizeof(float) : 1));
  if (has != bytes)
    options.fail("data", "has " + std::to_string(has) + " bytes; its shape needs " + std::to_string(bytes));
  at::Tensor tensor = at::empty(shape, dtype);
  if (bytes > 0) std::memcpy(tensor.mutable_data_ptr(), found.data, static_cast<size_t>(bytes));
  return tensor;
}

}  // namespace

ModelConfig read_model(Options options) {
  ModelConfig c;
  const auto widths = options.integers("widths", c.widths.size(), c.widths.size());
  std::copy(widths.begin(), widths.end(), c.widths.begin());
  const auto strides = options.integers("strides", c.strides.size(), c.strides.size());
  std::copy(strides.begin(), strides.end(), c.strides.begin());
  constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();
  c.latent_channels = options.integer("latentChannels", 1, kLargest);
  c.latent_size = options.integer("latentSize", 1, kLargest);
  c.image_channels = options.integer("imageChannels", 1, kLargest);
  c.ado_threshold = options.number("adoThreshold");
  c.ado_ratio = options.number("adoRatio");
  c.rpa_ratio = options.number("rpaRatio");
  c.attention_ratio = options.number("attentionRatio");
  options.finish();
  c.validate();
  return c;
}

/// Of LGI; halving a size once more than this leaves no image.
constexpr size_t kMostScales = 10;

LossConfig read_loss(Options options) {
  LossConfig c;
  c.estimator = options.one_of<Estimator>("estimator", {{"normal", Estimator::normal},
                                                        {"sliced", Estimator::sliced},
                                                        {"sinkhorn", Estimator::sinkhorn},
                                                        {"dual", Estimator::dual}});
  c.pairing = options.one_of<Pairing>(
      "pairing", {{"cycle", Pairing::cycle}, {"assigned", Pairing::assigned}, {"random", Pairing::random}});
  c.projections = options.integer("projections", 1, kLargestInteger);
  c.w_gd = options.number("wGD");
  c.w_gi = options.number("wGI");
  c.lgi_scales = options.numbers("lgiScales", 1, kMostScales);
  c.w_rz = options.number("wRZ");
  c.w_rx = options.number("wRX");
  c.w_lz = options.number("wLZ");
  c.repulsion_weight = options.number("repulsionWeight");
  c.repulsion_margin = options.number("repulsionMargin");
  c.repulsion_form = options.one_of<RepulsionForm>(
      "repulsionForm", {{"hinge", RepulsionForm::hinge}, {"exponential", RepulsionForm::exponential}});
  c.penalty_weight = options.number("penaltyWeight");
  c.penalty_every = options.integer("penaltyEvery", 1, kLargestInteger);
  c.penalty_form = options.one_of<PenaltyForm>("penaltyForm",
                                               {{"wgan-gp", PenaltyForm::wgan_gp}, {"r1", PenaltyForm::r1}});
  c.sinkhorn_epsilon = options.number("sinkhornEpsilon");
  c.sinkhorn_iterations = options.integer("sinkhornIterations", 1, kLargestInteger);
  c.reverser_shift = options.number_or("reverserShift", c.reverser_shift);
  c.reverser_shift_probability = options.number_or("reverserShiftProbability", c.reverser_shift_probability);
  c.reconstruction_share = options.number_or("reconstructionShare", c.reconstruction_share);
  options.finish();
  c.validate();
  return c;
}

OptimizerConfig read_optimizer(Options options) {
  OptimizerConfig c;
  c.learning_rate = options.number("learningRate");
  c.weight_decay = options.number("weightDecay");
  c.lambda = options.number("lambda");
  c.ema_decay = options.number("emaDecay");
  c.checkerboard_free = options.boolean_or("checkerboardFree", false);
  options.finish();
  c.validate();
  return c;
}

AugmentationConfig read_augmentation(Options& parent) {
  AugmentationConfig c;
  if (parent.value("augmentation").IsUndefined()) return c;
  Options options = parent.object("augmentation");
  c.flip_horizontal = options.number("flipHorizontal");
  c.flip_vertical = options.number("flipVertical");
  c.rotate90 = options.number("rotate90");
  c.rotate = options.number("rotate");
  c.rotate_probability = options.number("rotateProbability");
  c.translate = options.number("translate");
  c.translate_probability = options.number("translateProbability");
  c.crop_scale = options.number("cropScale");
  c.crop_probability = options.number("cropProbability");
  c.brightness = options.number("brightness");
  c.brightness_probability = options.number("brightnessProbability");
  c.contrast = options.number("contrast");
  c.contrast_probability = options.number("contrastProbability");
  c.saturation = options.number("saturation");
  c.saturation_probability = options.number("saturationProbability");
  c.hue = options.number("hue");
  c.hue_probability = options.number("hueProbability");
  c.cutout = options.number("cutout");
  c.cutout_probability = options.number("cutoutProbability");
  options.finish();
  c.validate();
  return c;
}

at::ScalarType read_dtype(Options& options) {
  if (!options.has("dtype")) {
    options.value("dtype");
    return at::kFloat;
  }
  return options.one_of<at::ScalarType>("dtype", kDtypes);
}

std::string read_device(Options& options) {
  return options.value("device").IsUndefined() ? "cpu" : options.string("device");
}

Precision read_precision(Options& options) {
  if (options.value("precision").IsUndefined()) return Precision::fp32;
  return options.one_of<Precision>(
      "precision", {{"fp32", Precision::fp32}, {"tf32", Precision::tf32}, {"bf16", Precision::bf16}});
}

int read_threads(Options& options) { return static_cast<int>(options.integer_or("threads", 1, 1024, 0)); }

NamedTensor read_tensor(Options options) {
  const std::string name = options.string("name");
  const at::ScalarType dtype = options.one_of<at::ScalarType>("dtype", kDtypes);
  auto shape = options.integers("shape", 0, 8);
  return {name, copy_data(options, std::move(shape), dtype, napi_uint8_array)};
}

std::vector<NamedTensor> read_tensors(std::vector<Options> list) {
  std::vector<NamedTensor> out;
  out.reserve(list.size());
  for (Options& options : list) out.push_back(read_tensor(std::move(options)));
  return out;
}

at::Tensor read_images(Options options, const ModelConfig* model) {
  auto shape = options.integers("shape", 4, 4);
  if (model != nullptr) {
    const int64_t size = model->image_size();
    if (shape[1] != size || shape[2] != size || shape[3] != model->image_channels)
      options.fail("shape", "is [" + std::to_string(shape[0]) + ", " + std::to_string(shape[1]) + ", " +
                                std::to_string(shape[2]) + ", " + std::to_string(shape[3]) +
                                "]; this model takes [N, " + std::to_string(size) + ", " +
                                std::to_string(size) + ", " + std::to_string(model->image_channels) + "]");
  }
  return copy_data(options, std::move(shape), at::kByte, napi_uint8_array);
}

std::optional<ImageSource> read_source(Options& options, const ModelConfig* model) {
  const bool in_file = options.has("dataset"), in_memory = options.has("images");
  if (in_file && in_memory) options.fail("dataset", "and images exclude each other");
  options.value("dataset");
  options.value("images");
  if (in_memory) return read_images(options.object("images"), model);
  if (!in_file) return std::nullopt;
  Options dataset = options.object("dataset");
  const std::string path = dataset.path("path");
  dataset.finish();
  return path;
}

std::optional<ImageSet> open_images(const std::optional<ImageSource>& source) {
  if (!source) return std::nullopt;
  if (const auto* path = std::get_if<std::string>(&*source)) return ImageSet::map(*path);
  return ImageSet(std::get<at::Tensor>(*source));
}

at::Tensor read_latents(Options options, const ModelConfig& model) {
  auto shape = options.integers("shape", 4, 4);
  if (shape[1] != model.latent_channels || shape[2] != model.latent_size || shape[3] != model.latent_size)
    options.fail("shape", "must be [N, " + std::to_string(model.latent_channels) + ", " +
                              std::to_string(model.latent_size) + ", " + std::to_string(model.latent_size) +
                              "] for this model");
  return copy_data(options, std::move(shape), at::kFloat, napi_float32_array);
}

at::Tensor read_latents(Options options) {
  return copy_data(options, options.integers("shape", 4, 4), at::kFloat, napi_float32_array);
}

at::Tensor read_features(Options options) {
  return copy_data(options, options.integers("shape", 2, 2), at::kFloat, napi_float32_array);
}

TrainerState read_state(Options options) {
  TrainerState state;
  state.step = options.integer("step", 0, kLargestInteger);
  state.skipped = options.integer("skipped", 0, state.step);
  state.tensors = read_tensors(options.objects("tensors"));
  options.finish();
  return state;
}

SampleRange read_range(Options& options) {
  SampleRange range;
  range.seed = static_cast<uint64_t>(options.integer("seed", 0, kLargestInteger));
  range.first = static_cast<uint64_t>(options.integer_or("startIndex", 0, kLargestInteger, 0));
  range.count = options.integer("count", 1, std::numeric_limits<int32_t>::max());
  return range;
}

std::optional<double> read_truncation(Options& options) {
  if (options.has("truncation")) return options.number("truncation");
  options.value("truncation");
  return {};
}

Napi::Value tensor_bytes(Napi::Env env, const at::Tensor& tensor, bool as_floats) {
  TORCH_CHECK(tensor.is_cpu(), "JavaScript cannot read a device's memory");
  const at::Tensor data = tensor.contiguous();
  const size_t bytes = data.nbytes();
  // Node ends the process on a longer one: it frees the memory, then says that there is no such buffer.
  const double largest = Environment::of(env).largest_buffer;
  if (static_cast<double>(bytes) > largest)
    throw Error(kOptions, "the result has " + std::to_string(bytes) + " bytes; a buffer of this Node holds " +
                              std::to_string(static_cast<int64_t>(largest)) +
                              " at most; ask for fewer at once");
  Napi::ArrayBuffer buffer;
  if (bytes == 0) {
    buffer = Napi::ArrayBuffer::New(env, 0);
  } else {
    auto* keep_alive = new at::Tensor(data);
    buffer = Napi::ArrayBuffer::New(
        env, data.mutable_data_ptr(), bytes, [](Napi::Env, void*, at::Tensor* held) { delete held; },
        keep_alive);
  }
  if (as_floats) return Napi::Float32Array::New(env, bytes / sizeof(float), buffer, 0);
  return Napi::Uint8Array::New(env, bytes, buffer, 0);
}

Napi::Array sizes_of(Napi::Env env, at::IntArrayRef sizes) {
  Napi::Array out = Napi::Array::New(env, sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i)
    out.Set(static_cast<uint32_t>(i), Napi::Number::New(env, static_cast<double>(sizes[i])));
  return out;
}

Napi::Array shape_of(Napi::Env env, const at::Tensor& tensor) { return sizes_of(env, tensor.sizes()); }

Napi::Object batch_of(Napi::Env env, const at::Tensor& tensor) {
  Napi::Object batch = Napi::Object::New(env);
  batch.Set("data", tensor_bytes(env, tensor, tensor.scalar_type() == at::kFloat));
  batch.Set("shape", shape_of(env, tensor));
  return batch;
}

Napi::Object named_tensor(Napi::Env env, const NamedTensor& named) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("name", named.name);
  out.Set("dtype", named.tensor.scalar_type() == at::kDouble ? "float64" : "float32");
  out.Set("shape", shape_of(env, named.tensor));
  out.Set("data", tensor_bytes(env, named.tensor));
  return out;
}

Napi::Array named_tensors(Napi::Env env, const std::vector<NamedTensor>& list) {
  Napi::Array out = Napi::Array::New(env, list.size());
  for (size_t i = 0; i < list.size(); ++i) out.Set(static_cast<uint32_t>(i), named_tensor(env, list[i]));
  return out;
}

Napi::Object losses_of(Napi::Env env, const Losses& losses) {
  Napi::Object out = Napi::Object::New(env);
  for (size_t i = 0; i < losses.size(); ++i) out.Set(kLossNames[i], losses[i]);
  return out;
}

}  // namespace san::binding
