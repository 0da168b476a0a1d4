// Steps on a GPU one after another without a wait for it, by a captured graph where that is possible. CUDA
// builds only.
#pragma once

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <array>
#include <memory>
#include <string>

#include "san/parameters.h"
#include "san/training_step.h"
#include "training/device_step.h"

namespace at::cuda {
struct CUDAGraph;
}

namespace san {

/// A captured step is bound to the parameters, moments and update it was captured with: a new DeviceRun is
/// needed for others.
class DeviceRun {
 public:
  /// SAN_NATIVE_GRAPHS=0 in the environment keeps every step from being captured.
  DeviceRun(const c10::Device& device, const LossConfig& loss);
  ~DeviceRun();
  DeviceRun(const DeviceRun&) = delete;
  DeviceRun& operator=(const DeviceRun&) = delete;

  /// Waits for what was queued before, and makes the run's own stream the current one for as long as the
  /// result lives.
  c10::cuda::CUDAStreamGuard begin() const;

  /// Queues losses, gradients and update of one step; for the stream of begin(). Steps with and without the
  /// penalty are captured apart, each after some that were not, in which cuDNN chooses its algorithms.
  void step(const ModelConfig& model, const LossConfig& loss, const ParameterStore& parameters,
            DeviceStep& update, const StepInputs& inputs);

 private:
  struct Slot {
    StepInputs inputs;
    std::unique_ptr<at::cuda::CUDAGraph> graph;
    /// What a captured step would hold on to besides its tensors.
    double repulsion_weight = 0;
    int warm_ups = 0;
  };

  template <typename Step>
  void capture(Slot& slot, const Step& step);

  c10::cuda::CUDAStream stream_;
  std::array<Slot, 2> slots_;
  /// Why no step is captured; empty while nothing speaks against it.
  std::string reason_;
};

}  // namespace san
