// A training run in memory: parameters, optimizer, data order (spec, section 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "san/config.h"
#include "san/images.h"
#include "san/inference.h"
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
  std::vector<NamedTensor> tensors;
};

struct TrainerConfig {
  ModelConfig model;
  LossConfig loss;
  OptimizerConfig optimizer;
  uint64_t seed = 0;
  int64_t batch_size = 1;
  at::ScalarType dtype = at::kFloat;

  void validate() const;
};

/// Everything random in step t is a function of (seed, t), so the state needs no generator and a resumed run
/// equals an unbroken one.
class Trainer {
 public:
  /// `images`: uint8 (N, S, S, C), or none when only step_on() is used. `state`: continue from it; its
  /// tensors are either complete or the parameters alone.
  Trainer(const TrainerConfig& config, const std::optional<at::Tensor>& images,
          const std::optional<TrainerState>& state);

  /// One step on the next batch.
  Losses step();
  /// One step on given inputs.
  StepResult step_on(const StepInputs& inputs);
  /// Steps done.
  int64_t steps() const { return steps_; }

  /// Images [first, first + count) of `seed`: uint8 (count, S, S, C), by the moving average or the raw
  /// weights.
  at::Tensor sample(uint64_t seed, uint64_t first, int64_t count, bool average,
                    const Cancelled& cancelled = {}) const;

  /// A copy.
  TrainerState state() const;
  /// Memory held by parameters, optimizer and images, in bytes.
  int64_t bytes() const;
  const TrainerConfig& config() const { return config_; }

 private:
  StepInputs draw_inputs();
  void restore(const TrainerState& state);
  /// The state's tensors themselves, not copies.
  std::vector<NamedTensor> tensors() const;

  TrainerConfig config_;
  ParameterStore parameters_;
  Optimizer optimizer_;
  std::optional<Dataset> data_;
  int64_t steps_ = 0;
};

}  // namespace san
