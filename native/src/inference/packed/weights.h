// A network's parameters as the kernels read them, laid out once.
#pragma once

#include <array>
#include <vector>

#include "inference/packed/kernels.h"
#include "san/network.h"

namespace san::packed {

/// How a convolution goes from input to output pixels.
enum class Reach {
  /// 3x3 at stride 1.
  same,
  /// 3x3 at stride 2, to half the height and width.
  down,
  /// 3x3 transposed at stride 2, to twice the height and width: four convolutions of 1, 2, 2 and 4 taps.
  up,
  /// 1x1.
  point,
};

/// Channels in memory for `channels` of them.
inline int64_t filled(int64_t channels) { return (channels + kBlock - 1) / kBlock * kBlock; }

/// Weights (group of output blocks, tap, word of input channels, output channel of the group).
struct Convolution {
  Reach reach;
  /// Height and width of the tiles of a convolution by Winograd's method (tiles.h), 2 or 4: taps are its
  /// points. 0 where products are added up tap by tap.
  int64_t tile;
  /// Output channels in memory.
  int64_t out;
  /// Words that hold one pixel's input channels, and blocks of output channels in a group (the last has
  /// fewer).
  int64_t words, blocks;
  at::Tensor weights;

  int64_t points() const { return (tile + 2) * (tile + 2); }
  int64_t taps() const { return tile > 0 ? points() : (reach == Reach::point ? 1 : 9); }
};

/// A 3x3 kernel (9, in, out) float32 as the weights of a tile's points (points, in, out), computed in
/// float64.
at::Tensor tile_weights(const at::Tensor& taps, int64_t tile);

struct Gate {
  Convolution squeeze, gate;
  at::Tensor squeeze_bias, gate_bias;
  /// Channels of the squeeze's output, without filling.
  int64_t hidden;
};

struct Block {
  Convolution convolution, squeeze, excite;
  at::Tensor bias, squeeze_bias, excite_bias;
};

struct Module {
  std::array<Block, kBlocks> blocks;
  Gate ado, rpa;
};

struct Weights {
  Convolution latent, image;
  at::Tensor latent_bias, image_bias;
  std::array<Module, kModules> modules;
};

/// `parameters` of the network `net` for `kernels`; heads and attention stay float32.
Weights lay_out(Net net, const ModelConfig& config, const NetworkParameters& parameters,
                const Kernels& kernels);

}  // namespace san::packed
