#include "san/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include <cmath>

#include "ops/polyphase/polyphase.h"
#include "ops/shared_step/shared_step.h"
#include "training/memory_order.h"
#ifdef SAN_NATIVE_CUDA
#include "training/device_step.h"
#endif

namespace san {

void constrain(const OptimizerConfig& config, const ParameterStore& parameters) {
  if (!config.checkerboard_free) return;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters.spec(i).draws_grid) continue;
    const at::Tensor here = parameters.tensor(i).cpu();
    ops::equalise_polyphase(here);
    // Nothing where it was changed in place.
    parameters.tensor(i).copy_(here);
  }
  parameters.refresh_copies();
}

Optimizer::Optimizer(const OptimizerConfig& config, const ParameterStore& parameters)
    : config_(config),
      generator_(parameters.size()),
      reverser_(parameters.size()),
      average_(parameters.size()) {
  config_.validate();
  for (const Net net : {Net::generator, Net::reverser})
    for (const size_t i : parameters.indices(net))
      moments(net, i) = {at::zeros_like(parameters.tensor(i)), at::zeros_like(parameters.tensor(i))};
  for (const size_t i : parameters.indices(Net::generator)) average_[i] = parameters.tensor(i).clone();
}

void Optimizer::step(const ParameterStore& parameters, const std::vector<at::Tensor>& generator_gradients,
                     const std::vector<at::Tensor>& reverser_gradients, int64_t step,
                     const StepRates& rates) {
  std::vector<at::Tensor> from_generator(parameters.size()), from_reverser(parameters.size());
  for (size_t k = 0; k < generator_gradients.size(); ++k)
    from_generator[parameters.indices(Net::generator)[k]] = in_memory_order(generator_gradients[k]);
  for (size_t k = 0; k < reverser_gradients.size(); ++k)
    from_reverser[parameters.indices(Net::reverser)[k]] = in_memory_order(reverser_gradients[k]);

  const auto t = static_cast<double>(step);
  for (size_t i = 0; i < parameters.size(); ++i) {
    const ParameterSpec& spec = parameters.spec(i);
    const at::Tensor& value = parameters.tensor(i);
    AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "shared_step", [&] {
      const double learning_rate = rates.learning_rate;
      ops::SharedStepParams<scalar_t> p;
      p.value = value.mutable_data_ptr<scalar_t>();
      p.average = average_[i].defined() ? average_[i].mutable_data_ptr<scalar_t>() : nullptr;
      p.numel = value.numel();
      p.beta1 = static_cast<scalar_t>(OptimizerConfig::kBeta1);
      p.beta2 = static_cast<scalar_t>(OptimizerConfig::kBeta2);
      p.epsilon = static_cast<scalar_t>(OptimizerConfig::kEpsilon);
      p.decay = static_cast<scalar_t>(spec.is_bias ? 0 : learning_rate * config_.weight_decay);
      p.rate = static_cast<scalar_t>(learning_rate / (1 - std::pow(OptimizerConfig::kBeta1, t)));
      p.correction = static_cast<scalar_t>(1 / std::sqrt(1 - std::pow(OptimizerConfig::kBeta2, t)));
      p.average_rate = static_cast<scalar_t>(1 - rates.ema_decay);

      const auto update = [&](Net net, const at::Tensor& gradient, double share) {
        Moments& m = moments(net, i);
        return ops::NetworkUpdate<scalar_t>{
            gradient.const_data_ptr<scalar_t>(), m.exp_avg.mutable_data_ptr<scalar_t>(),
            m.exp_avg_sq.mutable_data_ptr<scalar_t>(), static_cast<scalar_t>(share)};
      };
      switch (spec.owner) {
        case Owner::shared:
          ops::shared_step(p, update(Net::generator, from_generator[i], rates.lambda),
                           update(Net::reverser, from_reverser[i], 1 - rates.lambda));
          break;
        case Owner::generator:
          ops::own_step(p, update(Net::generator, from_generator[i], 1));
          break;
        case Owner::reverser:
          ops::own_step(p, update(Net::reverser, from_reverser[i], 1));
          break;
      }
    });
    if (!config_.checkerboard_free || !spec.draws_grid) continue;
    ops::equalise_polyphase(value);
    ops::equalise_polyphase(average_[i]);
  }
  parameters.refresh_copies();
}

#ifdef SAN_NATIVE_CUDA
DeviceStep& Optimizer::on_device(const ParameterStore& parameters) {
  if (!device_) device_ = std::make_shared<DeviceStep>(config_, parameters, *this);
  return *device_;
}
#endif

}  // namespace san
