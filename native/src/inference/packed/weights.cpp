#include "inference/packed/weights.h"

#include <ATen/ATen.h>

namespace san::packed {
namespace {

using at::Tensor;

/// `kernel` (taps, input channels, output channels) for kernels whose words hold `per_word` channels.
Convolution arranged(Reach reach, int64_t tile, const Tensor& kernel, int64_t per_word, int64_t most_blocks) {
  const Tensor taps = tile > 0 ? tile_weights(kernel, tile) : kernel;
  const int64_t count = taps.size(0), in = taps.size(1), out = filled(taps.size(2));
  const int64_t words = (in + per_word - 1) / per_word;
  Tensor all = at::zeros({count, words * per_word, out}, at::kFloat);
  all.narrow(1, 0, in).narrow(2, 0, taps.size(2)).copy_(taps);
  all = all.view({count, words, per_word, out}).transpose(2, 3);
  if (per_word == 2) all = all.to(at::kBFloat16);
  std::vector<Tensor> groups;
  for (int64_t first = 0; first < out; first += most_blocks * kBlock)
    groups.push_back(all.narrow(2, first, std::min(most_blocks * kBlock, out - first)).reshape({-1}));
  return {reach, tile, out, words, most_blocks, at::cat(groups)};
}

/// A bias with its filling.
Tensor filled_bias(const Tensor& bias) {
  Tensor out = at::zeros({filled(bias.size(0))}, at::kFloat);
  out.narrow(0, 0, bias.size(0)).copy_(bias);
  return out;
}

/// Tiles for a convolution of float32 or words at `height`. Those of 4 x 4 round to about 1e-6 and are left
/// to where no gate of ADO follows, whose threshold makes an image of it; one row has most of its taps
/// outside.
int64_t tile_for(int64_t height, bool gates_follow) {
  if (!gates_follow && height >= 8 && height % 4 == 0) return 4;
  return height >= 4 && height % 2 == 0 ? 2 : 0;
}

struct Layout {
  const Kernels& kernels;
  bool forward;

  Convolution with(const Kernels& k, Reach reach, const Tensor& taps, int64_t tile = 0) const {
    return arranged(reach, tile, taps, k.channels_per_word, k.most_blocks);
  }
  Convolution in_float(Reach reach, const Tensor& taps) const { return with(float_kernels(), reach, taps); }

  /// An ordinary kernel (out, in, 3, 3) as (taps, in, out).
  static Tensor ordinary(const Tensor& kernel) { return kernel.permute({2, 3, 1, 0}).flatten(0, 1); }
  /// One of a transposed convolution, (in, out, k, k); at stride 1 it is an ordinary one mirrored.
  static Tensor transposed(const Tensor& kernel, bool mirrored) {
    return (mirrored ? kernel.flip({2, 3}) : kernel).permute({2, 3, 0, 1}).flatten(0, 1);
  }

  Convolution linear(const Tensor& weight) const { return in_float(Reach::point, weight.t().unsqueeze(0)); }

  Gate gate(const GateParameters& p, Reach reach, int64_t tile) const {
    return {with(kernels, reach, ordinary(p.squeeze_weight), tile),
            with(kernels, reach, ordinary(p.gate_weight), tile), filled_bias(p.squeeze_bias),
            filled_bias(p.gate_bias), p.squeeze_bias.size(0)};
  }

  Block block(const BlockParameters& p, int64_t stride, int64_t tile) const {
    const Reach reach = stride == 1 ? Reach::same : (forward ? Reach::up : Reach::down);
    const Tensor taps = forward ? transposed(p.kernel, stride == 1) : ordinary(p.kernel);
    return {with(kernels, reach, taps, stride == 1 ? tile : 0),
            linear(p.attention.squeeze_weight),
            linear(p.attention.excite_weight),
            filled_bias(p.bias),
            filled_bias(p.attention.squeeze_bias),
            filled_bias(p.attention.excite_bias)};
  }

  Convolution latent(const Tensor& kernel) const {
    return in_float(Reach::point, forward ? transposed(kernel, false) : ordinary(kernel));
  }

  /// The generator's last convolution has few output channels: all taps of a pixel are made at once, (1, in,
  /// taps x channels), and added up afterwards where they belong.
  Convolution image(const Tensor& kernel) const {
    if (!forward) return in_float(Reach::same, ordinary(kernel));
    const Tensor taps = transposed(kernel, true);
    return in_float(Reach::point, taps.permute({1, 0, 2}).flatten(1, 2).unsqueeze(0));
  }
};

}  // namespace

Weights lay_out(Net net, const ModelConfig& config, const NetworkParameters& p, const Kernels& kernels) {
  const Layout layout{kernels, net == Net::generator};
  Weights w{layout.latent(p.latent.kernel),
            layout.image(p.image.kernel),
            filled_bias(p.latent.bias),
            filled_bias(p.image.bias),
            {}};
  int64_t height = config.latent_size;
  for (int m = 0; m < kModules; ++m) {
    const int64_t inner = height, outer = height * config.strides[m];
    const bool last = net == Net::generator && m == kModules - 1 && kernels.channels_per_word == 1;
    for (int b = 0; b < kBlocks; ++b)
      w.modules[m].blocks[b] = layout.block(p.modules[m].blocks[b], b == 0 ? config.strides[m] : 1,
                                            tile_for(outer, /*gates_follow=*/!last));
    w.modules[m].ado = layout.gate(p.modules[m].ado, Reach::same, tile_for(inner, /*gates_follow=*/true));
    w.modules[m].rpa = layout.gate(p.modules[m].rpa, Reach::down, 0);
    height = outer;
  }
  return w;
}

}  // namespace san::packed
