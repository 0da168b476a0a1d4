#include "ops/ado_gate/ado_gate_cuda.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>

#include "ops/ado_gate/ado_gate_kernels.h"
#include "ops/cuda/tensors.h"
#include "ops/tensors.h"

namespace san::ops::cuda {

using at::Tensor;

Tensor ado_gate(const Tensor& any_x, const Tensor& any_logits, const Tensor& any_bias, double threshold) {
  const Tensor x = aligned(any_x), logits = aligned(any_logits), y = empty_channels_last(x);
  const OnDeviceOf device(x);
  const Tensor bias = parameter(any_bias, x);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "ado_gate", [&] {
    using A = at::opmath_type<scalar_t>;
    launch_ado_gate_forward<Element<scalar_t>, A>(
        {input<scalar_t>(x), input<scalar_t>(logits), input<A>(bias), output<scalar_t>(y), count_pixels(x),
         x.size(1), static_cast<A>(threshold)},
        device.stream());
  });
  return y;
}

AdoGateGradient ado_gate_gradient(const Tensor& any_g, const Tensor& any_x, const Tensor& any_logits,
                                  const Tensor& any_bias, double threshold) {
  const Tensor g = aligned(any_g), x = aligned(any_x), logits = aligned(any_logits);
  const OnDeviceOf device(x);
  const int64_t pixels = count_pixels(x), c = x.size(1);
  const Tensor bias = parameter(any_bias, x);
  const AdoGateGradient out{empty_channels_last(x), empty_channels_last(x), at::empty({c}, bias.options())};
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "ado_gate_gradient", [&] {
    using A = at::opmath_type<scalar_t>;
    using T = Element<scalar_t>;
    const Tensor partial = at::empty({ado_gate_backward_blocks<T>(pixels, c), c}, bias.options());
    launch_ado_gate_backward<T, A>(
        {input<scalar_t>(g), input<scalar_t>(x), input<scalar_t>(logits), input<A>(bias),
         output<scalar_t>(out.dx), output<scalar_t>(out.d_logits), output<A>(partial), output<A>(out.d_bias),
         pixels, c, static_cast<A>(threshold)},
        device.stream());
  });
  return out;
}

}  // namespace san::ops::cuda
