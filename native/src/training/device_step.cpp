#include "training/device_step.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <cstring>
#include <span>

#include "ops/polyphase/launch.h"
#include "training/finite.h"
#include "training/memory_order.h"

namespace san {
namespace {

static_assert(kAllFinite == ops::kAllFinite && kLossNames.size() == ops::kStepLosses);

/// Plain structs as bytes in main memory.
template <typename T>
at::Tensor bytes_of(std::span<const T> values) {
  at::Tensor out = at::empty({static_cast<int64_t>(values.size_bytes())}, at::kByte);
  std::memcpy(out.mutable_data_ptr(), values.data(), values.size_bytes());
  return out;
}

template <typename T>
T* pointer(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.mutable_data_ptr()) : nullptr;
}

template <typename T>
std::vector<ops::StepSegment<T>> make_segments(const ParameterStore& parameters, const Optimizer& optimizer) {
  std::vector<ops::StepSegment<T>> segments(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    ops::StepSegment<T>& s = segments[i];
    const Moments &g = optimizer.moments(Net::generator, i), &r = optimizer.moments(Net::reverser, i);
    s.value = pointer<T>(parameters.tensor(i));
    s.average = pointer<T>(optimizer.average(i));
    s.copy = pointer<ops::cuda::Bf16>(parameters.copy(i));
    s.generator_exp_avg = pointer<T>(g.exp_avg);
    s.generator_exp_avg_sq = pointer<T>(g.exp_avg_sq);
    s.reverser_exp_avg = pointer<T>(r.exp_avg);
    s.reverser_exp_avg_sq = pointer<T>(r.exp_avg_sq);
    s.numel = parameters.tensor(i).numel();
    s.decays = parameters.spec(i).is_bias ? 0 : 1;
  }
  for (const Net net : {Net::generator, Net::reverser})
    for (size_t k = 0; k < parameters.indices(net).size(); ++k) {
      ops::StepSegment<T>& s = segments[parameters.indices(net)[k]];
      (net == Net::generator ? s.generator_fault : s.reverser_fault) = fault_of(net, k, parameters);
    }
  return segments;
}

}  // namespace

DeviceStep::DeviceStep(const OptimizerConfig& config, const ParameterStore& parameters,
                       const Optimizer& optimizer)
    : config_(config), dtype_(parameters.tensor(0).scalar_type()) {
  for (size_t i = 0; i < parameters.size(); ++i) averages_.push_back(optimizer.average(i));
  TORCH_CHECK(parameters.size() <= static_cast<size_t>(ops::kMostSegments), "a model of ", parameters.size(),
              " parameters; one update takes ", ops::kMostSegments);
  const c10::Device device = parameters.tensor(0).device();
  const c10::cuda::CUDAGuard guard(device);
  AT_DISPATCH_FLOATING_TYPES(dtype_, "device_step", [&] {
    const auto segments = make_segments<scalar_t>(parameters, optimizer);
    segments_ = bytes_of(std::span(segments.data(), segments.size())).to(device);
  });
  std::vector<ops::StepChunk> chunks;
  for (size_t i = 0; i < parameters.size(); ++i)
    for (int32_t k = 0; k * ops::kStepChunk < parameters.tensor(i).numel(); ++k)
      chunks.push_back({static_cast<int32_t>(i), k});
  chunk_count_ = static_cast<int64_t>(chunks.size());
  chunks_ = bytes_of(std::span<const ops::StepChunk>(chunks)).to(device);
  const auto room = [&](size_t bytes) {
    return at::zeros({static_cast<int64_t>(bytes)}, at::TensorOptions(device).dtype(at::kByte));
  };
  faults_ = room(chunks.size() * sizeof(int32_t));
  state_ = room(sizeof(ops::StepState));
  schedule_ = room(kMostSteps * sizeof(ops::StepRow));
  records_ = room(kMostSteps * sizeof(ops::StepRecord));
}

