// AdamW for both networks with the kernels shared (spec, section 3, points 2 to 4).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "san/config.h"
#include "san/parameters.h"

namespace san {

/// AdamW's two moments of one parameter.
struct Moments {
  at::Tensor exp_avg, exp_avg_sq;
};

class DeviceStep;

/// Holds new parameters to what OptimizerConfig::checkerboard_free asks of them; Optimizer::step() keeps them
/// there.
void constrain(const OptimizerConfig& config, const ParameterStore& parameters);

/// Updates parameters in place: each network's own by AdamW, each shared kernel by the lambda average of two
/// AdamW updates taken from the same values, then the generator's moving average.
class Optimizer {
 public:
  Optimizer(const OptimizerConfig& config, const ParameterStore& parameters);

  /// `gradients[net]` line up with parameters.indices(net). `step` counts the updates from 1.
  void step(const ParameterStore& parameters, const std::vector<at::Tensor>& generator_gradients,
            const std::vector<at::Tensor>& reverser_gradients, int64_t step, const StepRates& rates);

#ifdef SAN_NATIVE_CUDA
  /// The same on a GPU, where it looks for what is not finite itself and waits for nothing. `parameters` are
  /// those of the construction.
  DeviceStep& on_device(const ParameterStore& parameters);
#endif

  /// Moments that a network's updates of parameter i use; undefined where the network does not own it.
  Moments& moments(Net net, size_t i) { return net == Net::generator ? generator_[i] : reverser_[i]; }
  const Moments& moments(Net net, size_t i) const {
    return net == Net::generator ? generator_[i] : reverser_[i];
  }
  /// Moving average of parameter i; undefined for the reverser's own.
  const at::Tensor& average(size_t i) const { return average_[i]; }

 private:
  OptimizerConfig config_;
  std::vector<Moments> generator_, reverser_;
  std::vector<at::Tensor> average_;
  /// Made by its first use, for a GPU.
  std::shared_ptr<DeviceStep> device_;
};

}  // namespace san
