#include "ops/convolution/convolution.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <optional>
#include <tuple>

#include "ops/reference.h"

namespace san::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using OptionalTensor = std::optional<Tensor>;

void save(AutogradContext* ctx, const ConvolutionShape& n, const variable_list& tensors) {
  ctx->saved_data["stride"] = n.stride;
  ctx->saved_data["padding"] = n.padding;
  ctx->save_for_backward(tensors);
}

ConvolutionShape shape_of(AutogradContext* ctx) {
  return {ctx->saved_data["stride"].toInt(), ctx->saved_data["padding"].toInt()};
}

/// dx, dw and d bias, where they are `wanted`. Of x, w and bias the sizes may be all that counts.
std::tuple<Tensor, Tensor, Tensor> gradients(const Tensor& g, const Tensor& x, const Tensor& w,
                                             const ConvolutionShape& n, const std::array<bool, 3>& wanted) {
  const std::array<int64_t, 1> bias{w.size(0)};
  const std::array<int64_t, 2> stride{n.stride, n.stride}, padding{n.padding, n.padding}, dilation{1, 1},
      output_padding{0, 0};
  return at::convolution_backward(g, x, w, at::IntArrayRef(bias), stride, padding, dilation,
                                  /*transposed=*/false, output_padding, /*groups=*/1, wanted);
}

// Each of the three is in the derivatives of the others. `as` stands for what is not there: it has the sizes
// and the memory order of the result, and no gradient.
Tensor convolve(const Tensor& x, const Tensor& w, const ConvolutionShape& n);
Tensor input_gradient(const Tensor& g, const Tensor& w, const Tensor& as, const ConvolutionShape& n);
Tensor kernel_gradient(const Tensor& g, const Tensor& x, const Tensor& as, const ConvolutionShape& n);

class Convolution : public torch::autograd::Function<Convolution> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& w, const OptionalTensor& bias,
                        const ConvolutionShape& n) {
    save(ctx, n, {x, w});
    ctx->saved_data["has_bias"] = bias.has_value();
    return convolution_reference(x, w, bias.value_or(Tensor()), n);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &w = saved[1], &g = grads[0];
    const ConvolutionShape n = shape_of(ctx);
    const std::array<bool, 3> wanted{ctx->needs_input_grad(0), ctx->needs_input_grad(1),
                                     ctx->saved_data["has_bias"].toBool() && ctx->needs_input_grad(2)};
    if (at::GradMode::is_enabled())  // gradients that are to be differentiated again
      return {wanted[0] ? input_gradient(g, w, x, n) : Tensor(),
              wanted[1] ? kernel_gradient(g, x, w, n) : Tensor(), wanted[2] ? g.sum({0, 2, 3}) : Tensor(),
              Tensor()};
    const auto [dx, dw, d_bias] = gradients(g, x, w, n, wanted);
    return {dx, dw, d_bias, Tensor()};
  }
};

class InputGradient : public torch::autograd::Function<InputGradient> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& g, const Tensor& w, const Tensor& as,
                        const ConvolutionShape& n) {
    save(ctx, n, {g, w});
    return std::get<0>(gradients(g, as, w, n, {true, false, false}));
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &g = saved[0], &w = saved[1], &v = grads[0];
    const ConvolutionShape n = shape_of(ctx);
    return {ctx->needs_input_grad(0) ? convolve(v, w, n) : Tensor(),
            ctx->needs_input_grad(1) ? kernel_gradient(g, v, w, n) : Tensor(), Tensor(), Tensor()};
  }
};

class KernelGradient : public torch::autograd::Function<KernelGradient> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& g, const Tensor& x, const Tensor& as,
                        const ConvolutionShape& n) {
    save(ctx, n, {g, x});
    return std::get<1>(gradients(g, x, as, n, {false, true, false}));
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &g = saved[0], &x = saved[1], &u = grads[0];
    const ConvolutionShape n = shape_of(ctx);
    return {ctx->needs_input_grad(0) ? convolve(x, u, n) : Tensor(),
            ctx->needs_input_grad(1) ? input_gradient(g, u, x, n) : Tensor(), Tensor(), Tensor()};
  }
};

Tensor convolve(const Tensor& x, const Tensor& w, const ConvolutionShape& n) {
  return Convolution::apply(x, w, OptionalTensor(), n);
}

Tensor input_gradient(const Tensor& g, const Tensor& w, const Tensor& as, const ConvolutionShape& n) {
  return InputGradient::apply(g, w, as.detach(), n);
}

Tensor kernel_gradient(const Tensor& g, const Tensor& x, const Tensor& as, const ConvolutionShape& n) {
  return KernelGradient::apply(g, x, as.detach(), n);
}

}  // namespace

Tensor convolution_reference(const Tensor& x, const Tensor& w, const Tensor& bias,
                             const ConvolutionShape& n) {
  return at::conv2d(x, w, bias, n.stride, n.padding);
}

Tensor convolution(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvolutionShape& n) {
  if (use_reference()) return convolution_reference(x, w, bias, n);
  return Convolution::apply(x, w, bias.defined() ? OptionalTensor(bias) : std::nullopt, n);
}

}  // namespace san::ops
