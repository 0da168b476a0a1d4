#include "binding/trainer_options.h"

#include <ATen/ATen.h>

#include <set>

#include "binding/convert.h"

namespace san::binding {
namespace {

TrainerFaults read_faults(Options options) {
  TrainerFaults faults;
  const auto read = [&](const char* key, std::multiset<int64_t>& steps) {
    if (options.value(key).IsUndefined()) return;
    const auto list = options.integers(key, 0, 1 << 16);
    steps.insert(list.begin(), list.end());
  };
  read("nanGradient", faults.nan_gradient);
  read("outOfMemory", faults.out_of_memory);
  options.finish();
  return faults;
}

Residency read_residency(Options& options) {
  if (options.value("dataDevice").IsUndefined()) return Residency::automatic;
  return options.one_of<Residency>(
      "dataDevice",
      {{"auto", Residency::automatic}, {"device", Residency::device}, {"host", Residency::host}});
}

/// A tensor of the step's inputs, checked against what the model takes.
at::Tensor read_input(Options& options, const char* key, at::ScalarType dtype,
                      const std::vector<int64_t>& shape) {
  const at::Tensor tensor = read_tensor(options.object(key)).tensor;
  if (tensor.scalar_type() != dtype) options.fail(key, "must have the trainer's dtype");
  bool fits = tensor.dim() == static_cast<int64_t>(shape.size());
  for (size_t i = 0; fits && i < shape.size(); ++i)
    fits = shape[i] < 0 || tensor.size(static_cast<int64_t>(i)) == shape[i];
  if (!fits) options.fail(key, "does not have the shape that this model and batch need");
  return tensor;
}

}  // namespace

TrainerConfig read_trainer_config(Options& options) {
  TrainerConfig config;
  config.model = read_model(options.object("model"));
  config.loss = read_loss(options.object("loss"));
  config.optimizer = read_optimizer(options.object("optimizer"));
  config.seed = static_cast<uint64_t>(options.integer("seed", 0, kLargestInteger));
  config.batch_size = options.integer("batchSize", 1, 1 << 20);
  config.accumulate = options.integer_or("accumulate", 1, 1 << 20, 1);
  config.dtype = read_dtype(options);
  config.augmentation = read_augmentation(options);
  config.residency = read_residency(options);
  config.precision = read_precision(options);
  config.recompute = options.boolean_or("recompute", false);
  if (!options.value("faults").IsUndefined()) config.faults = read_faults(options.object("faults"));
  return config;
}

std::vector<StepRates> read_schedule(Options options, int64_t steps) {
  const auto count = static_cast<size_t>(steps);
  const auto learning_rate = options.doubles("learningRate", count),
             lambda = options.doubles("lambda", count), ema_decay = options.doubles("emaDecay", count),
             repulsion_weight = options.doubles("repulsionWeight", count);
  options.finish();
  std::vector<StepRates> schedule(count);
  for (size_t i = 0; i < count; ++i) {
    schedule[i] = {learning_rate[i], lambda[i], ema_decay[i], repulsion_weight[i]};
    schedule[i].validate();
  }
  return schedule;
}

StepInputs read_inputs(Options options, const ModelConfig& model, at::ScalarType dtype) {
  StepInputs in;
  in.z = read_input(options, "z", dtype, {-1, model.latent_channels, model.latent_size, model.latent_size});
  const int64_t b = in.z.size(0), d = model.latent_numel(), s = model.image_size();
  if (b < 1) options.fail("z", "holds no sample");
  in.x = read_input(options, "x", dtype, {b, model.image_channels, s, s});
  in.directions = {read_input(options, "directions", dtype, {d, -1}), /*axes=*/0};
  const bool mixed = options.has("e");
  if (mixed || options.has("u")) {
    if (mixed) in.e = read_input(options, "e", dtype, {b, 1, 1, 1});
    in.u = read_input(options, "u", dtype, {b, d});
    in.penalty = 1;
  }
  options.value("e");
  options.value("u");
  options.finish();
  return in;
}

}  // namespace san::binding
