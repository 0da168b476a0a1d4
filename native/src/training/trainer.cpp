#include "san/trainer.h"

#include <ATen/ATen.h>

#include <unordered_map>

#include "random/random.h"
#include "san/error.h"

namespace san {
namespace {

constexpr const char* kAverage = "ema.";

/// Rows scaled to length 1.
at::Tensor unit_rows(const at::Tensor& rows) { return rows / rows.norm(2, {1}, /*keepdim=*/true); }

using Lookup = std::unordered_map<std::string, at::Tensor>;

Lookup index_by_name(const TrainerState& state) {
  Lookup found;
  for (const auto& [name, tensor] : state.tensors) found.emplace(name, tensor);
  return found;
}

ParameterStore starting_parameters(const TrainerConfig& config, const std::optional<TrainerState>& state) {
  config.validate();
  if (!state) return ParameterStore::initial(config.model, config.seed, config.dtype);
  const Lookup found = index_by_name(*state);
  return ParameterStore::from(config.model, config.dtype, [&](const std::string& name) {
    const auto at = found.find(name);
    return at == found.end() ? at::Tensor() : at->second;
  });
}

}  // namespace

void TrainerConfig::validate() const {
  model.validate();
  loss.validate();
  optimizer.validate();
  if (batch_size < 1)
    throw Error(kOptions, "batchSize is " + std::to_string(batch_size) + "; it must be at least 1",
                "batchSize");
}

Trainer::Trainer(const TrainerConfig& config, const std::optional<at::Tensor>& images,
                 const std::optional<TrainerState>& state)
    : config_(config),
      parameters_(starting_parameters(config, state)),
      optimizer_(config.optimizer, parameters_) {
  if (images) data_.emplace(*images, config.batch_size, config.seed);
  if (state) restore(*state);
}

std::vector<NamedTensor> Trainer::tensors() const {
  std::vector<NamedTensor> all;
  for (size_t i = 0; i < parameters_.size(); ++i)
    all.push_back({parameters_.spec(i).name, parameters_.tensor(i)});
  for (const size_t i : parameters_.indices(Net::generator))
    all.push_back({kAverage + parameters_.spec(i).name, optimizer_.average(i)});
  for (const Net net : {Net::generator, Net::reverser})
    for (const size_t i : parameters_.indices(net)) {
      const std::string suffix = std::string(".") + name_of(net) + "." + parameters_.spec(i).name;
      all.push_back({"exp_avg" + suffix, optimizer_.moments(net, i).exp_avg});
      all.push_back({"exp_avg_sq" + suffix, optimizer_.moments(net, i).exp_avg_sq});
    }
  return all;
}

void Trainer::restore(const TrainerState& state) {
  steps_ = state.step;
  // The parameters alone: moments and moving average start afresh.
  if (state.tensors.size() == parameters_.size()) return;
  const Lookup found = index_by_name(state);
  const std::vector<NamedTensor> own = tensors();
  for (const auto& [name, tensor] : own) {
    const auto at = found.find(name);
    if (at == found.end())
      throw Error(kMismatch, "tensor '" + name + "' is missing from the training state", name);
    if (at->second.sizes() != tensor.sizes())
      throw Error(kMismatch, "tensor '" + name + "' has another shape than its parameter", name);
    tensor.copy_(at->second);
  }
  if (found.size() != own.size())
    throw Error(kMismatch, "the training state holds " + std::to_string(found.size()) +
                               " tensors; this model has " + std::to_string(own.size()));
}

TrainerState Trainer::state() const {
  TrainerState state{steps_, tensors()};
  for (NamedTensor& named : state.tensors) named.tensor = named.tensor.clone();
  return state;
}

int64_t Trainer::bytes() const {
  int64_t total = data_ ? data_->bytes() : 0;
  for (const NamedTensor& named : tensors()) total += static_cast<int64_t>(named.tensor.nbytes());
  return total;
}

StepInputs Trainer::draw_inputs() {
  if (!data_)
    throw Error(kOptions, "this trainer was created without images; pass `images` to take steps", "images");
  const auto t = static_cast<uint64_t>(steps_);
  const auto batch = static_cast<uint64_t>(config_.batch_size);
  const ModelConfig& model = config_.model;
  const int64_t b = config_.batch_size, d = model.latent_numel();
  const uint64_t seed = config_.seed;

  StepInputs in;
  in.z = random::normal_rows({seed, random::Stream::training_latent, t * batch}, b, d)
             .view({b, model.latent_channels, model.latent_size, model.latent_size})
             .to(config_.dtype);
  in.x = data_->batch(steps_, config_.dtype);
  if (config_.loss.estimator != Estimator::sinkhorn) {
    const at::Tensor rows =
        random::normal({seed, random::Stream::direction, t}, {config_.loss.projections, d});
    in.directions = {unit_rows(rows).to(config_.dtype).t().contiguous(),
                     config_.loss.estimator == Estimator::normal};
  }
  if (config_.loss.penalty_weight > 0 && steps_ % config_.loss.penalty_every == 0) {
    in.penalty = config_.loss.penalty_weight * static_cast<double>(config_.loss.penalty_every);
    in.e = random::uniform({seed, random::Stream::penalty_mix, t}, b).view({b, 1, 1, 1}).to(config_.dtype);
    in.u = unit_rows(random::normal_rows({seed, random::Stream::penalty_direction, t * batch}, b, d))
               .to(config_.dtype);
  }
  return in;
}

Losses Trainer::step() { return step_on(draw_inputs()).losses; }

StepResult Trainer::step_on(const StepInputs& inputs) {
  StepResult result = compute_step(config_.model, config_.loss, parameters_, inputs);
  ++steps_;
  optimizer_.step(parameters_, result.generator_gradients, result.reverser_gradients, steps_);
  return result;
}

at::Tensor Trainer::sample(uint64_t seed, uint64_t first, int64_t count, bool average,
                           const Cancelled& cancelled) const {
  std::unordered_map<std::string, at::Tensor> values;
  for (const size_t i : parameters_.indices(Net::generator))
    values.emplace(parameters_.spec(i).name, average ? optimizer_.average(i) : parameters_.tensor(i));
  const Inference inference(config_.model,
                            arrange(Net::generator, [&](const std::string& name) { return values.at(name); }),
                            NetworkParameters{}, config_.dtype);
  return inference.decode(sample_latents(config_.model, seed, first, count), cancelled);
}

}  // namespace san
