#include "training/device_run.h"

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAGraph.h>

#include <cstdlib>
#include <string_view>

#include "training/one_thread.h"

namespace san {
namespace {

/// Steps of one kind before it is captured.
constexpr int kWarmUps = 3;

/// Values of `from` in tensors that stay where they are.
void hold(StepInputs& held, const StepInputs& from) {
  const auto copy = [](at::Tensor& to, const at::Tensor& values) {
    if (!values.defined()) return;
    if (to.defined() && to.sizes() == values.sizes())
      to.copy_(values, /*non_blocking=*/true);
    else
      to = values.clone();
  };
  copy(held.z, from.z);
  copy(held.x, from.x);
  copy(held.directions.random, from.directions.random);
  copy(held.e, from.e);
  copy(held.u, from.u);
  held.directions.axes = from.directions.axes;
  held.directions.first_axis = from.directions.first_axis;
  held.penalty = from.penalty;
  held.precision = from.precision;
}

std::string obstacle(const LossConfig& loss) {
  const char* choice = std::getenv("SAN_NATIVE_GRAPHS");
  if (choice != nullptr && std::string_view(choice) == "0") return "SAN_NATIVE_GRAPHS=0";
  if (loss.pairing == Pairing::assigned) return "pairing = assigned is solved on the host";
  return {};
}

}  // namespace

DeviceRun::DeviceRun(const c10::Device& device, const LossConfig& loss)
    : stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())),
      reason_(obstacle(loss)) {
  if (!reason_.empty()) TORCH_WARN("steps run without a CUDA graph: ", reason_);
}

DeviceRun::~DeviceRun() = default;

c10::cuda::CUDAStreamGuard DeviceRun::begin() const {
  c10::cuda::getCurrentCUDAStream(stream_.device_index()).synchronize();
  return c10::cuda::CUDAStreamGuard(stream_);
}

template <typename Step>
void DeviceRun::capture(Slot& slot, const Step& step) {
  stream_.synchronize();
  auto graph = std::make_unique<at::cuda::CUDAGraph>();
  graph->capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
  try {
    step();
  } catch (...) {
    try {
      graph->capture_end();
    } catch (const c10::Error&) {
      // The capture is void; what made it so is on its way.
    }
    throw;
  }
  graph->capture_end();
  slot.graph = std::move(graph);
}

void DeviceRun::step(const ModelConfig& model, const LossConfig& loss, const ParameterStore& parameters,
                     DeviceStep& update, const StepInputs& inputs) {
  const OneThread one_thread;
  const auto queue = [&](const StepInputs& in) {
    const StepResult result = compute_step(model, loss, parameters, in);
    update.step(parameters, result.generator_gradients, result.reverser_gradients, result.loss_values);
  };
  if (inputs.nan_gradient || !reason_.empty()) return queue(inputs);

  Slot& slot = slots_[inputs.penalty != 0 ? 1 : 0];
  if (slot.repulsion_weight != loss.repulsion_weight) {
    // It is part of the captured step: captured anew once it stays what it is.
    slot.graph.reset();
    slot.warm_ups = 0;
    slot.repulsion_weight = loss.repulsion_weight;
  }
  hold(slot.inputs, inputs);
  if (!slot.graph) {
    if (slot.warm_ups++ < kWarmUps) return queue(slot.inputs);
    try {
      capture(slot, [&] { queue(slot.inputs); });
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const std::exception& error) {
      const std::string_view text = error.what();
      reason_ = text.substr(0, text.find('\n'));
      TORCH_WARN("steps run without a CUDA graph: ", reason_);
      return queue(inputs);
    }
  }
  slot.graph->replay();
}

}  // namespace san