void DeviceStep::schedule(const std::vector<StepRates>& rates, int64_t updates) {
  TORCH_CHECK(!rates.empty() && rates.size() <= static_cast<size_t>(kMostSteps), "a schedule of ",
              rates.size(), " steps; 1 to ", kMostSteps, " are possible");
  const c10::cuda::CUDAGuard guard(state_.device());
  std::vector<ops::StepRow> rows;
  for (const StepRates& r : rates) rows.push_back({r.learning_rate, r.lambda, r.ema_decay});
  const at::Tensor bytes = bytes_of(std::span<const ops::StepRow>(rows));
  schedule_.narrow(0, 0, bytes.numel()).copy_(bytes);
  ops::StepState state{};
  state.updates = updates;
  state_.copy_(bytes_of(std::span<const ops::StepState>(&state, 1)));
}

void DeviceStep::step(const ParameterStore& parameters, const std::vector<at::Tensor>& generator_gradients,
                      const std::vector<at::Tensor>& reverser_gradients, const at::Tensor& losses) {
  const c10::cuda::CUDAGuard guard(state_.device());
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  TORCH_CHECK(losses.numel() == ops::kStepLosses && losses.is_cuda() && losses.is_contiguous(),
              "losses must be (6) on the device");
  // Held until the launches are queued; the allocator hands memory out again in the stream's order.
  std::vector<at::Tensor> held;
  const auto state = static_cast<ops::StepState*>(state_.mutable_data_ptr());
  const auto faults = static_cast<int32_t*>(faults_.mutable_data_ptr());
  AT_DISPATCH_FLOATING_TYPES(dtype_, "device_step", [&] {
    ops::StepGradients<scalar_t> gradients{};
    const auto collect = [&](Net net, const std::vector<at::Tensor>& from, const scalar_t** to) {
      for (size_t k = 0; k < from.size(); ++k) {
        held.push_back(in_memory_order(from[k]));
        to[parameters.indices(net)[k]] = held.back().const_data_ptr<scalar_t>();
      }
    };
    collect(Net::generator, generator_gradients, gradients.generator);
    collect(Net::reverser, reverser_gradients, gradients.reverser);
    const ops::StepTable<scalar_t> table{
        static_cast<const ops::StepSegment<scalar_t>*>(segments_.const_data_ptr()),
        static_cast<const ops::StepChunk*>(chunks_.const_data_ptr()), chunk_count_};
    ops::launch_check_gradients(table, gradients, faults, stream);
    ops::launch_begin_step({state, faults, chunk_count_, losses.const_data_ptr<double>(),
                            static_cast<const ops::StepRow*>(schedule_.const_data_ptr()), kMostSteps,
                            static_cast<ops::StepRecord*>(records_.mutable_data_ptr()),
                            OptimizerConfig::kBeta1, OptimizerConfig::kBeta2, config_.weight_decay},
                           stream);
    ops::launch_update_parameters(
        table, gradients,
        ops::AdamConstants<scalar_t>{static_cast<scalar_t>(OptimizerConfig::kBeta1),
                                     static_cast<scalar_t>(OptimizerConfig::kBeta2),
                                     static_cast<scalar_t>(OptimizerConfig::kEpsilon)},
        state, stream);
    if (!config_.checkerboard_free) return;
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (!parameters.spec(i).draws_grid) continue;
      const auto& shape = parameters.spec(i).shape;
      ops::launch_polyphase(
          ops::Polyphase<scalar_t>{pointer<scalar_t>(parameters.tensor(i)), pointer<scalar_t>(averages_[i]),
                                   pointer<ops::cuda::Bf16>(parameters.copy(i)), shape[0], shape[1]},
          state, stream);
    }
  });
}

std::vector<ops::StepRecord> DeviceStep::records(int64_t count) const {
  std::vector<ops::StepRecord> out(static_cast<size_t>(count));
  const auto bytes = static_cast<int64_t>(out.size() * sizeof(ops::StepRecord));
  const at::Tensor here = records_.narrow(0, 0, bytes).cpu();
  std::memcpy(out.data(), here.const_data_ptr(), static_cast<size_t>(bytes));
  return out;
}

}  // namespace san
