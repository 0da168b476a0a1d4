// The kernels of ado_gate, attention and rpa_gate against the references in float64.
#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "check.h"
#include "ops/ado_gate/ado_gate.h"
#include "ops/ado_gate/ado_gate_cuda.h"
#include "ops/attention/attention.h"
#include "ops/attention/attention_cuda.h"
#include "ops/norm_act_skip/norm_act_skip.h"
#include "ops/norm_act_skip/norm_act_skip_cuda.h"
#include "ops/rpa_gate/rpa_gate.h"
#include "ops/rpa_gate/rpa_gate_cuda.h"
#include "ops/tensors.h"

namespace san::test {
namespace {

using at::Tensor;

constexpr double kThreshold = 0.3;
const std::vector<at::ScalarType> kTypes = {at::kFloat, at::kDouble, at::kBFloat16};

double tolerance(at::ScalarType type) {
  return type == at::kDouble ? 1e-13 : type == at::kFloat ? 3e-6 : 0.02;
}

/// Normal numbers that `type` holds exactly, in float64, with a gradient.
Tensor random(at::IntArrayRef sizes, at::ScalarType type, double scale = 1) {
  return (at::randn(sizes) * scale).to(type).to(at::kDouble).requires_grad_(true);
}

/// What a kernel takes: images in their type, channels-last, parameters in what they are accumulated in.
Tensor image(const Tensor& t, at::ScalarType type) {
  return on_device(ops::channels_last(t.detach().to(type)));
}
Tensor small(const Tensor& t, at::ScalarType type) {
  return on_device(t.detach().to(at::toOpMathType(type)));
}

/// Runs `kernels` and compares its results, an output and gradients, with those of `reference`.
void compare(const std::string& what, at::ScalarType type, const std::vector<Tensor>& inputs, const Tensor& y,
             const Tensor& g, const std::function<std::vector<Tensor>()>& kernels) {
  std::vector<Tensor> wanted = torch::autograd::grad({y}, inputs, {g.detach()});
  wanted.insert(wanted.begin(), y.detach());
  const std::string name = what + ", " + at::toString(type);
  const at::NoGradGuard no_grad;
  with_kernels(
      kernels,
      [&](const std::vector<Tensor>& found) {
        expect(found.size() == wanted.size(), name + ", number of results");
        for (size_t i = 0; i < wanted.size(); ++i)
          expect_close(found[i].to(at::kDouble), wanted[i], tolerance(type),
                       name + ", result " + std::to_string(i));
      },
      name);
}

struct Size {
  int64_t samples, channels, height, width;
};

std::string name_of(const Size& s) {
  return std::to_string(s.channels) + " channels, " + std::to_string(s.height) + " x " +
         std::to_string(s.width);
}

void ado(const Size& n, at::ScalarType type) {
  const Tensor x = random({n.samples, n.channels, n.height, n.width}, type), l = random(x.sizes(), type),
               bias = random({n.channels}, type), g = random(x.sizes(), type);
  {  // No sigmoid so near the threshold that rounding decides.
    const at::NoGradGuard no_grad;
    const Tensor near = (at::sigmoid(l + ops::per_channel(bias)) - kThreshold).abs() < 1e-5;
    l.masked_fill_(near, 4.0);
  }
  compare("ado_gate's kernels, " + name_of(n), type, {x, l, bias},
          ops::ado_gate_reference(x, l, bias, kThreshold), g, [&]() -> std::vector<Tensor> {
            const Tensor px = image(x, type), pl = image(l, type), pb = small(bias, type),
                         pg = image(g, type);
            const auto d = ops::cuda::ado_gate_gradient(pg, px, pl, pb, kThreshold);
            return {ops::cuda::ado_gate(px, pl, pb, kThreshold), d.dx, d.d_logits, d.d_bias};
          });
}

void attention(const Size& n, int64_t hidden, at::ScalarType type) {
  const Tensor x = random({n.samples, n.channels, n.height, n.width}, type), g = random(x.sizes(), type);
  // Small, so that no sigmoid is near 0 or 1, where 1 - s has few digits.
  const auto weight = [&](at::IntArrayRef sizes) { return random(sizes, type, 0.25); };
  const AttentionParameters p{weight({hidden, n.channels}), weight({hidden}), weight({n.channels, hidden}),
                              weight({n.channels})};
  compare("attention's kernels, " + name_of(n), type,
          {x, p.squeeze_weight, p.squeeze_bias, p.excite_weight, p.excite_bias},
          ops::attention_reference(p, x), g, [&]() -> std::vector<Tensor> {
            const Tensor px = image(x, type);
            const AttentionParameters q{small(p.squeeze_weight, type), small(p.squeeze_bias, type),
                                        small(p.excite_weight, type), small(p.excite_bias, type)};
            const auto out = ops::cuda::attention(q, px);
            const auto d = ops::cuda::attention_gradient(image(g, type), px, q, out);
            return {out.y, d.dx, d.d_squeeze, d.d_squeeze_bias, d.d_excite, d.d_excite_bias};
          });
}

void rpa(const Size& n, int64_t low_height, int64_t low_width, at::ScalarType type) {
  const Tensor x = random({n.samples, n.channels, n.height, n.width}, type), g = random(x.sizes(), type);
  const Tensor normal = random({n.samples, n.channels, low_height, low_width}, type);
  const Tensor y = x * at::upsample_bilinear2d(at::sigmoid(normal), {n.height, n.width}, false);
  compare("rpa_gate's kernels, " + name_of(n), type, {x, normal}, y, g, [&]() -> std::vector<Tensor> {
    const Tensor px = image(x, type);
    const auto out = ops::cuda::rpa_gate(px, image(normal, type));
    const auto d = ops::cuda::rpa_gate_gradient(image(g, type), px, out.s);
    return {out.y, d.dx, d.d_normal};
  });
}

using Operation = std::function<std::vector<Tensor>(const std::vector<Tensor>& images)>;

/// Views that begin behind an aligned place give the bits of their copies, and no samples are no work: the
/// results that have none of their own, from `sums` on, are 0.
void views_and_nothing(const std::string& what, const std::vector<Tensor>& images, size_t sums,
                       const Operation& f) {
  std::vector<Tensor> behind, none;
  for (const Tensor& t : images) {
    const Tensor last = t.permute({0, 2, 3, 1});
    behind.push_back(at::empty({t.numel() + 1}, t.options())
                         .narrow(0, 1, t.numel())
                         .copy_(last.reshape(-1))
                         .view(last.sizes())
                         .permute({0, 3, 1, 2}));
    none.push_back(t.narrow(0, 0, 0));
  }
  const auto wanted = f(images), found = f(behind), empty = f(none);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::string name =
        what + ", " + at::toString(images[0].scalar_type()) + ", result " + std::to_string(i);
    expect(found[i].equal(wanted[i]), name + " of views");
    expect(i < sums ? empty[i].numel() == 0 : empty[i].count_nonzero().item<int64_t>() == 0,
           name + " of nothing");
  }
}

void views_and_nothing(at::ScalarType type) {
  const at::NoGradGuard no_grad;
  constexpr int64_t kChannels = 16;
  const auto some = [&](int64_t channels, int64_t size) {
    return image(at::randn({2, channels, size, size}), type);
  };
  const auto number = [&](at::IntArrayRef sizes) { return small(at::randn(sizes) * 0.25, type); };
  const Tensor bias = number({kChannels});
  const AttentionParameters p{number({4, kChannels}), number({4}), number({kChannels, 4}), bias};
  const std::vector<Tensor> three = {some(kChannels, 4), some(kChannels, 4), some(kChannels, 4)};
  views_and_nothing("ado_gate's kernels", three, 3, [&](const auto& in) -> std::vector<Tensor> {
    const auto d = ops::cuda::ado_gate_gradient(in[2], in[0], in[1], bias, kThreshold);
    return {ops::cuda::ado_gate(in[0], in[1], bias, kThreshold), d.dx, d.d_logits, d.d_bias};
  });
  views_and_nothing("attention's kernels", {three[0], three[1]}, 2,
                    [&](const auto& in) -> std::vector<Tensor> {
                      const auto out = ops::cuda::attention(p, in[0]);
                      const auto d = ops::cuda::attention_gradient(in[1], in[0], p, out);
                      return {out.y, d.dx, d.d_squeeze, d.d_squeeze_bias, d.d_excite, d.d_excite_bias};
                    });
  views_and_nothing("rpa_gate's kernels", {three[0], some(kChannels, 2), three[1]}, 3,
                    [&](const auto& in) -> std::vector<Tensor> {
                      const auto out = ops::cuda::rpa_gate(in[0], in[1]);
                      const auto d = ops::cuda::rpa_gate_gradient(in[2], in[0], out.s);
                      return {out.y, d.dx, d.d_normal};
                    });
  views_and_nothing("norm_act_skip's kernels", {three[0], some(2 * kChannels, 2), three[1]}, 3,
                    [&](const auto& in) -> std::vector<Tensor> {
                      const auto out = ops::cuda::norm_act_skip(in[0], bias, in[1], ops::kNormThenAct);
                      const auto d =
                          ops::cuda::norm_act_skip_gradient(in[2], in[0], bias, out.r, ops::kNormThenAct);
                      return {out.y, d.dx, ops::cuda::skip_gradient(in[2], in[1].sizes()), d.d_bias};
                    });
}

/// From 1 to `most`.
int64_t drawn(int64_t most) { return at::randint(1, most + 1, {1}).item<int64_t>(); }

/// Sizes that nobody chose.
void drawn_sizes(at::ScalarType type) {
  for (int i = 0; i < 6; ++i) {
    const Size n{drawn(4), drawn(i % 2 == 0 ? 40 : 5), drawn(11), drawn(11)};
    ado(n, type);
    attention(n, drawn(12), type);
    rpa(n, drawn(n.height), drawn(n.width), type);
  }
}

}  // namespace

void gates_cuda_tests() {
  for (const at::ScalarType type : kTypes) {
    for (const Size& n : {Size{1, 1, 1, 1}, {2, 3, 3, 5}, {3, 16, 7, 5}, {1, 264, 2, 3}, {1, 37, 1, 9}})
      ado(n, type);
    attention({1, 1, 1, 1}, 4, type);
    attention({3, 5, 3, 7}, 4, type);
    attention({2, 24, 9, 8}, 6, type);
    attention({2, 136, 2, 1}, 40, type);
    rpa({1, 1, 1, 1}, 1, 1, type);
    rpa({2, 3, 2, 2}, 1, 1, type);
    rpa({1, 8, 4, 8}, 1, 2, type);
    rpa({2, 5, 10, 7}, 3, 2, type);
    rpa({2, 40, 16, 12}, 4, 3, type);
    rpa({1, 4, 13, 11}, 13, 5, type);
    drawn_sizes(type);
    views_and_nothing(type);
  }
}

}  // namespace san::test
