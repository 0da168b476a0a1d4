#include "profiling/convolutions.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "profiling/noise.h"
#include "profiling/stopwatch.h"
#include "san/device.h"
#include "san/training_step.h"
#include "training/one_thread.h"

namespace san::profiling {
namespace {

constexpr double kSecondsEach = 0.03;

/// One call: aten::convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding,
/// groups) or aten::convolution_backward(grad, input, weight, bias_sizes, stride, ..., groups, output_mask).
struct Call {
  std::vector<c10::IValue> inputs;
  int64_t count = 0;
};

/// By kind, shapes, strides and types.
using Calls = std::map<std::string, Call>;

constexpr const char *kForward = "aten::convolution", *kBackward = "aten::convolution_backward";

// A callback of RecordFunction is a plain function.
thread_local Calls* recorded = nullptr;

std::string text_of(const c10::IValue& value) {
  std::ostringstream out;
  if (value.isTensor() && value.toTensor().defined()) {
    const at::Tensor& t = value.toTensor();
    out << t.sizes() << t.strides() << t.scalar_type();
  } else if (!value.isTensor()) {
    out << value;
  }
  return out.str();
}

std::unique_ptr<at::ObserverContext> note(const at::RecordFunction& function) {
  const std::string_view name = function.name();
  if (recorded == nullptr || (name != kForward && name != kBackward)) return nullptr;
  std::string key(name);
  for (const c10::IValue& value : function.inputs()) key += " " + text_of(value);
  Call& call = (*recorded)[key];
  ++call.count;
  if (call.inputs.empty()) call.inputs.assign(function.inputs().begin(), function.inputs().end());
  return nullptr;
}

/// While it lives, the convolutions of this thread are noted.
class Recording {
 public:
  explicit Recording(Calls& calls) {
    recorded = &calls;
    handle_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback(note).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  }
  ~Recording() {
    at::removeCallback(handle_);
    recorded = nullptr;
  }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  at::CallbackHandle handle_;
};

/// A step's inputs: what they hold does not matter.
StepInputs some_inputs(const ModelConfig& model, const LossConfig& loss, int64_t batch_size,
                       Precision precision, const at::TensorOptions& options) {
  const int64_t s = model.image_size(), d = model.latent_numel();
  StepInputs in;
  in.precision = precision;
  // As on a GPU, where R's gradient through R(G(Z)) is worked out whether repulsion needs it or not.
  in.deferred = true;
  in.z = noise({batch_size, model.latent_channels, model.latent_size, model.latent_size}, options);
  in.x = noise({batch_size, model.image_channels, s, s}, options).tanh();
  if (loss.estimator != Estimator::sinkhorn)
    in.directions = {noise({d, loss.projections}, options), loss.estimator == Estimator::normal};
  return in;
}

/// Multiplications and additions of one application of `weight`: a transposed convolution does for each
/// number of its input what another does for each of its output.
double operations_of(const at::Tensor& small_side, const at::Tensor& weight) {
  const double pixels = static_cast<double>(small_side.size(0) * small_side.size(2) * small_side.size(3));
  return 2 * pixels * static_cast<double>(weight.numel());
}

at::Tensor like(const c10::IValue& value) { return noise_like(value.toTensor()); }

/// Whether it is a block's transposed convolution of stride 1: 3x3, of as many pixels as its input.
bool keeps_size(const at::Tensor& w, bool transposed, const std::vector<int64_t>& strides) {
  return transposed && w.size(2) == 3 &&
         std::all_of(strides.begin(), strides.end(), [](int64_t stride) { return stride == 1; });
}

/// The kernel of the convolution that does what the transposed one of stride 1 does by `w`.
at::Tensor flipped(const at::Tensor& w) {
  return w.flip({2, 3}).transpose(0, 1).contiguous(w.suggest_memory_format());
}

void add(ConvolutionTime& total, int64_t calls, double operations, double seconds) {
  total.calls += calls;
  total.operations += static_cast<double>(calls) * operations;
  total.seconds += static_cast<double>(calls) * seconds;
}

void add_forward(const Call& call, const c10::Device& device, ConvolutionTimes& times) {
  const auto& in = call.inputs;
  const at::Tensor x = like(in[0]), w = like(in[1]);
  const auto stride = in[3].toIntVector(), padding = in[4].toIntVector(), dilation = in[5].toIntVector(),
             output_padding = in[7].toIntVector();
  const bool transposed = in[6].toBool();
  const auto apply = [&] {
    return at::convolution(x, w, {}, stride, padding, dilation, transposed, output_padding, in[8].toInt());
  };
  const double operations = operations_of(transposed ? x : apply(), w);
  const double seconds = seconds_of(device, kSecondsEach, apply);
  add(times.forward, call.count, operations, seconds);
  if (!keeps_size(w, transposed, stride)) return;
  add(times.transposed, call.count, operations, seconds);
  const at::Tensor v = flipped(w);
  add(times.flipped, call.count, operations, seconds_of(device, kSecondsEach, [&] {
        at::convolution(x, v, {}, stride, padding, dilation, false, {0, 0}, in[8].toInt());
      }));
}

void add_backward(const Call& call, const c10::Device& device, ConvolutionTimes& times) {
  const auto& in = call.inputs;
  const at::Tensor g = like(in[0]), x = like(in[1]), w = like(in[2]);
  const auto stride = in[4].toIntVector(), padding = in[5].toIntVector(), dilation = in[6].toIntVector(),
             output_padding = in[8].toIntVector();
  const bool transposed = in[7].toBool();
  const c10::List<bool> mask = in[10].toBoolList();
  const std::array<bool, 3> wanted{mask[0], mask[1], false};
  const double operations = ((mask[0] ? 1 : 0) + (mask[1] ? 1 : 0)) * operations_of(transposed ? x : g, w);
  const double seconds = seconds_of(device, kSecondsEach, [&] {
    at::convolution_backward(g, x, w, c10::nullopt, stride, padding, dilation, transposed, output_padding,
                             in[9].toInt(), wanted);
  });
  add(times.backward, call.count, operations, seconds);
  if (!keeps_size(w, transposed, stride)) return;
  add(times.transposed, call.count, operations, seconds);
  const at::Tensor v = flipped(w);
  add(times.flipped, call.count, operations, seconds_of(device, kSecondsEach, [&] {
        at::convolution_backward(g, x, v, c10::nullopt, stride, padding, dilation, false, {0, 0},
                                 in[9].toInt(), wanted);
      }));
}

}  // namespace

ConvolutionTimes measure_convolutions(const ModelConfig& model, const LossConfig& loss, int64_t batch_size,
                                      Precision precision, const c10::Device& device) {
  use_precision(device, precision);
  const OwnStream own_stream(device);
  const auto options = at::TensorOptions(device).dtype(at::kFloat);
  const ParameterStore parameters = ParameterStore::initial(model, /*seed=*/1, options);
  Calls calls;
  {
    const OneThread one_thread;
    const StepInputs in = some_inputs(model, loss, batch_size, precision, options);
    const Recording recording(calls);
    compute_step(model, loss, parameters, in);
  }
  const at::NoGradGuard no_grad;
  ConvolutionTimes times;
  for (auto& [key, call] : calls) {
    if (key.starts_with(std::string(kBackward) + " "))
      add_backward(call, device, times);
    else
      add_forward(call, device, times);
    // The memory of a step's activations is not needed any more.
    call.inputs.clear();
  }
  return times;
}

}  // namespace san::profiling
