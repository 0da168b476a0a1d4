#include "ops/norm_act_skip/norm_act_skip_cuda.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>

#include "ops/cuda/tensors.h"
#include "ops/norm_act_skip/norm_act_skip_kernels.h"
#include "ops/norm_act_skip/skip.h"
#include "ops/tensors.h"

namespace san::ops::cuda {
namespace {

using at::Tensor;

double ratio(int64_t part, int64_t whole) { return static_cast<double>(part) / static_cast<double>(whole); }

template <typename T>
Resample<Element<T>> forward_resample(const Tensor& skip, const Tensor& y) {
  const SkipShape s = skip_shape(skip, y);
  const int64_t from = skip.size(1), to = y.size(1);
  return {input<T>(skip),
          s.width,
          from,
          to,
          static_cast<unsigned>(s.stride),
          s.up,
          (s.up ? 1.0 : ratio(1, s.stride * s.stride)) * (from > to ? ratio(to, from) : 1.0)};
}

/// From g to d: sums where the skip was repeated, repeats of a share where it was averaged.
template <typename T>
Resample<Element<T>> adjoint_resample(const Tensor& g, const Tensor& d) {
  const SkipShape s = skip_shape(d, g);
  const int64_t from = g.size(1), to = d.size(1);
  return {input<T>(g),
          g.size(3),
          from,
          to,
          static_cast<unsigned>(s.stride),
          !s.up,
          (s.up ? 1.0 : ratio(1, s.stride * s.stride)) * (from < to ? ratio(from, to) : 1.0)};
}

}  // namespace

NormAct norm_act_skip(const Tensor& any_x, const Tensor& bias, const Tensor& any_skip,
                      const NormActSlopes& slopes) {
  const Tensor x = aligned(any_x), skip = aligned(any_skip);
  const OnDeviceOf device(x);
  const int64_t pixels = count_pixels(x);
  const at::ScalarType accumulator = at::toOpMathType(x.scalar_type());
  const Tensor shift = parameter(bias, x);
  const NormAct out{empty_channels_last(x), at::empty({pixels}, x.options().dtype(accumulator))};
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "norm_act_skip", [&] {
    using A = at::opmath_type<scalar_t>;
    launch_norm_act_forward<Element<scalar_t>, A>(
        {input<scalar_t>(x), input<A>(shift), output<scalar_t>(out.y), output<A>(out.r), pixels, x.size(1),
         static_cast<unsigned>(x.size(3)), static_cast<A>(slopes.before), static_cast<A>(slopes.after),
         skip.defined() ? forward_resample<scalar_t>(skip, out.y) : Resample<Element<scalar_t>>{}},
        device.stream());
  });
  return out;
}

NormActGradient norm_act_skip_gradient(const Tensor& any_g, const Tensor& any_x, const Tensor& bias,
                                       const Tensor& r, const NormActSlopes& slopes) {
  const Tensor g = aligned(any_g), x = aligned(any_x);
  const OnDeviceOf device(x);
  const int64_t pixels = r.numel(), c = x.size(1);
  const Tensor shift = parameter(bias, x);
  NormActGradient out{empty_channels_last(x), Tensor()};
  Tensor partial;
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "norm_act_skip_gradient", [&] {
    using A = at::opmath_type<scalar_t>;
    using T = Element<scalar_t>;
    if (bias.defined()) {
      partial = at::empty({norm_act_backward_blocks<T>(pixels, c), c}, r.options());
      out.d_bias = at::empty({c}, r.options());
    }
    launch_norm_act_backward<T, A>({input<scalar_t>(g), input<scalar_t>(x), input<A>(shift), input<A>(r),
                                    output<scalar_t>(out.dx), output<A>(partial), output<A>(out.d_bias),
                                    pixels, c, static_cast<A>(slopes.before), static_cast<A>(slopes.after)},
                                   device.stream());
  });
  return out;
}

Tensor skip_gradient(const Tensor& any_g, at::IntArrayRef sizes) {
  if (any_g.sizes() == sizes) return any_g;
  const Tensor g = aligned(any_g), d = empty_channels_last(sizes, g);
  const OnDeviceOf device(g);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, g.scalar_type(), "skip_gradient", [&] {
    launch_skip_gradient<Element<scalar_t>>({adjoint_resample<scalar_t>(g, d), output<scalar_t>(d),
                                             count_pixels(d), static_cast<unsigned>(sizes[3])},
                                            device.stream());
  });
  return d;
}

}  // namespace san::ops::cuda
