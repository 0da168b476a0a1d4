#include "ops/rpa_gate/rpa_gate.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "ops/norm_act_skip/norm_act_skip.h"
#include "ops/reference.h"
#include "ops/rpa_gate/bilinear.h"
#include "ops/rpa_gate/params.h"
#include "ops/tensors.h"
#include "profiling/scope.h"

#if defined(SAN_NATIVE_CUDA)
#include "ops/rpa_gate/rpa_gate_cuda.h"
#endif

namespace san::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

template <typename A>
std::vector<Tap<A>> taps(int64_t from, int64_t to) {
  std::vector<Tap<A>> out;
  for (int64_t i = 0; i < to; ++i) out.push_back(bilinear_tap<A>(i, from, to));
  return out;
}

template <typename T, typename A>
SAN_CLONES void sigmoids(const T* x, A* s, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) s[i] = sigmoid(static_cast<A>(x[i]));
}

/// y = x * gate over one row, the gate interpolated between two rows of s (w, c).
template <typename T, typename A>
SAN_CLONES void gate_row(const T* x, const A* low, const A* high, const Tap<A>& row, const Tap<A>* columns,
                         A* blended, T* y, int64_t width, int64_t narrow, int64_t c) {
#pragma omp simd
  for (int64_t i = 0; i < narrow * c; ++i) blended[i] = row.low_weight * low[i] + row.high_weight * high[i];
  for (int64_t p = 0; p < width; ++p, x += c, y += c) {
    const A *left = blended + columns[p].low * c, *right = blended + columns[p].high * c;
    const A wl = columns[p].low_weight, wr = columns[p].high_weight;
#pragma omp simd
    for (int64_t i = 0; i < c; ++i)
      y[i] = static_cast<T>(static_cast<A>(x[i]) * (wl * left[i] + wr * right[i]));
  }
}

/// ds (w, c) += weight * the adjoint of the columns' interpolation at g x.
template <typename T, typename A>
SAN_CLONES void gather_row(const T* g, const T* x, A weight, const Tap<A>* columns, A* ds, int64_t width,
                           int64_t c) {
  for (int64_t p = 0; p < width; ++p, g += c, x += c) {
    A *left = ds + columns[p].low * c, *right = ds + columns[p].high * c;
    const A wl = weight * columns[p].low_weight, wr = weight * columns[p].high_weight;
    if (left == right) {
#pragma omp simd
      for (int64_t i = 0; i < c; ++i) left[i] += (wl + wr) * static_cast<A>(g[i]) * static_cast<A>(x[i]);
      continue;
    }
#pragma omp simd
    for (int64_t i = 0; i < c; ++i) {
      const A product = static_cast<A>(g[i]) * static_cast<A>(x[i]);
      left[i] += wl * product;
      right[i] += wr * product;
    }
  }
}

template <typename T, typename A>
SAN_CLONES void sigmoid_gradient(const A* ds, const A* s, T* dn, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dn[i] = static_cast<T>(ds[i] * s[i] * (1 - s[i]));
}

/// x * bilinear(s), s (B, h, w, C) in memory; x may be a gradient.
Tensor apply_gate(const Tensor& x, const Tensor& s) {
  const int64_t b = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  const int64_t low_h = s.size(2), low_w = s.size(3);
  Tensor y = empty_channels_last(x);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "rpa_gate", [&] {
    using A = at::opmath_type<scalar_t>;
    const auto rows = taps<A>(low_h, h), columns = taps<A>(low_w, w);
    const auto* xp = x.const_data_ptr<scalar_t>();
    const auto* sp = s.const_data_ptr<A>();
    auto* yp = y.mutable_data_ptr<scalar_t>();
    over_rows(b * h, w * c, [&](int64_t first, int64_t count) {
      Scratch<A> blended(low_w * c);
      for (int64_t row = first; row < first + count; ++row) {
        const Tap<A>& tap = rows[static_cast<size_t>(row % h)];
        const A* sample = sp + row / h * low_h * low_w * c;
        gate_row<scalar_t, A>(xp + row * w * c, sample + tap.low * low_w * c, sample + tap.high * low_w * c,
                              tap, columns.data(), blended.data(), yp + row * w * c, w, low_w, c);
      }
    });
  });
  return y;
}

