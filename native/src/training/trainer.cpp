#include "san/trainer.h"

#include <ATen/ATen.h>

#include <new>
#include <unordered_map>
#include <utility>

#include "profiling/scope.h"
#include "random/random.h"
#include "san/device.h"
#include "san/error.h"
#include "training/finite.h"
#include "training/shift.h"
#ifdef SAN_NATIVE_CUDA
#include "training/device_run.h"
#endif

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

/// Whether a fault is due in this step; it is used up then.
bool happens(std::multiset<int64_t>& faults, int64_t step) {
  const auto found = faults.find(step);
  if (found == faults.end()) return false;
  faults.erase(found);
  return true;
}

ParameterStore parameters_from(const TrainerConfig& config, const std::optional<TrainerState>& state) {
  if (!state) return ParameterStore::initial(config.model, config.seed, config.tensor_options());
  const Lookup found = index_by_name(*state);
  return ParameterStore::from(config.model, config.tensor_options(), [&](const std::string& name) {
    const auto at = found.find(name);
    return at == found.end() ? at::Tensor() : at->second;
  });
}

ParameterStore starting_parameters(const TrainerConfig& config, const std::optional<TrainerState>& state) {
  config.validate();
  use_precision(config.device, config.precision);
  ParameterStore parameters = parameters_from(config, state);
  // Those of a run that goes on are held to it already, to the bit.
  if (!state || state->tensors.size() == parameters.size()) constrain(config.optimizer, parameters);
  if (config.precision == Precision::bf16) parameters.keep_copies();
  return parameters;
}

void require_division(const TrainerConfig& config, int ranks) {
  if (config.batch_size % (ranks * config.accumulate) == 0) return;
  throw Error(kOptions,
              "batchSize is " + std::to_string(config.batch_size) + ", which " + std::to_string(ranks) +
                  " ranks of " + std::to_string(config.accumulate) +
                  " passes cannot share out evenly; choose a multiple of " +
                  std::to_string(ranks * config.accumulate),
              "batchSize");
}

}  // namespace

void TrainerConfig::validate() const {
  model.validate();
  loss.validate();
  optimizer.validate();
  augmentation.validate();
  if (batch_size < 1)
    throw Error(kOptions, "batchSize is " + std::to_string(batch_size) + "; it must be at least 1",
                "batchSize");
  if (accumulate < 1)
    throw Error(kOptions, "accumulate is " + std::to_string(accumulate) + "; it must be at least 1",
                "accumulate");
  if (precision != Precision::fp32 && dtype != at::kFloat)
    throw Error(kOptions, "precision is for float32 parameters", "precision");
}

at::TensorOptions TrainerConfig::tensor_options() const { return at::TensorOptions(device).dtype(dtype); }

StepRates TrainerConfig::rates() const {
  return {optimizer.learning_rate, optimizer.lambda, optimizer.ema_decay, loss.repulsion_weight};
}

