// Which taps a row of output pixels has, and in which order rows and channels are done.
#include "inference/packed/plane.h"
#include "profiling/scope.h"

namespace san::packed {
namespace {

/// Weights that stay in a core's own cache while all rows pass by.
constexpr int64_t kCachedWeights = 1 << 17;

/// Where a tap of a kernel lies along one axis: input place = output place (after the stride) + at.
struct Offset {
  int64_t kernel, at;
};

/// The taps of one axis, for the outputs 2 i + phase where the reach is up.
struct Axis {
  Offset offsets[3];
  int64_t count;
};

Axis axis_of(Reach reach, int64_t phase) {
  switch (reach) {
    case Reach::point:
      return {{{0, 0}}, 1};
    case Reach::up:
      return phase == 0 ? Axis{{{1, 0}}, 1} : Axis{{{2, 0}, {0, 1}}, 2};
    default:
      return {{{0, -1}, {1, 0}, {2, 1}}, 3};
  }
}

class Rows {
 public:
  Rows(const Kernels& kernels, const Convolution& c, const Plane& input, const Plane& output)
      : kernels_(kernels),
        c_(c),
        in_(input),
        out_(output),
        up_(c.reach == Reach::up ? 2 : 1),
        down_(c.reach == Reach::down ? 2 : 1) {}

  int64_t count() const { return out_.height / up_; }

  /// Output blocks first ... first + blocks - 1 of row (or, where the reach is up, pair of rows) `y`.
  void make(int64_t y, int64_t first, int64_t blocks) const {
    const float* weights =
        static_cast<const float*>(c_.weights.const_data_ptr()) + first * kBlock * c_.taps() * c_.words;
    for (int64_t a = 0; a < up_; ++a)
      for (int64_t b = 0; b < up_; ++b) {
        Tap taps[9];
        const int64_t count = taps_of(y, a, b, taps);
        Run run{in_.row(y * down_), in_.step * down_,
                out_.row(y * up_ + a) + b * out_.images * out_.step + first * kBlock, out_.step * up_, 0};
        if (up_ == 1 && down_ == 1) {
          run.pixels = out_.row_pixels();
          kernels_.convolve(taps, count, weights, blocks, run);
        } else if (out_.images == 1) {
          run.pixels = out_.width / up_;
          kernels_.convolve(taps, count, weights, blocks, run);
        } else {
          // Between two places of one image lie the other images: a run for each place.
          run.pixels = out_.images;
          run.input_step = in_.step;
          run.output_step = out_.step;
          for (int64_t x = 0; x < out_.width / up_; ++x) {
            kernels_.convolve(taps, count, weights, blocks, run);
            run.input += down_ * in_.images * in_.step;
            run.output += up_ * out_.images * out_.step;
          }
        }
      }
  }

 private:
  int64_t taps_of(int64_t y, int64_t a, int64_t b, Tap* taps) const {
    const Axis rows = axis_of(c_.reach, a), columns = axis_of(c_.reach, b);
    int64_t count = 0;
    for (int64_t i = 0; i < rows.count; ++i) {
      const int64_t at = y * down_ + rows.offsets[i].at;
      if (at < 0 || at >= in_.height) continue;
      for (int64_t j = 0; j < columns.count; ++j) {
        if (in_.width == 1 && columns.offsets[j].at != 0) continue;
        const Tap tap{rows.offsets[i].at * in_.pitch() + columns.offsets[j].at * in_.images * in_.step,
                      (rows.offsets[i].kernel * 3 + columns.offsets[j].kernel) * c_.words, c_.words};
        Tap* last = count > 0 ? &taps[count - 1] : nullptr;
        if (last != nullptr && last->input + last->words == tap.input &&
            last->weight + last->words == tap.weight)
          last->words += tap.words;
        else
          taps[count++] = tap;
      }
    }
    return count;
  }

  const Kernels& kernels_;
  const Convolution& c_;
  const Plane &in_, &out_;
  const int64_t up_, down_;
};

}  // namespace

void convolve(const Kernels& kernels, const Convolution& c, const Plane& input, const Plane& output,
              RowsDone done) {
  const profiling::Operation operation("san::packed_convolution");
  const Rows rows(kernels, c, input, output);
  const int64_t blocks = c.out / kBlock, height = output.height / rows.count();
  const bool cached = static_cast<int64_t>(c.weights.nbytes()) <= kCachedWeights;
  if (cached) {  // rows outside: activations are read once
    for (int64_t y = 0; y < rows.count(); ++y) {
      for (int64_t b = 0; b < blocks; b += c.blocks) rows.make(y, b, std::min(c.blocks, blocks - b));
      done(y * height, (y + 1) * height);
    }
    return;
  }
  for (int64_t b = 0; b < blocks; b += c.blocks)
    for (int64_t y = 0; y < rows.count(); ++y) rows.make(y, b, std::min(c.blocks, blocks - b));
  done(0, output.height);
}

}  // namespace san::packed
