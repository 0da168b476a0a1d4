#include "ops/attention/attention.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <optional>
#include <vector>

#include "ops/attention/params.h"
#include "ops/reference.h"
#include "ops/tensors.h"
#include "profiling/scope.h"

#if defined(SAN_NATIVE_CUDA)
#include "ops/attention/attention_cuda.h"
#endif

namespace san::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kSlope = 0.2;

/// sums[c] = sum over rows of x (times g, unless null).
template <typename T>
SAN_CLONES void sum_rows(const T* x, const T* g, double* sums, int64_t rows, int64_t c) {
  for (int64_t i = 0; i < c; ++i) sums[i] = 0;
  for (int64_t row = 0; row < rows; ++row, x += c) {
    if (g == nullptr) {
#pragma omp simd
      for (int64_t i = 0; i < c; ++i) sums[i] += static_cast<double>(x[i]);
    } else {
#pragma omp simd
      for (int64_t i = 0; i < c; ++i) sums[i] += static_cast<double>(x[i]) * static_cast<double>(g[i]);
      g += c;
    }
  }
}

/// y = x scale + shift over rows; shift may be null.
template <typename T, typename A>
SAN_CLONES void scale_rows(const T* x, const T* scale, const T* shift, T* y, int64_t rows, int64_t c) {
  for (int64_t row = 0; row < rows; ++row, x += c, y += c) {
    if (shift == nullptr) {
#pragma omp simd
      for (int64_t i = 0; i < c; ++i) y[i] = static_cast<T>(static_cast<A>(x[i]) * static_cast<A>(scale[i]));
    } else {
#pragma omp simd
      for (int64_t i = 0; i < c; ++i)
        y[i] = static_cast<T>(static_cast<A>(x[i]) * static_cast<A>(scale[i]) + static_cast<A>(shift[i]));
    }
  }
}

AttentionSize size_of(const Tensor& x, const Tensor& squeeze) {
  return {x.size(0), x.size(2) * x.size(3), x.size(1), squeeze.size(0)};
}

/// (B, C): the mean of x over pixels, or the sum of x g where g is given.
Tensor reduce_pixels(const Tensor& x, const Tensor& g, const AttentionSize& n) {
  Tensor out = at::empty({n.samples, n.channels}, x.options());
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "attention_reduce", [&] {
    const auto* xp = x.const_data_ptr<scalar_t>();
    const auto* gp = g.defined() ? g.const_data_ptr<scalar_t>() : nullptr;
    auto* op = out.mutable_data_ptr<scalar_t>();
    const double factor = gp == nullptr ? 1.0 / static_cast<double>(n.pixels) : 1.0;
    at::parallel_for(0, n.samples, 1, [&](int64_t begin, int64_t end) {
      Scratch<double> sums(n.channels);
      for (int64_t b = begin; b < end; ++b) {
        const int64_t at = b * n.pixels * n.channels;
        sum_rows<scalar_t>(xp + at, gp == nullptr ? nullptr : gp + at, sums.data(), n.pixels, n.channels);
        for (int64_t i = 0; i < n.channels; ++i)
          op[b * n.channels + i] = static_cast<scalar_t>(sums[i] * factor);
      }
    });
  });
  return out;
}

/// x scale + shift with (B, C) scale and shift; shift may be undefined.
Tensor scale_pixels(const Tensor& x, const Tensor& scale, const Tensor& shift, const AttentionSize& n) {
  Tensor y = empty_channels_last(x);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "attention_scale", [&] {
    const auto* xp = x.const_data_ptr<scalar_t>();
    const auto* scales = scale.const_data_ptr<scalar_t>();
    const auto* shifts = shift.defined() ? shift.const_data_ptr<scalar_t>() : nullptr;
    auto* yp = y.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, n.samples, 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const int64_t at = b * n.pixels * n.channels, row = b * n.channels;
        scale_rows<scalar_t, at::opmath_type<scalar_t>>(
            xp + at, scales + row, shifts == nullptr ? nullptr : shifts + row, yp + at, n.pixels, n.channels);
      }
    });
  });
  return y;
}

Tensor slope_of(const Tensor& p) {
  return at::where(p > 0, at::ones({}, p.options()), at::full({}, kSlope, p.options()));
}

