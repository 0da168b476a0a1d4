#include "ops/ado_gate/ado_gate.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "ops/ado_gate/params.h"
#include "ops/reference.h"
#include "ops/tensors.h"
#include "profiling/scope.h"

#if defined(SAN_NATIVE_CUDA)
#include "ops/ado_gate/ado_gate_cuda.h"
#endif

namespace san::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

template <typename T, typename A>
SAN_CLONES void forward_rows(const T* x, const T* l, const A* bias, T* y, int64_t rows, int64_t c,
                             A threshold) {
  for (int64_t row = 0; row < rows; ++row, x += c, l += c, y += c) {
#pragma omp simd
    for (int64_t i = 0; i < c; ++i) {
      const A a = sigmoid(static_cast<A>(l[i]) + bias[i]);
      y[i] = static_cast<T>(ado_value(static_cast<A>(x[i]), a, threshold));
    }
  }
}

template <typename T, typename A>
SAN_CLONES void backward_rows(const T* g, const T* x, const T* l, const A* bias, T* dx, T* dl,
                              double* bias_sums, A* scratch, int64_t rows, int64_t c, A threshold) {
  constexpr int64_t kShort = 32;  // as in norm_act_skip
  for (int64_t begin = 0; begin < rows; begin += kShort) {
    const int64_t end = begin + kShort < rows ? begin + kShort : rows;
    for (int64_t i = 0; i < c; ++i) scratch[i] = 0;
    for (int64_t row = begin; row < end; ++row, g += c, x += c, l += c, dx += c, dl += c) {
#pragma omp simd
      for (int64_t i = 0; i < c; ++i) {
        const AdoGradient<A> d = ado_gradient(static_cast<A>(g[i]), static_cast<A>(x[i]),
                                              sigmoid(static_cast<A>(l[i]) + bias[i]), threshold);
        dx[i] = static_cast<T>(d.x);
        dl[i] = static_cast<T>(d.logit);
        scratch[i] += d.logit;
      }
    }
    for (int64_t i = 0; i < c; ++i) bias_sums[i] += scratch[i];
  }
}

/// The mask with its derivative with respect to a taken as 1: a - a is zero but carries the gradient.
Tensor straight_through(const Tensor& a, double threshold) {
  return (a >= threshold).to(a.scalar_type()) + a - a.detach();
}

/// Of tensors without a graph.
Tensor value(const Tensor& x, const Tensor& logits, const Tensor& bias, double threshold) {
#if defined(SAN_NATIVE_CUDA)
  if (x.is_cuda()) return cuda::ado_gate(x, logits, bias, threshold);
#endif
  const int64_t c = x.size(1), pixels = x.numel() / c;
  const Tensor shift = bias.to(at::toOpMathType(x.scalar_type())), y = empty_channels_last(x);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "ado_gate", [&] {
    using A = at::opmath_type<scalar_t>;
    const auto* xp = x.const_data_ptr<scalar_t>();
    const auto* lp = logits.const_data_ptr<scalar_t>();
    const auto* bp = shift.const_data_ptr<A>();
    auto* yp = y.mutable_data_ptr<scalar_t>();
    over_rows(pixels, c, [&](int64_t first, int64_t count) {
      forward_rows<scalar_t, A>(xp + first * c, lp + first * c, bp, yp + first * c, count, c,
                                static_cast<A>(threshold));
    });
  });
  return y;
}

struct Gradient {
  Tensor x, logits, bias;
};

/// Of tensors without a graph.
Gradient gradient(const Tensor& g, const Tensor& x, const Tensor& logits, const Tensor& bias,
                  double threshold) {
#if defined(SAN_NATIVE_CUDA)
  if (x.is_cuda()) {
    const cuda::AdoGateGradient d = cuda::ado_gate_gradient(g, x, logits, bias, threshold);
    return {d.dx, d.d_logits, d.d_bias.to(bias.scalar_type())};
  }
#endif
  const int64_t c = x.size(1);
  const Pieces pieces(x.numel() / c, c);
  const Tensor shift = bias.to(at::toOpMathType(x.scalar_type()));
  const Tensor dx = empty_channels_last(x), dl = empty_channels_last(x);
  const Tensor sums = at::zeros({pieces.count(), c}, x.options().dtype(at::kDouble));
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "ado_gate_backward", [&] {
    using A = at::opmath_type<scalar_t>;
    const auto* gp = g.const_data_ptr<scalar_t>();
    const auto* xp = x.const_data_ptr<scalar_t>();
    const auto* lp = logits.const_data_ptr<scalar_t>();
    const auto* bp = shift.const_data_ptr<A>();
    auto* xd = dx.mutable_data_ptr<scalar_t>();
    auto* ld = dl.mutable_data_ptr<scalar_t>();
    auto* sp = sums.mutable_data_ptr<double>();
    pieces.each([&](int64_t piece, int64_t first, int64_t count) {
      Scratch<A> scratch(c);
      const int64_t at = first * c;
      backward_rows<scalar_t, A>(gp + at, xp + at, lp + at, bp, xd + at, ld + at, sp + piece * c,
                                 scratch.data(), count, c, static_cast<A>(threshold));
    });
  });
  return {dx, dl, join(sums, bias.scalar_type())};
}

class AdoGate : public torch::autograd::Function<AdoGate> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& logits, const Tensor& bias,
                        double threshold) {
    const profiling::Operation operation("san::ado_gate");
    ctx->save_for_backward({x, logits, bias});
    ctx->saved_data["threshold"] = threshold;
    return value(x, logits, bias, threshold);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &logits = saved[1], &bias = saved[2];
    const double threshold = ctx->saved_data["threshold"].toDouble();
    if (at::GradMode::is_enabled()) {  // a gradient that is to be differentiated again
      const Tensor &g = grads[0], a = at::sigmoid(logits + per_channel(bias));
      const Tensor dl = g * x * a * (1 - a);
      return {g * straight_through(a, threshold), dl, dl.sum({0, 2, 3}), Tensor()};
    }
    const profiling::Operation operation("san::ado_gate_backward");
    const Gradient d = gradient(channels_last(grads[0]), x, logits, bias, threshold);
    return {d.x, d.logits, d.bias, Tensor()};
  }
};

}  // namespace

at::Tensor ado_gate_reference(const at::Tensor& x, const at::Tensor& logits, const at::Tensor& bias,
                              double threshold) {
  return x * straight_through(at::sigmoid(logits + per_channel(bias)), threshold);
}

at::Tensor ado_gate(const at::Tensor& x, const at::Tensor& logits, const at::Tensor& bias, double threshold) {
  if (use_reference()) return ado_gate_reference(x, logits, bias, threshold);
  return AdoGate::apply(channels_last(x), channels_last(logits), bias.contiguous(), threshold);
}

}  // namespace san::ops
