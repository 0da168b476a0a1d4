#include "model/layers.h"

#include <ATen/ATen.h>

#include "ops/ado_gate/ado_gate.h"
#include "ops/attention/attention.h"
#include "ops/norm_act_skip/norm_act_skip.h"
#include "ops/rpa_gate/rpa_gate.h"

namespace san::layers {
namespace {

constexpr double kSlope = 0.2;

// Biases are left to the operations that follow: there they cost no pass of their own, forward or backward.
at::Tensor conv3x3(const at::Tensor& x, const at::Tensor& weight, int64_t stride) {
  return at::conv2d(x, weight, {}, stride, /*padding=*/1);
}

}  // namespace

at::Tensor leaky_relu(const at::Tensor& x) { return at::leaky_relu(x, kSlope); }

at::Tensor attention(const AttentionParameters& p, const at::Tensor& x) { return ops::attention(p, x); }

at::Tensor rpa(const GateParameters& p, const at::Tensor& x) {
  const at::Tensor r =
      ops::norm_act_skip(conv3x3(x, p.squeeze_weight, 2), p.squeeze_bias, {}, ops::kNormThenAct);
  return ops::rpa_gate(x, conv3x3(r, p.gate_weight, 2), p.gate_bias);
}

at::Tensor ado(const GateParameters& p, const at::Tensor& x, double threshold) {
  const at::Tensor normal = ops::norm_act_skip(x, {}, {}, ops::kNormOnly);
  const at::Tensor h =
      ops::norm_act_skip(conv3x3(normal, p.squeeze_weight, 1), p.squeeze_bias, {}, ops::kActThenNorm);
  return ops::ado_gate(x, conv3x3(h, p.gate_weight, 1), p.gate_bias, threshold);
}

at::Tensor generator_block(const BlockParameters& p, const at::Tensor& x, int64_t stride) {
  const at::Tensor y = at::conv_transpose2d(attention(p.attention, x), p.kernel, {}, stride, /*padding=*/1,
                                            /*output_padding=*/stride - 1);
  return ops::norm_act_skip(y, p.bias, x, ops::kNormThenAct);
}

at::Tensor reverser_block(const BlockParameters& p, const at::Tensor& x, int64_t stride) {
  return ops::norm_act_skip(conv3x3(attention(p.attention, x), p.kernel, stride), p.bias, x,
                            ops::kNormThenAct);
}

}  // namespace san::layers
