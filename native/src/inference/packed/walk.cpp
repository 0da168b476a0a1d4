#include "inference/packed/walk.h"

#include <cmath>
#include <utility>

#include "ops/rpa_gate/params.h"
#include "profiling/scope.h"

namespace san::packed {
namespace {

/// float32 (pixels, in) -> (pixels, out) by a 1x1 convolution of contiguous pixels.
void linear(const Convolution& c, const float* x, float* y, int64_t pixels) {
  const Plane in{const_cast<float*>(x), 1, pixels, 1, filled(c.words)}, out{y, 1, pixels, 1, c.out};
  // Planes have a pixel of zeros before the first: step back over one that is not there.
  const Plane before{in.data - in.step, 1, pixels, 1, in.step},
      after{out.data - out.step, 1, pixels, 1, out.step};
  convolve(float_kernels(), c, before, after);
}

/// The channel rule (spec, section 1, up(x)) for `pixels` pixels.
void match_channels(const float* x, int64_t from, float* y, int64_t to, int64_t pixels) {
  const int64_t x_step = filled(from), y_step = filled(to);
  for (int64_t p = 0; p < pixels; ++p, x += x_step, y += y_step) {
    if (from >= to) {
      const int64_t group = from / to;
      const float scale = 1.0f / static_cast<float>(group);
      for (int64_t i = 0; i < to; ++i) {
        float sum = 0;
        for (int64_t j = 0; j < group; ++j) sum += x[i * group + j];
        y[i] = sum * scale;
      }
    } else {
      const int64_t group = to / from;
      for (int64_t i = 0; i < from; ++i) std::fill_n(y + i * group, group, x[i]);
    }
    std::fill(y + to, y + y_step, 0.0f);
  }
}

}  // namespace

Walk::Walk(const ModelConfig& config, const Weights& weights, const Kernels& kernels, int64_t most)
    : config_(config),
      weights_(weights),
      kernels_(kernels),
      memory_(at::empty({4 * most}, at::kFloat)),
      threshold_(static_cast<float>(std::log(config.ado_threshold / (1 - config.ado_threshold)))) {
  float* memory = memory_.mutable_data_ptr<float>();
  x_.data = memory;
  other_ = memory + most;
  words_ = memory + 2 * most;
  more_words_ = memory + 3 * most;
}

Plane Walk::plane(float* data, int64_t height, int64_t width, int64_t channels) const {
  return {data, height, width, x_.images, filled(channels)};
}

Plane Walk::word_plane(float* data, int64_t height, int64_t width, int64_t channels) const {
  const Plane plane{data, height, width, x_.images, filled(channels) / kernels_.channels_per_word};
  plane.clear_sides();
  return plane;
}

Plane& Walk::start(int64_t height, int64_t width, int64_t images, int64_t channels) {
  channels_ = channels;
  x_ = {x_.data, height, width, images, filled(channels)};
  return x_;
}

void Walk::ado(const Gate& gate) {
  const int64_t h = x_.height, w = x_.width, c = channels_;
  const Plane normal = word_plane(words_, h, w, c);
  for (int64_t y = 0; y < h; ++y) kernels_.norm(x_.row(y), normal.row(y), row_of(x_, c));
  const Plane squeezed = plane(other_, h, w, gate.hidden),
              hidden = word_plane(more_words_, h, w, gate.hidden);
  convolve(kernels_, gate.squeeze, normal, squeezed);
  const float* bias = gate.squeeze_bias.const_data_ptr<float>();
  for (int64_t y = 0; y < h; ++y)
    kernels_.act_norm(squeezed.row(y), bias, hidden.row(y), row_of(squeezed, gate.hidden));
  const Plane logits = plane(other_, h, w, c);
  convolve(kernels_, gate.gate, hidden, logits);
  const float* gate_bias = gate.gate_bias.const_data_ptr<float>();
  for (int64_t y = 0; y < h; ++y)
    kernels_.ado(x_.row(y), logits.row(y), gate_bias, threshold_, x_.row(y), row_of(x_, c));
}

void Walk::rpa(const Gate& gate) {
  const int64_t h = x_.height, w = x_.width, c = channels_;
  const int64_t half_h = (h + 1) / 2, half_w = (w + 1) / 2, low_h = (half_h + 1) / 2,
                low_w = (half_w + 1) / 2;
  Plane input = x_;
  if (kernels_.channels_per_word == 1) {
    input.clear_sides();
  } else {
    input = word_plane(words_, h, w, c);
    for (int64_t y = 0; y < h; ++y) kernels_.pack(x_.row(y), input.row(y), row_of(x_, c));
  }
  const Plane squeezed = plane(other_, half_h, half_w, gate.hidden);
  const Plane hidden = word_plane(more_words_, half_h, half_w, gate.hidden);
  convolve(kernels_, gate.squeeze, input, squeezed);
  const float* bias = gate.squeeze_bias.const_data_ptr<float>();
  for (int64_t y = 0; y < half_h; ++y)
    kernels_.norm_act(squeezed.row(y), bias, hidden.row(y), row_of(squeezed, gate.hidden));
  const Plane logits = plane(other_, low_h, low_w, c), low = plane(words_, low_h, low_w, c);
  convolve(kernels_, gate.gate, hidden, logits);
  const float* gate_bias = gate.gate_bias.const_data_ptr<float>();
  for (int64_t y = 0; y < low_h; ++y)
    kernels_.norm_sigmoid(logits.row(y), gate_bias, low.row(y), row_of(logits, c));

  const int64_t place = x_.images * x_.step;
  low_.resize(static_cast<size_t>(low_w * place));
  for (int64_t y = 0; y < h; ++y) {
    const auto rows = ops::bilinear_tap<float>(y, low_h, h);
    kernels_.blend(rows.low_weight, low.row(rows.low), rows.high_weight, low.row(rows.high), low_.data(),
                   low_w * place);
    for (int64_t i = 0; i < w; ++i) {
      const auto columns = ops::bilinear_tap<float>(i, low_w, w);
      float* x = x_.row(y) + i * place;
      kernels_.gate(x, columns.low_weight, low_.data() + columns.low * place, columns.high_weight,
                    low_.data() + columns.high * place, x, place);
    }
  }
}

const float* Walk::attention(const Block& block) {
  const int64_t n = x_.images;
  sums_.assign(static_cast<size_t>(n * x_.step), 0.0f);
  for (int64_t y = 0; y < x_.height; ++y) kernels_.sum(x_.row(y), sums_.data(), row_of(x_, channels_));
  const float scale = 1.0f / static_cast<float>(x_.height * x_.width);
  for (float& v : sums_) v *= scale;
  hidden_.resize(static_cast<size_t>(n * block.squeeze.out));
  gates_.resize(static_cast<size_t>(n * block.excite.out));
  linear(block.squeeze, sums_.data(), hidden_.data(), n);
  kernels_.leaky(hidden_.data(), block.squeeze_bias.const_data_ptr<float>(), hidden_.data(),
                 {n, n, block.squeeze.out, block.squeeze.out});
  linear(block.excite, hidden_.data(), gates_.data(), n);
  kernels_.sigmoid(gates_.data(), block.excite_bias.const_data_ptr<float>(), gates_.data(),
                   {n, n, block.excite.out, block.excite.out});
  return gates_.data();
}

const float* Walk::skip_row(int64_t y, int64_t stride, bool up, int64_t out) {
  if (stride == 1 && out == channels_) return x_.row(y);
  const int64_t n = x_.images, from = x_.step * n, to = filled(out) * n;
  if (up) {
    const int64_t w = x_.width;
    skip_.resize(static_cast<size_t>(w * stride * to));
    if (y % stride != 0) return skip_.data();  // made for the row above
    low_.resize(static_cast<size_t>(w * to));
    match_channels(x_.row(y / stride), channels_, low_.data(), out, w * n);
    for (int64_t i = 0; i < w * stride; ++i)
      std::copy_n(low_.data() + i / stride * to, to, skip_.data() + i * to);
    return skip_.data();
  }
  const int64_t w = x_.width / stride;
  low_.assign(static_cast<size_t>(w * from), 0.0f);
  const float scale = 1.0f / static_cast<float>(stride * stride);
  for (int64_t a = 0; a < stride; ++a)
    for (int64_t i = 0; i < w * stride; ++i) {
      const float* x = x_.row(y * stride + a) + i * from;
      float* sum = low_.data() + i / stride * from;
      for (int64_t k = 0; k < from; ++k) sum[k] += x[k] * scale;
    }
  skip_.resize(static_cast<size_t>(w * to));
  match_channels(low_.data(), channels_, skip_.data(), out, w * n);
  return skip_.data();
}

void Walk::block(const Block& block, int64_t stride, bool up, int64_t out) {
  const float* gates = attention(block);
  const int64_t h = x_.height, w = x_.width;
  const Plane scaled = word_plane(words_, h, w, channels_);
  for (int64_t y = 0; y < h; ++y) kernels_.scale(x_.row(y), gates, scaled.row(y), row_of(x_, channels_));
  const Plane next = plane(other_, up ? h * stride : h / stride, up ? w * stride : w / stride, out);
  convolve(kernels_, block.convolution, scaled, next);
  const float* bias = block.bias.const_data_ptr<float>();
  for (int64_t y = 0; y < next.height; ++y)
    kernels_.block(next.row(y), bias, skip_row(y, stride, up, out), next.row(y), row_of(next, out));
  std::swap(x_.data, other_);
  x_ = {x_.data, next.height, next.width, next.images, next.step};
  channels_ = out;
}

void Walk::generator_module(int m) {
  const profiling::Scope scope("generator", m);
  const Module& module = weights_.modules[m];
  ado(module.ado);
  for (int b = 0; b < kBlocks; ++b)
    block(module.blocks[b], b == 0 ? config_.strides[m] : 1, /*up=*/true, config_.widths[m + 1]);
  rpa(module.rpa);
}

void Walk::reverser_module(int m) {
  const profiling::Scope scope("reverser", m);
  const Module& module = weights_.modules[m];
  rpa(module.rpa);
  for (int b = kBlocks - 1; b >= 0; --b)
    block(module.blocks[b], b == 0 ? config_.strides[m] : 1, /*up=*/false,
          config_.widths[b == 0 ? m : m + 1]);
  ado(module.ado);
}

}  // namespace san::packed
