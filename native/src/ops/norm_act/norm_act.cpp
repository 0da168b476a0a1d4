#include "ops/norm_act/norm_act.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "ops/norm_act/params.h"
#include "ops/reference.h"

namespace san::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// About this many elements repay a thread.
constexpr int64_t kGrain = 16384;

template <typename T>
SAN_CLONES void forward_rows(const T* x, T* y, T* r, int64_t rows, int64_t c, T slope) {
  for (int64_t row = 0; row < rows; ++row, x += c, y += c) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < c; ++i) sum += static_cast<double>(x[i]) * x[i];
    const T scale = static_cast<T>(1 / std::sqrt(sum / static_cast<double>(c) + kNormEpsilon));
    r[row] = scale;
#pragma omp simd
    for (int64_t i = 0; i < c; ++i) {
      const T n = x[i] * scale;
      y[i] = n >= 0 ? n : n * slope;
    }
  }
}

template <typename T>
SAN_CLONES void backward_rows(const T* x, const T* g, const T* r, T* dx, int64_t rows, int64_t c, T slope) {
  for (int64_t row = 0; row < rows; ++row, x += c, g += c, dx += c) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < c; ++i) {
      const T u = x[i] > 0 ? g[i] : g[i] * slope;
      sum += static_cast<double>(x[i]) * u;
    }
    const double scale = r[row];
    const double a = scale * scale * scale * sum / static_cast<double>(c);
#pragma omp simd
    for (int64_t i = 0; i < c; ++i) {
      const T u = x[i] > 0 ? g[i] : g[i] * slope;
      dx[i] = static_cast<T>(scale * u - a * x[i]);
    }
  }
}

/// Calls f(first row, row count) over all rows, in parallel; bits do not depend on the thread count.
template <typename F>
void over_rows(int64_t rows, int64_t channels, const F& f) {
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / channels),
                   [&](int64_t begin, int64_t end) { f(begin, end - begin); });
}

Tensor channels_last(const Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

NormActSize size_of(const Tensor& x) { return {x.size(0) * x.size(2) * x.size(3), x.size(1)}; }

Tensor like(const Tensor& x) { return at::empty_like(x, x.options(), at::MemoryFormat::ChannelsLast); }

/// x's gradient as a function with a gradient of its own.
class Backward : public torch::autograd::Function<Backward> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& g_in, const Tensor& x, const Tensor& r,
                        double slope) {
    const Tensor g = channels_last(g_in);
    ctx->save_for_backward({g_in, x});
    ctx->saved_data["slope"] = slope;
    const auto [pixels, c] = size_of(x);
    Tensor dx = like(x);
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "norm_act_backward", [&] {
      const auto* xp = x.const_data_ptr<scalar_t>();
      const auto* gp = g.const_data_ptr<scalar_t>();
      const auto* rp = r.const_data_ptr<scalar_t>();
      auto* dp = dx.mutable_data_ptr<scalar_t>();
      over_rows(pixels, c, [&, channels = c](int64_t first, int64_t count) {
        const int64_t at = first * channels;
        backward_rows<scalar_t>(xp + at, gp + at, rp + first, dp + at, count, channels,
                                static_cast<scalar_t>(slope));
      });
    });
    return dx;
  }

  /// Composite, and r is computed again from x, so that higher orders hold.
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &g = saved[0], &x = saved[1], &v = grads[0];
    const double slope = ctx->saved_data["slope"].toDouble();
    const auto mean = [](const Tensor& t) { return t.mean({1}, /*keepdim=*/true); };
    const Tensor r = at::rsqrt(mean(x.square()) + kNormEpsilon), r3 = r.pow(3);
    const Tensor m = at::where(x > 0, at::ones({}, x.options()), at::full({}, slope, x.options()));
    const Tensor u = m * g, a = mean(x * u), b = mean(x * v);
    const Tensor to_g = m * (r * v - r3 * x * b);
    const Tensor to_x = x * (3 * r.pow(5) * a * b - r3 * mean(u * v)) - r3 * (a * v + b * u);
    return {to_g, to_x, Tensor(), Tensor()};
  }
};

class Forward : public torch::autograd::Function<Forward> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, double slope) {
    const auto [pixels, c] = size_of(x);
    Tensor y = like(x), r = at::empty({pixels}, x.options());
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "norm_act", [&] {
      const auto* xp = x.const_data_ptr<scalar_t>();
      auto* yp = y.mutable_data_ptr<scalar_t>();
      auto* rp = r.mutable_data_ptr<scalar_t>();
      over_rows(pixels, c, [&, channels = c](int64_t first, int64_t count) {
        const int64_t at = first * channels;
        forward_rows<scalar_t>(xp + at, yp + at, rp + first, count, channels, static_cast<scalar_t>(slope));
      });
    });
    ctx->save_for_backward({x, r});
    ctx->saved_data["slope"] = slope;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    return {Backward::apply(grads[0], saved[0], saved[1], ctx->saved_data["slope"].toDouble()), Tensor()};
  }
};

}  // namespace

at::Tensor norm_act_reference(const at::Tensor& x, double slope) {
  return at::leaky_relu(x * at::rsqrt(x.square().mean({1}, /*keepdim=*/true) + kNormEpsilon), slope);
}

at::Tensor norm_act(const at::Tensor& x, double slope) {
  if (use_reference()) return norm_act_reference(x, slope);
  return Forward::apply(channels_last(x), slope);
}

}  // namespace san::ops
