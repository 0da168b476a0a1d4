#include "profiling/kernels.h"

#include <ATen/ATen.h>
#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>

#include "ops/ado_gate/ado_gate.h"
#include "ops/attention/attention.h"
#include "ops/emit/emit.h"
#include "ops/feed/feed.h"
#include "ops/norm_act_skip/norm_act_skip.h"
#include "ops/rpa_gate/rpa_gate.h"
#include "ops/tensors.h"
#include "profiling/noise.h"
#include "profiling/stopwatch.h"
#include "random/random.h"
#include "san/device.h"
#include "san/error.h"
#include "san/images.h"
#include "san/optimizer.h"
#include "training/one_thread.h"
#ifdef SAN_NATIVE_CUDA
#include <c10/cuda/CUDAStream.h>

#include "ops/feed/launch.h"
#include "training/device_step.h"
#endif

namespace san::profiling {
namespace {

using at::Tensor;

constexpr double kSecondsEach = 0.1;
constexpr int64_t kChannels = 64, kSize = 64, kHidden = 16;

class Bench {
 public:
  Bench(const c10::Device& device, at::ScalarType dtype, int64_t bytes)
      : device_(device),
        dtype_(dtype),
        element_(static_cast<double>(at::elementSize(dtype))),
        samples_((bytes - 1) / (static_cast<int64_t>(element_) * kChannels * kSize * kSize) + 1) {}

  void add(const std::string& name, double bytes, const std::function<void()>& f) {
    times_.push_back({name, bytes, seconds_of(device_, kSecondsEach, f)});
  }

  /// An operation and its gradient. `forward` and `gradient` count how often as many bytes as inputs[0] has
  /// are read or written.
  void add_differentiable(const std::string& name, double forward, double gradient,
                          const std::vector<Tensor>& inputs, const std::function<Tensor()>& f) {
    const double image = element_ * static_cast<double>(inputs[0].numel());
    {
      const at::NoGradGuard no_grad;
      add(name, forward * image, f);
    }
    const at::AutoGradMode grad_mode(true);
    std::vector<Tensor> leaves;
    for (const Tensor& input : inputs) leaves.push_back(input.requires_grad_(true));
    const Tensor y = f(), g = noise_like(y);
    add(name + ", gradient", gradient * image,
        [&] { torch::autograd::grad({y}, leaves, {g}, /*retain_graph=*/true); });
  }

  /// (samples, channels, size, size), channels-last.
  Tensor image(int64_t size = kSize) const {
    return ops::channels_last(noise({samples_, kChannels, size, size}, options()));
  }
  /// A parameter in what x is accumulated in.
  Tensor parameter(at::IntArrayRef sizes) const {
    return noise(sizes, options().dtype(at::toOpMathType(dtype_))) / 8;
  }

  const c10::Device& device() const { return device_; }
  int64_t samples() const { return samples_; }
  at::TensorOptions options() const { return at::TensorOptions(device_).dtype(dtype_); }
  std::vector<KernelTime> take() { return std::move(times_); }

