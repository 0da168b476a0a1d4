// A training run in memory: parameters, optimizer, data order (spec, section 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "san/augmentation.h"
#include "san/collective.h"
#include "san/config.h"
#include "san/image_set.h"
#include "san/inference.h"
#include "san/loader.h"
#include "san/optimizer.h"
#include "san/parameters.h"
#include "san/training_step.h"

namespace san {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

/// All that changes while training. Names: the spec's section 5, then
/// `{exp_avg,exp_avg_sq}.{generator,reverser}.NAME` for AdamW's moments.
struct TrainerState {
  int64_t step = 0;
  /// Steps of these that were skipped, so that AdamW's bias correction counts updates.
  int64_t skipped = 0;
  std::vector<NamedTensor> tensors;
};

/// Steps, counted from 1, in which something goes wrong on purpose; for tests. A step that is named n times
/// goes wrong the first n times it is taken.
struct TrainerFaults {
  /// The first gradient of the generator gets a NaN.
  std::multiset<int64_t> nan_gradient;
  /// An allocation fails.
  std::multiset<int64_t> out_of_memory;
};

struct TrainerConfig {
  ModelConfig model;
  LossConfig loss;
  OptimizerConfig optimizer;
  uint64_t seed = 0;
  /// Of all ranks together.
  int64_t batch_size = 1;
  /// Passes that a rank takes its rows of a batch in: StepResult of compute_step().
  int64_t accumulate = 1;
  at::ScalarType dtype = at::kFloat;
  /// Where parameters, optimizer and all work are.
  c10::Device device{c10::kCPU};
  /// With float32 alone.
  Precision precision = Precision::fp32;
  /// StepInputs::recompute.
  bool recompute = false;
  AugmentationConfig augmentation;
  Residency residency = Residency::automatic;
  TrainerFaults faults;

  void validate() const;
  /// Of the parameters.
  at::TensorOptions tensor_options() const;
  /// The constants, for steps without a schedule.
  StepRates rates() const;
};

struct StepOutcome {
  Losses losses;
  /// The first loss or gradient that is not finite: "loss lgd", or "gradient of kernel.latent in the
  /// generator". Unless it is empty, the step changed nothing but the count of steps.
  std::string not_finite;
  Wishes wishes;
};

class DeviceRun;
namespace ops {
struct StepRecord;
}

/// Everything random in step t is a function of (seed, t), so the state needs no generator and a resumed run
/// equals an unbroken one.
class Trainer {
 public:
  /// `images`: of the model's size, or none when only step_on() is used. `state`: continue from it; its
  /// tensors are either complete or the parameters alone. `ranks`: those that take each step together; alone
  /// without. Their number and `accumulate` divide the batch size, or ERR_SAN_OPTIONS is thrown.
  Trainer(const TrainerConfig& config, const std::optional<ImageSet>& images,
          const std::optional<TrainerState>& state, std::shared_ptr<Collective> ranks = nullptr);

  /// One step on the next batch; every rank takes it, at the same rates.
  StepOutcome step(const StepRates& rates, const Wishes& wishes = {});
  /// Whether steps are best taken by run_queued(): one rank and one pass on a GPU.
  bool queues() const { return config_.device.is_cuda() && ranks().size() == 1 && config_.accumulate == 1; }
  /// Steps at these rates, fewer once `cancelled`; the device is waited for when all are queued.
  std::vector<StepOutcome> run_queued(const std::vector<StepRates>& schedule, const Cancelled& cancelled);
  /// Makes the state of every rank that of rank 0; all call it.
  void synchronise();
  /// One step on given inputs, with the constant rates.
  StepResult step_on(const StepInputs& inputs);
  /// Steps done.
  int64_t steps() const { return steps_; }

  /// Goes back, or on, to a state as at construction; to the seed's initial values without one. Nothing is
  /// changed when the state does not fit.
  void restore(const std::optional<TrainerState>& state);

  /// Images [first, first + count) of `seed`: uint8 (count, S, S, C), by the moving average or the raw
  /// weights.
  at::Tensor sample(uint64_t seed, uint64_t first, int64_t count, bool average,
                    const Cancelled& cancelled = {}) const;
  /// float32 (N, Zc, Sz, Sz) -> uint8 (N, S, S, C), by the moving average.
  at::Tensor decode(const at::Tensor& latents, const Cancelled& cancelled = {}) const;
  /// uint8 (N, S, S, C) -> float32 (N, Zc, Sz, Sz).
  at::Tensor encode(const at::Tensor& images, const Cancelled& cancelled = {}) const;

  /// A copy.
  TrainerState state() const;
  /// Main memory held by parameters, optimizer and images, in bytes.
  int64_t bytes() const;
  const TrainerConfig& config() const { return config_; }
  Collective& ranks() const { return ranks_ ? *ranks_ : alone(); }

 private:
  /// Brings the next step's images where they are taken from. The host's part of making its inputs.
  void prepare_inputs();
  /// Inputs of step `count_`, by work of the device alone, from prepare_inputs() on.
  StepInputs draw_inputs(double penalty) const;
  /// Factor of the gradient penalty in the next step; 0 leaves it out.
  double next_penalty() const;
  /// The tensors of a complete state into those that are there.
  void restore_all(const TrainerState& state);
  /// Updates the parameters, unless something is not finite.
  StepOutcome apply(StepResult& result, const StepRates& rates);
  LossConfig loss_at(const StepRates& rates) const;
#ifdef SAN_NATIVE_CUDA
  /// Counts a step that changed nothing.
  StepOutcome outcome_of(const ops::StepRecord& record, const Wishes& wishes);
#endif
  StepOutcome apply_on_device(const StepResult& result, const StepRates& rates);
  Inference inference(bool average) const;
  /// The state's tensors themselves, not copies.
  std::vector<NamedTensor> tensors() const;

  /// Rows of a batch that this rank takes.
  int64_t rows() const { return config_.batch_size / ranks().size(); }

  TrainerConfig config_;
  std::shared_ptr<Collective> ranks_;
  ParameterStore parameters_;
  Optimizer optimizer_;
  std::optional<Loader> loader_;
  int64_t steps_ = 0;
  int64_t skipped_ = 0;
  /// steps_ where inputs are made, int64 (1).
  at::Tensor count_;
  /// Made by the first run_queued() for these parameters.
  std::shared_ptr<DeviceRun> device_run_;
};

}  // namespace san
