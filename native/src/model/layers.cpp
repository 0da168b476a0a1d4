#include "model/layers.h"

#include <ATen/ATen.h>

#include "model/widened.h"
#include "ops/ado_gate/ado_gate.h"
#include "ops/attention/attention.h"
#include "ops/convolution/convolution.h"
#include "ops/norm_act_skip/norm_act_skip.h"
#include "ops/rpa_gate/rpa_gate.h"

namespace san::layers {
namespace {

constexpr double kSlope = 0.2;

// Biases are left to the operations that follow: there they cost no pass of their own, forward or backward.
at::Tensor conv3x3(const at::Tensor& x, const at::Tensor& weight, int64_t stride) {
  return widened(x, [&](const auto& wide) {
    return ops::convolution(wide(x), wide(weight), {}, {stride, /*padding=*/1});
  });
}

at::Tensor norm_act(const at::Tensor& x, const at::Tensor& bias, const at::Tensor& skip,
                    const ops::NormActSlopes& slopes) {
  return widened(x, [&](const auto& wide) { return ops::norm_act_skip(wide(x), bias, wide(skip), slopes); });
}

}  // namespace

at::Tensor leaky_relu(const at::Tensor& x) { return at::leaky_relu(x, kSlope); }

at::Tensor attention(const AttentionParameters& p, const at::Tensor& x) {
  return widened(x, [&](const auto& wide) { return ops::attention(p, wide(x)); });
}

at::Tensor rpa(const GateParameters& p, const at::Tensor& x) {
  const at::Tensor r = norm_act(conv3x3(x, p.squeeze_weight, 2), p.squeeze_bias, {}, ops::kNormThenAct);
  const at::Tensor logits = conv3x3(r, p.gate_weight, 2);
  return widened(x, [&](const auto& wide) { return ops::rpa_gate(wide(x), wide(logits), p.gate_bias); });
}

at::Tensor ado(const GateParameters& p, const at::Tensor& x, double threshold) {
  const at::Tensor normal = norm_act(x, {}, {}, ops::kNormOnly);
  const at::Tensor h = norm_act(conv3x3(normal, p.squeeze_weight, 1), p.squeeze_bias, {}, ops::kActThenNorm);
  const at::Tensor logits = conv3x3(h, p.gate_weight, 1);
  return widened(
      x, [&](const auto& wide) { return ops::ado_gate(wide(x), wide(logits), p.gate_bias, threshold); });
}

at::Tensor generator_block(const BlockParameters& p, const at::Tensor& x, int64_t stride) {
  const at::Tensor scaled = attention(p.attention, x);
  const at::Tensor y = widened(scaled, [&](const auto& wide) {
    return at::conv_transpose2d(wide(scaled), wide(p.kernel), {}, stride, /*padding=*/1,
                                /*output_padding=*/stride - 1);
  });
  return norm_act(y, p.bias, x, ops::kNormThenAct);
}

at::Tensor reverser_block(const BlockParameters& p, const at::Tensor& x, int64_t stride) {
  return norm_act(conv3x3(attention(p.attention, x), p.kernel, stride), p.bias, x, ops::kNormThenAct);
}

}  // namespace san::layers
