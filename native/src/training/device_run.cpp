#include "training/device_run.h"

#include <ATen/ATen.h>

#include "training/one_thread.h"

namespace san {
namespace {

std::string obstacle_of(const LossConfig& loss) {
  if (loss.pairing == Pairing::assigned) return "pairing = assigned is solved on the host";
  return device::capture_obstacle();
}

}  // namespace

DeviceRun::DeviceRun(const c10::Device& device, const LossConfig& loss)
    : stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())),
      obstacle_(obstacle_of(loss)) {
  if (!obstacle_.empty()) TORCH_WARN("steps run without a CUDA graph: ", obstacle_);
}

c10::cuda::CUDAStreamGuard DeviceRun::begin() const {
  c10::cuda::getCurrentCUDAStream(stream_.device_index()).synchronize();
  return c10::cuda::CUDAStreamGuard(stream_);
}

void DeviceRun::step_once(const ModelConfig& model, const LossConfig& loss, const ParameterStore& parameters,
                          DeviceStep& update, const StepInputs& inputs) {
  const OneThread one_thread;
  const StepResult result = compute_step(model, loss, parameters, inputs);
  update.step(parameters, result.generator_gradients, result.reverser_gradients, result.loss_values);
}

void DeviceRun::step(const ModelConfig& model, const LossConfig& loss, const ParameterStore& parameters,
                     DeviceStep& update, bool penalty, const std::function<StepInputs()>& draw) {
  Slot &slot = slots_[penalty ? 1 : 0], &other = slots_[penalty ? 0 : 1];
  if (slot.repulsion_weight != loss.repulsion_weight) {
    // It is part of the captured step: captured anew once it stays what it is.
    slot.captured.reset();
    slot.repulsion_weight = loss.repulsion_weight;
  }
  slot.captured.queue([&] { step_once(model, loss, parameters, update, draw()); }, obstacle_,
                      &other.captured);
}

}  // namespace san
