// Winograd's convolution: transforms of so many tiles that their products read weights rarely and find their
// input in a near cache.
#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "inference/packed/plane.h"
#include "profiling/scope.h"

namespace san::packed {
namespace {

/// Tiles at a time. The more weights there are, the more tiles one reading of them has to serve.
int64_t tiles_at_once(const Convolution& c) {
  const auto bytes = static_cast<int64_t>(c.weights.nbytes());
  return bytes <= 64 << 10 ? 16 : (bytes <= 1 << 20 ? 48 : 96);
}

/// Tiles of a convolution's output, in columns of all images.
class Tiles {
 public:
  Tiles(const Kernels& kernels, const Convolution& c, const Plane& input, const float* gates,
        const Plane& output, Scratch& scratch)
      : kernels_(kernels),
        c_(c),
        in_(input),
        out_(output),
        gates_(gates),
        columns_(output.width / c.tile),
        pixel_words_(input.step / kernels.channels_per_word) {
    // Whole rows of tiles, or a part of one.
    const int64_t wanted = std::max<int64_t>(1, tiles_at_once(c) / output.images);
    if (columns_ > wanted) {
      const int64_t pieces = (columns_ + wanted - 1) / wanted;
      piece_ = (columns_ + pieces - 1) / pieces;
      rows_ = 1;
    } else {
      piece_ = columns_;
      rows_ = std::min(wanted / columns_, output.height / c.tile);
    }
    const int64_t tiles = rows_ * piece_ * output.images;
    words_ = scratch.numbers(c.points() * tiles * (pixel_words_ + output.step));
    sums_ = words_ + c.points() * tiles * pixel_words_;
  }

  void make(RowsDone done) const {
    const int64_t height = out_.height / c_.tile;
    for (int64_t y = 0; y < height; y += rows_) {
      const int64_t rows = std::min(rows_, height - y);
      for (int64_t x = 0; x < columns_; x += piece_) piece(y, rows, x, std::min(piece_, columns_ - x));
      done(y * c_.tile, (y + rows) * c_.tile);
    }
  }

 private:
  /// Rows of tiles y ... y + rows - 1, columns x ... x + columns - 1.
  void piece(int64_t y, int64_t rows, int64_t x, int64_t columns) const {
    const int64_t tiles = rows * columns * out_.images, place = in_.images * in_.step,
                  out_place = out_.images * out_.step, kind = c_.tile / 4;
    for (int64_t r = 0; r < rows; ++r) {
      TilesIn t{{},           columns,
                in_.images,   in_.step,
                gates_,       words_ + r * columns * in_.images * pixel_words_,
                pixel_words_, tiles * pixel_words_};
      for (int64_t i = 0; i < c_.tile + 2; ++i) {
        const int64_t row = (y + r) * c_.tile + i - 1;
        t.rows[i] = row < 0 || row >= in_.height ? nullptr : in_.row(row) + (x * c_.tile - 1) * place;
      }
      kernels_.tiles_in[kind](t);
    }
    kernels_.products({c_.points(), tiles, c_.words, c_.out / kBlock, words_,
                       static_cast<const float*>(c_.weights.const_data_ptr()), sums_, pixel_words_,
                       out_.step});
    for (int64_t r = 0; r < rows; ++r) {
      TilesOut t{sums_ + r * columns * out_.images * out_.step,
                 tiles * out_.step,
                 columns,
                 out_.images,
                 out_.step,
                 {}};
      for (int64_t i = 0; i < c_.tile; ++i)
        t.rows[i] = out_.row((y + r) * c_.tile + i) + x * c_.tile * out_place;
      kernels_.tiles_out[kind](t);
    }
  }

  const Kernels& kernels_;
  const Convolution& c_;
  const Plane &in_, &out_;
  const float* gates_;
  int64_t columns_, pixel_words_, piece_, rows_;
  float *words_, *sums_;
};

/// G of tiles.h, (tile + 2, 3), without the point of infinity: rows 1, p, p^2 over the product of p's
/// distances from the other points.
at::Tensor kernel_transform(int64_t tile) {
  constexpr double a = kPointA, b = kPointB;
  const std::vector<double> points =
      tile == 2 ? std::vector<double>{0, 1, -1} : std::vector<double>{0, a, -a, b, -b};
  const at::Tensor g = at::zeros({tile + 2, 3}, at::kDouble);
  for (size_t i = 0; i < points.size(); ++i) {
    double product = 1;
    for (size_t j = 0; j < points.size(); ++j)
      if (j != i) product *= points[i] - points[j];
    // The sign of B's row in tiles.h for the point 0 of three.
    if (tile == 2 && i == 0) product = -product;
    for (int64_t k = 0; k < 3; ++k) g[static_cast<int64_t>(i)][k] = std::pow(points[i], k) / product;
  }
  g[tile + 1][2] = 1;
  return g;
}

}  // namespace

void convolve_tiles(const Kernels& kernels, const Convolution& c, const Plane& input, const float* gates,
                    const Plane& output, Scratch& scratch, RowsDone done) {
  const profiling::Operation operation("san::packed_convolution");
  Tiles(kernels, c, input, gates, output, scratch).make(done);
}

at::Tensor tile_weights(const at::Tensor& taps, int64_t tile) {
  const at::Tensor g = kernel_transform(tile);
  const int64_t points = (tile + 2) * (tile + 2);
  // (P P, 9): the transform of both axes at once.
  const at::Tensor both = at::kron(g, g);
  return at::mm(both, taps.to(at::kDouble).flatten(1))
      .to(at::kFloat)
      .view({points, taps.size(1), taps.size(2)});
}

}  // namespace san::packed