 private:
  c10::Device device_;
  at::ScalarType dtype_;
  double element_;
  int64_t samples_;
  std::vector<KernelTime> times_;
};

void time_layers(Bench& bench) {
  const Tensor bias = bench.parameter({kChannels});
  {
    const Tensor x = bench.image(), skip = bench.image();
    bench.add_differentiable("norm-act-skip", 3, 3, {x, bias, skip},
                             [&] { return ops::norm_act_skip(x, bias, skip, ops::kNormThenAct); });
  }
  {
    const Tensor x = bench.image();
    const AttentionParameters p{bench.parameter({kHidden, kChannels}), bench.parameter({kHidden}),
                                bench.parameter({kChannels, kHidden}), bench.parameter({kChannels})};
    bench.add_differentiable("attention", 3, 4,
                             {x, p.squeeze_weight, p.squeeze_bias, p.excite_weight, p.excite_bias},
                             [&] { return ops::attention(p, x); });
  }
  {
    const Tensor x = bench.image(), logits = bench.image();
    bench.add_differentiable("ADO gate", 3, 5, {x, logits, bias},
                             [&] { return ops::ado_gate(x, logits, bias, /*threshold=*/0.3); });
  }
  const Tensor x = bench.image(), logits = bench.image(kSize / 4);
  constexpr double kLow = 1.0 / 16;
  bench.add_differentiable("RPA gate", 2 + 2 * kLow, 5 + 4 * kLow, {x, logits, bias},
                           [&] { return ops::rpa_gate(x, logits, bias); });
}

void time_inputs(Bench& bench) {
  // The networks' images are float32 in any precision.
  const Tensor x = bench.image().to(at::kFloat);
  bench.add("emit", (sizeof(float) + 1) * static_cast<double>(x.numel()), [&] { to_bytes(x); });
  const int64_t rows = x.numel() / kChannels;
  bench.add("latents", 4.0 * static_cast<double>(rows * kChannels), [&] {
    random::normal_rows({1, random::Stream::training_latent, 0}, rows, kChannels, bench.device());
  });
}

/// Mirrored images in other colours.
void time_feed(Bench& bench) {
  constexpr int64_t kImageChannels = 3;
  const int64_t count = bench.samples() * kChannels / kImageChannels + 1;
  const Tensor images = at::randint(256, {count, kSize, kSize, kImageChannels}, at::kByte);
  ops::FeedTransform transform;
  transform.geometry[0] = -1;
  transform.colour[0] = 0.9;
  transform.moves = transform.colours = true;
  const std::vector<ops::FeedTransform> transforms(static_cast<size_t>(count), transform);
  Tensor out = at::empty(images.sizes(), bench.options().dtype(at::kFloat));
  const double bytes = (1 + sizeof(float)) * static_cast<double>(images.numel());
#ifdef SAN_NATIVE_CUDA
  if (bench.device().is_cuda()) {
    const auto size = static_cast<int64_t>(transforms.size() * sizeof(ops::FeedTransform));
    const Tensor table = at::from_blob(const_cast<ops::FeedTransform*>(transforms.data()), {size}, at::kByte)
                             .to(bench.device()),
                 pixels = images.to(bench.device());
    bench.add("feed", bytes, [&] {
      ops::launch_feed(
          ops::FeedParams<float>{pixels.const_data_ptr<uint8_t>(), kSize, kImageChannels, nullptr,
                                 static_cast<const ops::FeedTransform*>(table.const_data_ptr()), count,
                                 out.mutable_data_ptr<float>()},
          c10::cuda::getCurrentCUDAStream(bench.device().index()));
    });
    return;
  }
#endif
  std::vector<int64_t> indices(static_cast<size_t>(count));
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i);
  bench.add("feed", bytes, [&] {
    ops::feed({images.const_data_ptr<uint8_t>(), kSize, kImageChannels}, indices, transforms,
              out.mutable_data_ptr<float>());
  });
}

/// What ops/shared_step/params.h counts for each owner, in float32, and the bfloat16 copies. Each value
/// counts once, though gradients are read twice: a look before tells whether all are finite.
double update_bytes(const ParameterStore& parameters) {
  double bytes = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Owner owner = parameters.spec(i).owner;
    const double floats = owner == Owner::shared ? 14 : owner == Owner::generator ? 9 : 7;
    const double copy = parameters.copy(i).defined() ? sizeof(at::BFloat16) : 0;
    bytes += (sizeof(float) * floats + copy) * static_cast<double>(parameters.tensor(i).numel());
  }
  return bytes;
}

void time_update(Bench& bench, const ModelConfig& model) {
  const auto options = bench.options().dtype(at::kFloat);
  ParameterStore parameters = ParameterStore::initial(model, /*seed=*/1, options);
  // As a run in bfloat16 keeps them.
  if (bench.options().dtype().toScalarType() == at::kBFloat16) parameters.keep_copies();
  Optimizer optimizer({}, parameters);
  const auto gradients = [&](Net net) {
    std::vector<Tensor> out;
    for (const size_t i : parameters.indices(net)) out.push_back(noise_like(parameters.tensor(i)));
    return out;
  };
  const auto generator = gradients(Net::generator), reverser = gradients(Net::reverser);
  const StepRates rates{1e-4, 0.5, 0.99, 0};
#ifdef SAN_NATIVE_CUDA
  if (bench.device().is_cuda()) {
    DeviceStep& update = optimizer.on_device(parameters);
    const Tensor losses = at::zeros({ops::kStepLosses}, options.dtype(at::kDouble));
    update.schedule({rates}, 0);
    bench.add("update of all parameters", update_bytes(parameters), [&] {
      update.rewind();
      update.step(parameters, generator, reverser, losses);
    });
    return;
  }
#endif
  int64_t step = 0;
  bench.add("update of all parameters", update_bytes(parameters),
            [&] { optimizer.step(parameters, generator, reverser, ++step, rates); });
}

}  // namespace

std::vector<KernelTime> measure_kernels(const ModelConfig& model, const c10::Device& device,
                                        at::ScalarType dtype, int64_t bytes) {
  const OneThread one_thread;
  const OwnStream own_stream(device);
  const at::NoGradGuard no_grad;
  Bench bench(device, dtype, bytes);
  time_layers(bench);
  time_inputs(bench);
  time_feed(bench);
  time_update(bench, model);
  return bench.take();
}

}  // namespace san::profiling
