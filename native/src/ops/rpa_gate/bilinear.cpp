#include "ops/rpa_gate/bilinear.h"

#include <ATen/ATen.h>
#include <ATen/OpMathType.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/tensors.h"

namespace san::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The matrix of bilinear() along one axis: (from, to), a column for each target.
Tensor weights(int64_t from, int64_t to, const Tensor& like) {
  const Tensor each = at::eye(from, like.options().dtype(at::toOpMathType(like.scalar_type())));
  return at::upsample_linear1d(each.unsqueeze(0), {to}, /*align_corners=*/false)[0];
}

/// m applied to each sample of rows (B, K, N).
Tensor product(const Tensor& m, const Tensor& rows) {
  return at::bmm(m.unsqueeze(0).expand({rows.size(0), m.size(0), m.size(1)}), rows);
}

class Bilinear : public torch::autograd::Function<Bilinear> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& s, int64_t height, int64_t width) {
    ctx->saved_data["height"] = s.size(2);
    ctx->saved_data["width"] = s.size(3);
    return at::upsample_bilinear2d(s, {height, width}, /*align_corners=*/false);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {bilinear_adjoint(grads[0], ctx->saved_data["height"].toInt(), ctx->saved_data["width"].toInt()),
            Tensor(), Tensor()};
  }
};

}  // namespace

Tensor bilinear(const Tensor& s, int64_t height, int64_t width) { return Bilinear::apply(s, height, width); }

Tensor bilinear_adjoint(const Tensor& z, int64_t h, int64_t w) {
  if (!z.is_cpu()) return bilinear_adjoint_by_products(z, h, w);
  return at::upsample_bilinear2d_backward(z, {z.size(2), z.size(3)}, {z.size(0), z.size(1), h, w},
                                          /*align_corners=*/false);
}

Tensor bilinear_adjoint_by_products(const Tensor& z, int64_t h, int64_t w) {
  const int64_t b = z.size(0), c = z.size(1), height = z.size(2), width = z.size(3);
  const Tensor rows = weights(h, height, z), columns = weights(w, width, z);
  const Tensor wide = channels_last(z).permute({0, 2, 3, 1}).to(rows.scalar_type());
  const Tensor lines = product(rows, wide.reshape({b, height, width * c}));
  const Tensor small = product(columns, lines.view({b * h, width, c}));
  return small.view({b, h, w, c}).permute({0, 3, 1, 2}).to(z.scalar_type());
}

}  // namespace san::ops
