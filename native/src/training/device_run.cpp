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
      repulsion_weight_(at::zeros({}, at::TensorOptions(device).dtype(at::kDouble))),
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
  const bool repels = loss.repulsion_weight > 0;
  if (repels != repels_)
    for (device::Captured& captured : captured_) captured.reset();
  repels_ = repels;
  if (written_ != loss.repulsion_weight) repulsion_weight_.fill_(loss.repulsion_weight);
  written_ = loss.repulsion_weight;
  const auto work = [&] {
    StepInputs inputs = draw();
    inputs.repulsion_weight = repulsion_weight_;
    step_once(model, loss, parameters, update, inputs);
  };
  captured_[penalty ? 1 : 0].queue(work, obstacle_, &captured_[penalty ? 0 : 1]);
}

}  // namespace san
