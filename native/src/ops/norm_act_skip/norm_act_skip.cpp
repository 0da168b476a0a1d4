#include "ops/norm_act_skip/norm_act_skip.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <optional>
#include <vector>

#include "ops/norm_act_skip/skip.h"
#include "ops/reference.h"
#include "ops/tensors.h"
#include "profiling/scope.h"

#if defined(SAN_NATIVE_CUDA)
#include "ops/norm_act_skip/norm_act_skip_cuda.h"
#endif

namespace san::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

template <typename T, typename A>
SAN_CLONES void forward_rows(const T* x, const A* bias, T* y, A* r, int64_t rows, int64_t c, A before,
                             A after) {
  for (int64_t row = 0; row < rows; ++row, x += c, y += c) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < c; ++i) {
      const A v = leaky(static_cast<A>(x[i]) + bias[i], before);
      sum += static_cast<double>(v) * v;
    }
    const A scale = static_cast<A>(1 / std::sqrt(sum / static_cast<double>(c) + kNormEpsilon));
    r[row] = scale;
#pragma omp simd
    for (int64_t i = 0; i < c; ++i)
      y[i] = static_cast<T>(norm_act_value(leaky(static_cast<A>(x[i]) + bias[i], before), scale, after));
  }
}

/// dx, and its sums over the rows added to `bias_sums`.
template <typename T, typename A>
SAN_CLONES void backward_rows(const T* x, const A* bias, const T* g, const A* r, T* dx, double* bias_sums,
                              A* scratch, int64_t rows, int64_t c, A before, A after) {
  // float64 sums of short float32 sums: as exact as it matters, and half the conversions.
  constexpr int64_t kShort = 32;
  for (int64_t begin = 0; begin < rows; begin += kShort) {
    const int64_t end = begin + kShort < rows ? begin + kShort : rows;
    for (int64_t i = 0; i < c; ++i) scratch[i] = 0;
    for (int64_t row = begin; row < end; ++row, x += c, g += c, dx += c) {
      double sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < c; ++i) {
        const A v = leaky(static_cast<A>(x[i]) + bias[i], before);
        sum += static_cast<double>(v) * leaky_gradient(static_cast<A>(g[i]), v, after);
      }
      const double scale = r[row];
      const A a = static_cast<A>(scale * scale * scale * sum / static_cast<double>(c)), norm = r[row];
#pragma omp simd
      for (int64_t i = 0; i < c; ++i) {
        const A v = leaky(static_cast<A>(x[i]) + bias[i], before);
        const A d = norm_act_gradient(static_cast<A>(g[i]), v, norm, a, before, after);
        dx[i] = static_cast<T>(d);
        scratch[i] += d;
      }
    }
    for (int64_t i = 0; i < c; ++i) bias_sums[i] += scratch[i];
  }
}

Tensor bias_or_zeros(const Tensor& bias, const Tensor& x, at::ScalarType dtype) {
  return bias.defined() ? bias.to(dtype).contiguous() : at::zeros({x.size(1)}, x.options().dtype(dtype));
}

/// y, and r (B H W) for the gradient; of tensors without a graph.
std::pair<Tensor, Tensor> values(const Tensor& x, const Tensor& bias, const Tensor& skip,
                                 const NormActSlopes& slopes) {
#if defined(SAN_NATIVE_CUDA)
  if (x.is_cuda()) {
    const cuda::NormAct out = cuda::norm_act_skip(x, bias, skip, slopes);
    return {out.y, out.r};
  }
#endif
  const int64_t b = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  const at::ScalarType accumulator = at::toOpMathType(x.scalar_type());
  const Tensor shift = bias_or_zeros(bias, x, accumulator);
  Tensor y = empty_channels_last(x), r = at::empty({b * h * w}, x.options().dtype(accumulator));
  const SkipShape shape = skip.defined() ? skip_shape(skip, x) : SkipShape{};
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "norm_act_skip", [&] {
    using A = at::opmath_type<scalar_t>;
    const auto* xp = x.const_data_ptr<scalar_t>();
    const auto* bp = shift.const_data_ptr<A>();
    const auto* sp = skip.defined() ? skip.const_data_ptr<scalar_t>() : nullptr;
    auto* yp = y.mutable_data_ptr<scalar_t>();
    auto* rp = r.mutable_data_ptr<A>();
    over_rows(b * h, w * c, [&](int64_t first, int64_t count) {
      for (int64_t row = first; row < first + count; ++row) {
        const int64_t at = row * w * c;
        forward_rows<scalar_t, A>(xp + at, bp, yp + at, rp + row * w, w, c, static_cast<A>(slopes.before),
                                  static_cast<A>(slopes.after));
        if (sp != nullptr) add_skip_row<scalar_t>(shape, sp, yp + at, row, w, c);
      }
    });
  });
  return {y, r};
}

