// The update of all parameters on a GPU: ops/shared_step/launch.h with what it works on. CUDA builds only.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "ops/shared_step/launch.h"
#include "san/optimizer.h"

namespace san {

/// Points into the tensors that it is given at construction, which must stay where they are.
class DeviceStep {
 public:
  /// Most steps that one schedule() announces.
  static constexpr int64_t kMostSteps = 1024;

  /// float32 or float64, on one GPU, each parameter's tensors in one memory order. The store's bfloat16
  /// copies follow the values.
  DeviceStep(const OptimizerConfig& config, const ParameterStore& parameters, const Optimizer& optimizer);

  /// Announces the rates of the steps to come. `updates`: steps so far that changed the parameters. Not to be
  /// captured.
  void schedule(const std::vector<StepRates>& rates, int64_t updates);

  /// Begins the schedule again, as if no step had been taken; waits for nothing, and may be captured.
  void rewind() { state_.zero_(); }

  /// Queues one step, which changes nothing but counts when a gradient, or one of `losses`, float64 (6), is
  /// not finite. Waits for nothing, and may be captured; gradients line up with parameters.indices(net).
  void step(const ParameterStore& parameters, const std::vector<at::Tensor>& generator_gradients,
            const std::vector<at::Tensor>& reverser_gradients, const at::Tensor& losses);

  /// The losses and faults of the steps since schedule(), `count` of them. Waits for the device.
  std::vector<ops::StepRecord> records(int64_t count) const;

 private:
  OptimizerConfig config_;
  at::ScalarType dtype_;
  int64_t chunk_count_ = 0;
  /// Of the optimizer.
  std::vector<at::Tensor> averages_;
  /// Bytes on the device: the tables, and what steps read and write.
  at::Tensor segments_, chunks_, faults_, state_, schedule_, records_;
};

}  // namespace san
