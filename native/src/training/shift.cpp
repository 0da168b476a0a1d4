#include "training/shift.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace san {
namespace {

using at::Tensor;

/// Where each pixel of (B, S, S) comes from, among all of them.
Tensor sources(const Tensor& offsets, int64_t size) {
  const int64_t samples = offsets.size(0);
  const auto options = offsets.options();
  const Tensor place = at::arange(size, options);
  const auto from = [&](int64_t axis) {
    return at::remainder(place - offsets.select(1, axis).unsqueeze(1), size);
  };
  const Tensor first = at::arange(samples, options).view({samples, 1, 1}) * (size * size);
  return (first + from(0).unsqueeze(2) * size + from(1).unsqueeze(1)).flatten();
}

class Shift : public torch::autograd::Function<Shift> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& x, const Tensor& offsets) {
    ctx->save_for_backward({offsets});
    const Tensor pixels = x.permute({0, 2, 3, 1});
    return pixels.reshape({-1, x.size(1)})
        .index_select(0, sources(offsets, x.size(2)))
        .view(pixels.sizes())
        .permute({0, 3, 1, 2});
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list gradients) {
    return {Shift::apply(gradients[0], -ctx->get_saved_variables()[0]), Tensor()};
  }
};

}  // namespace

Tensor shifts_of(const LossConfig& loss, int64_t image_size, const Tensor& uniform) {
  const double most = std::round(loss.reverser_shift * static_cast<double>(image_size));
  const Tensor on = uniform.narrow(2, 0, 1) < loss.reverser_shift_probability;
  const Tensor moved = (uniform.narrow(2, 1, 2) * (2 * most + 1)).floor().clamp_max(2 * most) - most;
  return (moved * on).to(at::kLong);
}

Tensor shifted(const Tensor& x, const Tensor& offsets) { return Shift::apply(x, offsets); }

Tensor shifted_real(const StepInputs& in) {
  return in.shifts.defined() ? shifted(in.x, in.shifts.select(1, 0)) : in.x;
}

Tensor shifted_fake(const StepInputs& in, const Tensor& fake) {
  return in.shifts.defined() ? shifted(fake, in.shifts.select(1, 1)) : fake;
}

}  // namespace san
