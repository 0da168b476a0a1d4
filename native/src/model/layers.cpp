#include "model/layers.h"

#include <ATen/ATen.h>

#include "ops/ado_gate/ado_gate.h"
#include "ops/attention/attention.h"
#include "ops/norm_act/norm_act.h"

namespace san::layers {
namespace {

constexpr double kSlope = 0.2;

/// Fewer channels: mean over groups of consecutive ones. More: each repeated.
at::Tensor match_channels(const at::Tensor& x, int64_t channels) {
  const int64_t present = x.size(1);
  if (channels == present) return x;
  const int64_t b = x.size(0), h = x.size(2), w = x.size(3);
  // NHWC views keep channels-last memory as it is.
  const at::Tensor last = x.permute({0, 2, 3, 1});
  const at::Tensor matched =
      channels < present
          ? last.reshape({b, h, w, channels, present / channels}).mean(-1)
          : last.unsqueeze(-1).expand({b, h, w, present, channels / present}).reshape({b, h, w, channels});
  return matched.permute({0, 3, 1, 2});
}

}  // namespace

at::Tensor leaky_relu(const at::Tensor& x) { return at::leaky_relu(x, kSlope); }

at::Tensor pixel_norm(const at::Tensor& x) { return ops::norm_act(x, 1); }

at::Tensor norm_act(const at::Tensor& x) { return ops::norm_act(x, kSlope); }

at::Tensor attention(const AttentionParameters& p, const at::Tensor& x) { return ops::attention(p, x); }

at::Tensor rpa(const GateParameters& p, const at::Tensor& x) {
  const at::Tensor r = norm_act(at::conv2d(x, p.squeeze_weight, p.squeeze_bias, 2, 1));
  const at::Tensor g = at::sigmoid(pixel_norm(at::conv2d(r, p.gate_weight, p.gate_bias, 2, 1)));
  return x * at::upsample_bilinear2d(g, {x.size(2), x.size(3)}, /*align_corners=*/false);
}

at::Tensor ado(const GateParameters& p, const at::Tensor& x, double threshold) {
  const at::Tensor h = layers::leaky_relu(at::conv2d(pixel_norm(x), p.squeeze_weight, p.squeeze_bias, 1, 1));
  return ops::ado_gate(x, at::conv2d(pixel_norm(h), p.gate_weight, p.gate_bias, 1, 1), threshold);
}

at::Tensor up(const at::Tensor& x, int64_t stride, int64_t channels) {
  const at::Tensor matched = match_channels(x, channels);
  if (stride == 1) return matched;
  return at::upsample_nearest2d(matched, {x.size(2) * stride, x.size(3) * stride});
}

at::Tensor down(const at::Tensor& x, int64_t stride, int64_t channels) {
  return match_channels(stride == 1 ? x : at::avg_pool2d(x, {stride, stride}), channels);
}

}  // namespace san::layers
