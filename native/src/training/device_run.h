// Steps on a GPU one after another without a wait for it, by a captured graph where that is possible. CUDA
// builds only.
#pragma once

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <array>
#include <functional>
#include <string>

#include "device/captured.h"
#include "san/parameters.h"
#include "san/training_step.h"
#include "training/device_step.h"

namespace san {

/// A captured step is bound to the parameters, moments and update it was captured with: a new DeviceRun is
/// needed for others.
class DeviceRun {
 public:
  /// SAN_NATIVE_GRAPHS=0 in the environment keeps every step from being captured.
  DeviceRun(const c10::Device& device, const LossConfig& loss);
  DeviceRun(const DeviceRun&) = delete;
  DeviceRun& operator=(const DeviceRun&) = delete;

  /// Waits for what was queued before, and makes the run's own stream the current one for as long as the
  /// result lives.
  c10::cuda::CUDAStreamGuard begin() const;

  /// Queues one step, from its inputs to the moving average; for the stream of begin(). `draw` makes the
  /// inputs by work of the device alone, whose results may depend on what is there. Steps with and without
  /// the `penalty` are captured apart.
  void step(const ModelConfig& model, const LossConfig& loss, const ParameterStore& parameters,
            DeviceStep& update, bool penalty, const std::function<StepInputs()>& draw);

  /// The same, never captured; for a step in which something goes wrong on purpose.
  static void step_once(const ModelConfig& model, const LossConfig& loss, const ParameterStore& parameters,
                        DeviceStep& update, const StepInputs& inputs);

 private:
  c10::cuda::CUDAStream stream_;
  std::array<device::Captured, 2> captured_;
  /// Whether the steps captured so far have repulsion.
  bool repels_ = false;
  /// The weight of repulsion on the device, float64, and what was last written there.
  at::Tensor repulsion_weight_;
  double written_ = 0;
  /// Why no step is captured; empty while nothing speaks against it.
  std::string obstacle_;
};

}  // namespace san