/// dn, at the logits' resolution.
Tensor gate_gradient(const Tensor& g, const Tensor& x, const Tensor& s) {
  const int64_t b = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  const int64_t low_h = s.size(2), low_w = s.size(3), low_row = low_w * c;
  Tensor dn = empty_channels_last(s.sizes(), x);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "rpa_gate_backward", [&] {
    using A = at::opmath_type<scalar_t>;
    const auto rows = taps<A>(low_h, h), columns = taps<A>(low_w, w);
    const auto* gp = g.const_data_ptr<scalar_t>();
    const auto* xp = x.const_data_ptr<scalar_t>();
    const auto* sp = s.const_data_ptr<A>();
    auto* dp = dn.mutable_data_ptr<scalar_t>();
    over_rows(b * low_h, h / low_h * w * c, [&](int64_t first, int64_t count) {
      Scratch<A> ds(low_row);
      for (int64_t low = first; low < first + count; ++low) {
        const int64_t sample = low / low_h, i = low % low_h;
        std::fill(ds.begin(), ds.end(), A(0));
        for (int64_t y = 0; y < h; ++y) {
          const Tap<A>& tap = rows[static_cast<size_t>(y)];
          const A weight = (tap.low == i ? tap.low_weight : 0) + (tap.high == i ? tap.high_weight : 0);
          if (weight == 0) continue;
          const int64_t at = (sample * h + y) * w * c;
          gather_row<scalar_t, A>(gp + at, xp + at, weight, columns.data(), ds.data(), w, c);
        }
        sigmoid_gradient<scalar_t, A>(ds.data(), sp + low * low_row, dp + low * low_row, low_row);
      }
    });
  });
  return dn;
}

/// y, and s for the gradient; of tensors without a graph.
std::pair<Tensor, Tensor> values(const Tensor& x, const Tensor& n) {
#if defined(SAN_NATIVE_CUDA)
  if (x.is_cuda()) {
    const cuda::RpaGate out = cuda::rpa_gate(x, n);
    return {out.y, out.s};
  }
#endif
  Tensor s = at::empty(n.sizes(), n.options().dtype(at::toOpMathType(n.scalar_type())),
                       at::MemoryFormat::ChannelsLast);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, n.scalar_type(), "rpa_sigmoid", [&] {
    using A = at::opmath_type<scalar_t>;
    const auto* np = n.const_data_ptr<scalar_t>();
    auto* sp = s.mutable_data_ptr<A>();
    at::parallel_for(0, n.numel(), kGrain, [&](int64_t begin, int64_t end) {
      sigmoids<scalar_t, A>(np + begin, sp + begin, end - begin);
    });
  });
  return {apply_gate(x, s), s};
}

/// dx and dn; of tensors without a graph.
std::pair<Tensor, Tensor> gradient(const Tensor& g, const Tensor& x, const Tensor& s) {
#if defined(SAN_NATIVE_CUDA)
  if (x.is_cuda()) {
    const cuda::RpaGateGradient d = cuda::rpa_gate_gradient(g, x, s);
    return {d.dx, d.d_normal};
  }
#endif
  return {apply_gate(g, s), gate_gradient(g, x, s)};
}

/// x * bilinear(sigmoid(n)).
class Gate : public torch::autograd::Function<Gate> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& n) {
    const profiling::Operation operation("san::rpa_gate");
    const auto [y, s] = values(x, n);
    ctx->save_for_backward({x, n, s});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &n = saved[1];
    if (at::GradMode::is_enabled()) {  // a gradient that is to be differentiated again
      const Tensor &g = grads[0], s = at::sigmoid(n);
      const Tensor ds = bilinear_adjoint(g * x, n.size(2), n.size(3));
      return {g * bilinear(s, x.size(2), x.size(3)), ds * s * (1 - s)};
    }
    const profiling::Operation operation("san::rpa_gate_backward");
    const auto [dx, dn] = gradient(channels_last(grads[0]), x, saved[2]);
    return {dx, dn};
  }
};

}  // namespace

at::Tensor rpa_gate_reference(const at::Tensor& x, const at::Tensor& logits, const at::Tensor& bias) {
  const Tensor s = at::sigmoid(norm_act_skip_reference(logits, bias, {}, kNormOnly));
  return x * at::upsample_bilinear2d(s, {x.size(2), x.size(3)}, /*align_corners=*/false);
}

at::Tensor rpa_gate(const at::Tensor& x, const at::Tensor& logits, const at::Tensor& bias) {
  if (use_reference()) return rpa_gate_reference(x, logits, bias);
  // The norm runs at a sixteenth of x's pixels; its bias and gradients are norm_act_skip's.
  return Gate::apply(channels_last(x), channels_last(norm_act_skip(logits, bias, {}, kNormOnly)));
}

}  // namespace san::ops