struct Gate {
  Tensor pre, hidden, scale;
};

/// The two small matrices between the mean a (B, C) and the scale (B, C).
Gate gate(const AttentionParameters& p, const Tensor& a) {
  Gate out;
  out.pre = at::linear(a, p.squeeze_weight, p.squeeze_bias);
  out.hidden = at::leaky_relu(out.pre, kSlope);
  out.scale = at::sigmoid(at::linear(out.hidden, p.excite_weight, p.excite_bias));
  return out;
}

class Attention : public torch::autograd::Function<Attention> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& squeeze_weight,
                        const Tensor& squeeze_bias, const Tensor& excite_weight, const Tensor& excite_bias) {
    const profiling::Operation operation("san::attention");
    const AttentionParameters p{squeeze_weight, squeeze_bias, excite_weight, excite_bias};
#if defined(SAN_NATIVE_CUDA)
    if (x.is_cuda()) {
      const cuda::AttentionResult r = cuda::attention(p, x);
      ctx->save_for_backward(
          {x, squeeze_weight, squeeze_bias, excite_weight, excite_bias, r.mean, r.pre, r.hidden, r.scale});
      return r.y;
    }
#endif
    const AttentionSize n = size_of(x, squeeze_weight);
    const Tensor a = reduce_pixels(x, Tensor(), n);
    const Gate g = gate(p, a);
    ctx->save_for_backward(
        {x, squeeze_weight, squeeze_bias, excite_weight, excite_bias, a, g.pre, g.hidden, g.scale});
    return scale_pixels(x, g.scale, Tensor(), n);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &g = grads[0];
    const AttentionParameters p{saved[1], saved[2], saved[3], saved[4]};
    const AttentionSize n = size_of(x, p.squeeze_weight);
    // A gradient that is to be differentiated again is made of ATen calls on the inputs alone.
    const bool differentiable = at::GradMode::is_enabled();
    std::optional<profiling::Operation> operation;
    if (!differentiable) operation.emplace("san::attention_backward");
#if defined(SAN_NATIVE_CUDA)
    if (!differentiable && x.is_cuda()) {
      const cuda::AttentionGradient d = cuda::attention_gradient(
          channels_last(g), x, p, {Tensor(), saved[5], saved[6], saved[7], saved[8]});
      const auto as = [](const Tensor& gradient, const Tensor& parameter) {
        return gradient.to(parameter.scalar_type());
      };
      return {d.dx, as(d.d_squeeze, saved[1]), as(d.d_squeeze_bias, saved[2]), as(d.d_excite, saved[3]),
              as(d.d_excite_bias, saved[4])};
    }
#endif
    const Tensor g_last = differentiable ? g : channels_last(g);
    const Tensor a = differentiable ? x.mean({2, 3}) : saved[5];
    const Gate s = differentiable ? gate(p, a) : Gate{saved[6], saved[7], saved[8]};
    const Tensor ds = differentiable ? (g * x).sum({2, 3}) : reduce_pixels(x, g_last, n);
    const Tensor dl = ds * s.scale * (1 - s.scale);
    const Tensor dp = dl.matmul(p.excite_weight) * slope_of(s.pre);
    const Tensor da = dp.matmul(p.squeeze_weight) / static_cast<double>(n.pixels);
    const auto spread = [](const Tensor& t) { return t.unsqueeze(-1).unsqueeze(-1); };
    const Tensor dx =
        differentiable ? g * spread(s.scale) + spread(da) : scale_pixels(g_last, s.scale, da, n);
    return {dx, dp.t().matmul(a), dp.sum(0), dl.t().matmul(s.hidden), dl.sum(0)};
  }
};

}  // namespace

at::Tensor attention_reference(const AttentionParameters& p, const at::Tensor& x) {
  return x * gate(p, x.mean({2, 3})).scale.unsqueeze(-1).unsqueeze(-1);
}

at::Tensor attention(const AttentionParameters& p, const at::Tensor& x) {
  if (use_reference()) return attention_reference(p, x);
  return Attention::apply(channels_last(x), p.squeeze_weight, p.squeeze_bias, p.excite_weight, p.excite_bias);
}

}  // namespace san::ops