Trainer::Trainer(const TrainerConfig& config, const std::optional<ImageSet>& images,
                 const std::optional<TrainerState>& state, std::shared_ptr<Collective> ranks)
    : config_(config),
      ranks_(std::move(ranks)),
      parameters_(starting_parameters(config, state)),
      optimizer_(config.optimizer, parameters_),
      count_(at::zeros({1}, at::TensorOptions(config.device).dtype(at::kLong))) {
  require_division(config, this->ranks().size());
  if (images) {
    images->expect_shape(config.model.image_size(), config.model.image_channels);
    loader_.emplace(*images, LoaderConfig{config.batch_size, this->ranks().rank() * rows(), rows(),
                                          config.seed, config.augmentation, config.dtype, 1,
                                          parameters_.tensor(0).device(), config.residency});
  }
  if (!state) return;
  if (state->tensors.size() != parameters_.size()) restore_all(*state);
  steps_ = state->step;
  skipped_ = state->skipped;
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

void Trainer::restore(const std::optional<TrainerState>& state) {
  ParameterStore parameters = starting_parameters(config_, state);
  // Moments at zero and the moving average at the parameters, as they stay with the parameters alone.
  Optimizer optimizer(config_.optimizer, parameters);
  std::swap(parameters_, parameters);
  std::swap(optimizer_, optimizer);
  device_run_.reset();
  try {
    if (state && state->tensors.size() != parameters_.size()) restore_all(*state);
  } catch (...) {
    std::swap(parameters_, parameters);
    std::swap(optimizer_, optimizer);
    throw;
  }
  steps_ = state ? state->step : 0;
  skipped_ = state ? state->skipped : 0;
}

void Trainer::restore_all(const TrainerState& state) {
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
  parameters_.refresh_copies();
  if (found.size() != own.size())
    throw Error(kMismatch, "the training state holds " + std::to_string(found.size()) +
                               " tensors; this model has " + std::to_string(own.size()));
}

void Trainer::synchronise() {
  if (ranks().size() == 1) return;
  const at::Tensor counts = at::tensor({steps_, skipped_}, at::kLong);
  ranks().broadcast(counts);
  steps_ = counts[0].item<int64_t>();
  skipped_ = counts[1].item<int64_t>();
  for (const NamedTensor& named : tensors()) ranks().broadcast(named.tensor);
  parameters_.refresh_copies();
}

TrainerState Trainer::state() const {
  TrainerState state{steps_, skipped_, tensors()};
  for (NamedTensor& named : state.tensors) {
    const bool here = named.tensor.is_cpu();
    named.tensor = here ? named.tensor.clone(at::MemoryFormat::Contiguous) : named.tensor.cpu().contiguous();
  }
  return state;
}

int64_t Trainer::bytes() const {
  int64_t total = loader_ ? loader_->bytes() : 0;
  if (!config_.device.is_cpu()) return total;
  for (const NamedTensor& named : tensors()) total += static_cast<int64_t>(named.tensor.nbytes());
  return total;
}

void Trainer::prepare_inputs() {
  if (!loader_)
    throw Error(kOptions, "this trainer was created without images; pass `dataset` or `images` to take steps",
                "images");
  loader_->prepare(steps_);
}

double Trainer::next_penalty() const {
  const LossConfig& loss = config_.loss;
  const bool due = loss.penalty_weight > 0 && steps_ % loss.penalty_every == 0;
  return due ? loss.penalty_weight * static_cast<double>(loss.penalty_every) : 0;
}

StepInputs Trainer::draw_inputs(double penalty) const {
  const ModelConfig& model = config_.model;
  const int64_t b = rows(), d = model.latent_numel(), first = ranks().rank() * b;
  const uint64_t seed = config_.seed;
  const c10::Device device = config_.device;
  // Rows are keyed by their number among all that were ever drawn, whatever rank takes them.
  const auto own_rows = [&](random::Stream stream) {
    return random::normal_rows({seed, stream, static_cast<uint64_t>(first)}, b, d, device,
                               {count_, static_cast<uint64_t>(config_.batch_size)});
  };
  const auto key = [&](random::Stream stream) { return random::Key{seed, stream, 0}; };
  const random::StepCount each_step{count_, 1};

  StepInputs in;
  in.precision = config_.precision;
  in.recompute = config_.recompute;
  in.penalty = penalty;
  in.z = own_rows(random::Stream::training_latent)
             .view({b, model.latent_channels, model.latent_size, model.latent_size})
             .to(config_.dtype);
  in.x = loader_->prepared().to(device);
  if (config_.loss.estimator != Estimator::sinkhorn) {
    const at::Tensor rows =
        random::normal(key(random::Stream::direction), {config_.loss.projections, d}, device, each_step);
    in.directions = {unit_rows(rows).to(config_.dtype).t().contiguous(),
                     config_.loss.estimator == Estimator::normal ? d : 0};
  }
  if (penalty != 0) {
    if (config_.loss.penalty_form == PenaltyForm::wgan_gp)
      in.e = random::uniform(key(random::Stream::penalty_mix), config_.batch_size, device, each_step)
                 .narrow(0, first, b)
                 .view({b, 1, 1, 1})
                 .to(config_.dtype);
    in.u = unit_rows(own_rows(random::Stream::penalty_direction)).to(config_.dtype);
  }
  if (config_.loss.reverser_shift > 0) {
    const at::Tensor drawn =
        random::uniform(key(random::Stream::reverser_shift), 6 * config_.batch_size, device, each_step);
    in.shifts = shifts_of(config_.loss, model.image_size(),
                          drawn.view({config_.batch_size, 2, 3}).narrow(0, first, b));
  }
  return in;
}

LossConfig Trainer::loss_at(const StepRates& rates) const {
  LossConfig loss = config_.loss;
  if (loss.repulsion_weight > 0) loss.repulsion_weight = rates.repulsion_weight;
  return loss;
}

StepOutcome Trainer::step(const StepRates& rates, const Wishes& wishes) {
  // Others of this process may have asked for another one.
  use_precision(config_.device, config_.precision);
  const LossConfig loss = loss_at(rates);
  if (happens(config_.faults.out_of_memory, steps_ + 1)) throw std::bad_alloc();
  StepInputs inputs;
  {
    const profiling::Scope scope("inputs");
    prepare_inputs();
    count_.fill_(steps_);
    inputs = draw_inputs(next_penalty());
  }
  inputs.wishes = wishes;
  inputs.nan_gradient = happens(config_.faults.nan_gradient, steps_ + 1);
  StepResult result = compute_step(config_.model, loss, parameters_, inputs, ranks(), config_.accumulate);
  return apply(result, rates);
}

StepResult Trainer::step_on(const StepInputs& inputs) {
  use_precision(config_.device, config_.precision);
  StepInputs placed = inputs;
  placed.precision = config_.precision;
  placed.recompute = config_.recompute;
  for (at::Tensor* tensor : {&placed.z, &placed.x, &placed.directions.random, &placed.e, &placed.u})
    if (tensor->defined()) *tensor = tensor->to(config_.device);
  StepResult result =
      compute_step(config_.model, config_.loss, parameters_, placed, ranks(), config_.accumulate);
  apply(result, config_.rates());
  if (!result.loss_values.is_cpu()) result.losses = losses_of(result.loss_values);
  return result;
}

StepOutcome Trainer::apply(StepResult& result, const StepRates& rates) {
  const profiling::Scope scope("optimizer");
  if (config_.device.is_cuda()) return apply_on_device(result, rates);
  ++steps_;
  StepOutcome outcome{result.losses, first_not_finite(result, parameters_), result.wishes};
  if (outcome.not_finite.empty())
    optimizer_.step(parameters_, result.generator_gradients, result.reverser_gradients, steps_ - skipped_,
                    rates);
  else
    ++skipped_;
  return outcome;
}

#ifdef SAN_NATIVE_CUDA
namespace {

/// At the end of its life waits for the current stream: what an error leaves in the middle of a chunk has
/// ended then, before anyone reads or frees what it works on.
class Finished {
 public:
  explicit Finished(const c10::Device& device) : device_(device) {}
  ~Finished() {
    try {
      synchronise(device_);
    } catch (...) {
      // The error on its way tells of it.
    }
  }
  Finished(const Finished&) = delete;
  Finished& operator=(const Finished&) = delete;

 private:
  c10::Device device_;
};

}  // namespace

StepOutcome Trainer::apply_on_device(const StepResult& result, const StepRates& rates) {
  DeviceStep& update = optimizer_.on_device(parameters_);
  update.schedule({rates}, steps_ - skipped_);
  update.step(parameters_, result.generator_gradients, result.reverser_gradients,
              result.loss_values.to(config_.device));
  ++steps_;
  return outcome_of(update.records(1)[0], result.wishes);
}

StepOutcome Trainer::outcome_of(const ops::StepRecord& record, const Wishes& wishes) {
  StepOutcome outcome{{}, name_of_fault(record.fault, parameters_), wishes};
  std::copy_n(record.losses, outcome.losses.size(), outcome.losses.begin());
  if (!outcome.not_finite.empty()) ++skipped_;
  return outcome;
}

std::vector<StepOutcome> Trainer::run_queued(const std::vector<StepRates>& schedule,
                                             const Cancelled& cancelled) {
  use_precision(config_.device, config_.precision);
  if (!device_run_) device_run_ = std::make_shared<DeviceRun>(config_.device, config_.loss);
  DeviceStep& update = optimizer_.on_device(parameters_);
  std::vector<StepOutcome> outcomes;
  bool stopped = false;
  for (size_t first = 0; first < schedule.size() && !stopped; first += DeviceStep::kMostSteps) {
    const size_t last = std::min(schedule.size(), first + DeviceStep::kMostSteps);
    const auto on_own_stream = device_run_->begin();
    const Finished finished(config_.device);
    update.schedule(
        {schedule.begin() + static_cast<ptrdiff_t>(first), schedule.begin() + static_cast<ptrdiff_t>(last)},
        steps_ - skipped_);
    count_.fill_(steps_);
    int64_t queued = 0;
    for (size_t i = first; i < last && !stopped; ++i) {
      if (cancelled && cancelled()) {
        stopped = true;
        break;
      }
      if (happens(config_.faults.out_of_memory, steps_ + 1)) throw std::bad_alloc();
      prepare_inputs();
      const double penalty = next_penalty();
      const auto draw = [&] {
        StepInputs inputs = draw_inputs(penalty);
        count_.add_(1);
        return inputs;
      };
      const LossConfig loss = loss_at(schedule[i]);
      if (happens(config_.faults.nan_gradient, steps_ + 1)) {
        StepInputs inputs = draw();
        inputs.nan_gradient = true;
        DeviceRun::step_once(config_.model, loss, parameters_, update, inputs);
      } else {
        device_run_->step(config_.model, loss, parameters_, update, penalty != 0, draw);
      }
      ++steps_;
      ++queued;
    }
    if (queued == 0) break;
    for (const ops::StepRecord& record : update.records(queued)) outcomes.push_back(outcome_of(record, {}));
  }
  return outcomes;
}
#else
StepOutcome Trainer::apply_on_device(const StepResult&, const StepRates&) {
  throw Error(kDevice, "this build has no CUDA code", "device");
}

std::vector<StepOutcome> Trainer::run_queued(const std::vector<StepRates>&, const Cancelled&) {
  throw Error(kDevice, "this build has no CUDA code", "device");
}
#endif

Inference Trainer::inference(bool average) const {
  std::unordered_map<std::string, at::Tensor> values;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& averaged = optimizer_.average(i);
    values.emplace(parameters_.spec(i).name,
                   average && averaged.defined() ? averaged : parameters_.tensor(i));
  }
  return Inference::brief(
      config_.model, arrange(Net::generator, [&](const std::string& name) { return values.at(name); }),
      arrange(Net::reverser, [&](const std::string& name) { return parameters_.tensor(name); }),
      config_.tensor_options());
}

at::Tensor Trainer::sample(uint64_t seed, uint64_t first, int64_t count, bool average,
                           const Cancelled& cancelled) const {
  return inference(average).decode(sample_latents(config_.model, seed, first, count), cancelled);
}

at::Tensor Trainer::decode(const at::Tensor& latents, const Cancelled& cancelled) const {
  return inference(true).decode(latents, cancelled);
}

at::Tensor Trainer::encode(const at::Tensor& images, const Cancelled& cancelled) const {
  return inference(true).encode(images, cancelled);
}

}  // namespace san
