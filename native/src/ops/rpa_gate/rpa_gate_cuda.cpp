#include "ops/rpa_gate/rpa_gate_cuda.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>

#include "ops/cuda/tensors.h"
#include "ops/rpa_gate/rpa_gate_kernels.h"
#include "ops/tensors.h"

namespace san::ops::cuda {
namespace {

using at::Tensor;

RpaSize size_of(const Tensor& x, const Tensor& low) {
  // Pixels of either are numbered in 32 bits.
  count_pixels(x);
  count_pixels(low);
  return {x.size(0), x.size(1), x.size(2), x.size(3), low.size(2), low.size(3)};
}

}  // namespace

RpaGate rpa_gate(const Tensor& any_x, const Tensor& any_normal) {
  const Tensor x = aligned(any_x), normal = aligned(any_normal);
  const OnDeviceOf device(x);
  const RpaGate out{empty_channels_last(x),
                    at::empty(normal.sizes(), normal.options().dtype(at::toOpMathType(x.scalar_type())),
                              at::MemoryFormat::ChannelsLast)};
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "rpa_gate", [&] {
    using A = at::opmath_type<scalar_t>;
    launch_rpa_forward<Element<scalar_t>, A>({input<scalar_t>(x), input<scalar_t>(normal), output<A>(out.s),
                                              output<scalar_t>(out.y), size_of(x, normal)},
                                             device.stream());
  });
  return out;
}

RpaGateGradient rpa_gate_gradient(const Tensor& any_g, const Tensor& any_x, const Tensor& any_s) {
  const Tensor g = aligned(any_g), x = aligned(any_x), s = aligned(any_s);
  const OnDeviceOf device(x);
  const RpaGateGradient out{empty_channels_last(x), empty_channels_last(s.sizes(), x)};
  const Tensor partial = at::empty({s.numel() * 4}, s.options());
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "rpa_gate_gradient", [&] {
    using A = at::opmath_type<scalar_t>;
    launch_rpa_backward<Element<scalar_t>, A>(
        {input<scalar_t>(g), input<scalar_t>(x), input<A>(s), output<scalar_t>(out.dx),
         output<scalar_t>(out.d_normal), output<A>(partial), size_of(x, s)},
        device.stream());
  });
  return out;
}

}  // namespace san::ops::cuda
