#include "ops/attention/attention_cuda.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>

#include "ops/attention/attention_kernels.h"
#include "ops/cuda/tensors.h"
#include "ops/tensors.h"

namespace san::ops::cuda {
namespace {

using at::Tensor;

AttentionSize size_of(const Tensor& x, const Tensor& squeeze) {
  TORCH_CHECK(x.size(0) <= INT32_MAX, "a batch of ", x.size(0), " is more than a grid has blocks");
  count_pixels(x);
  return {x.size(0), x.size(2) * x.size(3), x.size(1), squeeze.size(0)};
}

AttentionParameters parameters(const AttentionParameters& p, const Tensor& x) {
  return {parameter(p.squeeze_weight, x), parameter(p.squeeze_bias, x), parameter(p.excite_weight, x),
          parameter(p.excite_bias, x)};
}

template <typename A>
AttentionGate<A> gate(const AttentionParameters& p, const AttentionResult& r) {
  return {input<A>(p.squeeze_weight), input<A>(p.squeeze_bias), input<A>(p.excite_weight),
          input<A>(p.excite_bias),    output<A>(r.mean),        output<A>(r.pre),
          output<A>(r.hidden),        output<A>(r.scale)};
}

}  // namespace

AttentionResult attention(const AttentionParameters& any_p, const Tensor& any_x) {
  const Tensor x = aligned(any_x);
  const OnDeviceOf device(x);
  const AttentionParameters p = parameters(any_p, x);
  const AttentionSize n = size_of(x, p.squeeze_weight);
  const auto small = p.squeeze_weight.options();
  const AttentionResult out{empty_channels_last(x), at::empty({n.samples, n.channels}, small),
                            at::empty({n.samples, n.hidden}, small), at::empty({n.samples, n.hidden}, small),
                            at::empty({n.samples, n.channels}, small)};
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "attention", [&] {
    using A = at::opmath_type<scalar_t>;
    using T = Element<scalar_t>;
    const Tensor partial = at::empty({n.samples, attention_blocks<T>(n), n.channels}, small);
    launch_attention_forward<T, A>(
        {input<scalar_t>(x), output<scalar_t>(out.y), output<A>(partial), gate<A>(p, out), n},
        device.stream());
  });
  return out;
}

AttentionGradient attention_gradient(const Tensor& any_g, const Tensor& any_x,
                                     const AttentionParameters& any_p, const AttentionResult& forward) {
  const Tensor g = aligned(any_g), x = aligned(any_x);
  const OnDeviceOf device(x);
  const AttentionParameters p = parameters(any_p, x);
  const AttentionSize n = size_of(x, p.squeeze_weight);
  const auto small = p.squeeze_weight.options();
  const AttentionGradient out{empty_channels_last(x), at::empty({n.hidden, n.channels}, small),
                              at::empty({n.hidden}, small), at::empty({n.channels, n.hidden}, small),
                              at::empty({n.channels}, small)};
  const Tensor d_pre = at::empty({n.samples, n.hidden}, small), d_logits = at::empty_like(forward.scale),
               d_mean = at::empty_like(forward.scale);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "attention_gradient", [&] {
    using A = at::opmath_type<scalar_t>;
    using T = Element<scalar_t>;
    const Tensor partial = at::empty({n.samples, attention_blocks<T>(n), n.channels}, small);
    launch_attention_backward<T, A>(
        {input<scalar_t>(g), input<scalar_t>(x), output<scalar_t>(out.dx), output<A>(partial),
         output<A>(d_logits), output<A>(d_pre), output<A>(d_mean), output<A>(out.d_squeeze),
         output<A>(out.d_squeeze_bias), output<A>(out.d_excite), output<A>(out.d_excite_bias),
         gate<A>(p, forward), n},
        device.stream());
  });
  return out;
}

}  // namespace san::ops::cuda
