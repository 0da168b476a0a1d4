#include "ops/ado_gate/ado_gate.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/ado_gate/params.h"
#include "ops/reference.h"

namespace san::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16384;

template <typename T>
SAN_CLONES void forward_values(const T* x, const T* a, T* y, int64_t n, T threshold) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = ado_value(x[i], a[i], threshold);
}

template <typename T>
SAN_CLONES void backward_values(const T* g, const T* x, const T* a, T* dx, T* dl, int64_t n, T threshold) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const AdoGradient<T> d = ado_gradient(g[i], x[i], a[i], threshold);
    dx[i] = d.x;
    dl[i] = d.logit;
  }
}

Tensor channels_last(const Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

/// The mask with its derivative with respect to a taken as 1: a - a is zero but carries the gradient.
Tensor straight_through(const Tensor& a, double threshold) {
  return (a >= threshold).to(a.scalar_type()) + a - a.detach();
}

class AdoGate : public torch::autograd::Function<AdoGate> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& logits, double threshold) {
    const Tensor a = at::sigmoid(logits);
    Tensor y = at::empty_like(x, x.options(), at::MemoryFormat::ChannelsLast);
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "ado_gate", [&] {
      const auto* xp = x.const_data_ptr<scalar_t>();
      const auto* ap = a.const_data_ptr<scalar_t>();
      auto* yp = y.mutable_data_ptr<scalar_t>();
      at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
        forward_values<scalar_t>(xp + begin, ap + begin, yp + begin, end - begin,
                                 static_cast<scalar_t>(threshold));
      });
    });
    ctx->save_for_backward({x, logits, a});
    ctx->saved_data["threshold"] = threshold;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& x = saved[0];
    const double threshold = ctx->saved_data["threshold"].toDouble();
    if (at::GradMode::is_enabled()) {  // a gradient that is to be differentiated again
      const Tensor &g = grads[0], a = at::sigmoid(saved[1]);
      return {g * straight_through(a, threshold), g * x * a * (1 - a), Tensor()};
    }
    const Tensor g = channels_last(grads[0]), &a = saved[2];
    Tensor dx = at::empty_like(x, x.options(), at::MemoryFormat::ChannelsLast), dl = at::empty_like(dx);
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "ado_gate_backward", [&] {
      const auto* gp = g.const_data_ptr<scalar_t>();
      const auto* xp = x.const_data_ptr<scalar_t>();
      const auto* ap = a.const_data_ptr<scalar_t>();
      auto* xd = dx.mutable_data_ptr<scalar_t>();
      auto* ld = dl.mutable_data_ptr<scalar_t>();
      at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
        backward_values<scalar_t>(gp + begin, xp + begin, ap + begin, xd + begin, ld + begin, end - begin,
                                  static_cast<scalar_t>(threshold));
      });
    });
    return {dx, dl, Tensor()};
  }
};

}  // namespace

at::Tensor ado_gate_reference(const at::Tensor& x, const at::Tensor& logits, double threshold) {
  return x * straight_through(at::sigmoid(logits), threshold);
}

at::Tensor ado_gate(const at::Tensor& x, const at::Tensor& logits, double threshold) {
  if (use_reference()) return ado_gate_reference(x, logits, threshold);
  return AdoGate::apply(channels_last(x), channels_last(logits), threshold);
}

}  // namespace san::ops