/// dx and d bias; of tensors without a graph.
std::pair<Tensor, Tensor> gradient(const Tensor& g, const Tensor& x, const Tensor& bias, const Tensor& r,
                                   const NormActSlopes& slopes) {
#if defined(SAN_NATIVE_CUDA)
  if (x.is_cuda()) {
    const cuda::NormActGradient out = cuda::norm_act_skip_gradient(g, x, bias, r, slopes);
    return {out.dx, bias.defined() ? out.d_bias.to(bias.scalar_type()) : Tensor()};
  }
#endif
  const int64_t c = x.size(1);
  const Pieces pieces(r.numel(), c);
  const Tensor shift = bias_or_zeros(bias, x, r.scalar_type());
  Tensor dx = empty_channels_last(x), sums = at::zeros({pieces.count(), c}, x.options().dtype(at::kDouble));
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "norm_act_skip_backward", [&] {
    using A = at::opmath_type<scalar_t>;
    const auto* xp = x.const_data_ptr<scalar_t>();
    const auto* bp = shift.const_data_ptr<A>();
    const auto* gp = g.const_data_ptr<scalar_t>();
    const auto* rp = r.const_data_ptr<A>();
    auto* dp = dx.mutable_data_ptr<scalar_t>();
    auto* sp = sums.mutable_data_ptr<double>();
    pieces.each([&](int64_t piece, int64_t first, int64_t count) {
      Scratch<A> scratch(c);
      backward_rows<scalar_t, A>(xp + first * c, bp, gp + first * c, rp + first, dp + first * c,
                                 sp + piece * c, scratch.data(), count, c, static_cast<A>(slopes.before),
                                 static_cast<A>(slopes.after));
    });
  });
  return {dx, bias.defined() ? join(sums, bias.scalar_type()) : Tensor()};
}

Tensor channel_mean(const Tensor& t) { return t.mean({1}, /*keepdim=*/true); }

Tensor slope_at(const Tensor& v, double slope) {
  return at::where(v > 0, at::ones({}, v.options()), at::full({}, slope, v.options()));
}

/// dv, of tensors that may have a graph: params.h's second derivative is written out, since autograd's own
/// would keep a tensor for each step of the formula. v and g stand for inputs without LeakyReLU before.
class NormGradient : public torch::autograd::Function<NormGradient> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& g, const Tensor& v, double after) {
    ctx->save_for_backward({g, v});
    ctx->saved_data["after"] = after;
    const Tensor r = at::rsqrt(channel_mean(v.square()) + kNormEpsilon), u = slope_at(v, after) * g;
    return r * u - r.pow(3) * v * channel_mean(v * u);
  }

  /// Composite, and r is computed again from v, so that higher orders hold.
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &g = saved[0], &v = saved[1], &w = grads[0];
    const Tensor r = at::rsqrt(channel_mean(v.square()) + kNormEpsilon), r3 = r.pow(3);
    const Tensor m = slope_at(v, ctx->saved_data["after"].toDouble());
    const Tensor u = m * g, a = channel_mean(v * u), b = channel_mean(v * w);
    return {m * (r * w - r3 * v * b),
            v * (3 * r.pow(5) * a * b - r3 * channel_mean(u * w)) - r3 * (a * w + b * u), Tensor()};
  }
};

class NormActSkip : public torch::autograd::Function<NormActSkip> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const std::optional<Tensor>& optional_bias,
                        const std::optional<Tensor>& optional_skip, double before, double after) {
    const Tensor bias = optional_bias.value_or(Tensor()), skip = optional_skip.value_or(Tensor());
    const profiling::Operation operation("san::norm_act_skip");
    const auto [y, r] = values(x, bias, skip, {before, after});
    ctx->save_for_backward({x, bias, r});
    ctx->saved_data["before"] = before;
    ctx->saved_data["after"] = after;
    if (skip.defined()) ctx->saved_data["skip"] = skip.sizes().vec();
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &bias = saved[1];
    const NormActSlopes slopes{ctx->saved_data["before"].toDouble(), ctx->saved_data["after"].toDouble()};
    const bool for_skip = ctx->saved_data.count("skip") != 0;
    const auto skip_sizes = for_skip ? ctx->saved_data["skip"].toIntVector() : std::vector<int64_t>{};
    if (at::GradMode::is_enabled()) {  // a gradient that is to be differentiated again
      const Tensor &g = grads[0], shifted = bias.defined() ? x + per_channel(bias) : x;
      const Tensor v = slopes.before == 1 ? shifted : at::leaky_relu(shifted, slopes.before);
      const Tensor dv = NormGradient::apply(g, v, slopes.after);
      const Tensor dx = slopes.before == 1 ? dv : slope_at(shifted, slopes.before) * dv;
      return {dx, bias.defined() ? dx.sum({0, 2, 3}) : Tensor(),
              for_skip ? skip_gradient_reference(g, skip_sizes) : Tensor(), Tensor(), Tensor()};
    }
    const profiling::Operation operation("san::norm_act_skip_backward");
    const Tensor g = channels_last(grads[0]);
    const auto [dx, d_bias] = gradient(g, x, bias, saved[2], slopes);
    return {dx, d_bias, for_skip ? skip_gradient(g, skip_sizes) : Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

at::Tensor norm_act_skip_reference(const at::Tensor& x, const at::Tensor& bias, const at::Tensor& skip,
                                   const NormActSlopes& slopes) {
  const Tensor v = at::leaky_relu(bias.defined() ? x + per_channel(bias) : x, slopes.before);
  // In float64, as the operation's own sums: in the gradient of a gradient penalty large terms cancel.
  const Tensor wide = v.to(at::kDouble);
  const Tensor normal = (wide * at::rsqrt(channel_mean(wide.square()) + kNormEpsilon)).to(v.scalar_type());
  const Tensor y = at::leaky_relu(normal, slopes.after);
  return skip.defined() ? y + skip_reference(skip, y.size(1), y.size(2)) : y;
}

at::Tensor norm_act_skip(const at::Tensor& x, const at::Tensor& bias, const at::Tensor& skip,
                         const NormActSlopes& slopes) {
  if (use_reference()) return norm_act_skip_reference(x, bias, skip, slopes);
  using Optional = std::optional<Tensor>;
  return NormActSkip::apply(channels_last(x), bias.defined() ? Optional(bias) : std::nullopt,
                            skip.defined() ? Optional(channels_last(skip)) : std::nullopt, slopes.before,
                            slopes.after);
}

}  // namespace san::ops
