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
  if (from == 2 * to && to % kBlock == 0) return float_kernels().halve(x, y, pixels * to);
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

Plane Walk::input_plane(const Convolution& c, float* data, int64_t height, int64_t width,
                        int64_t channels) const {
  const Plane plane{data, height, width, x_.images, filled(channels) / of_input(c).channels_per_word};
  plane.clear_sides();
  return plane;
}

void Walk::run(const Convolution& c, const Plane& input, const Plane& output, RowsDone done) {
  if (c.tile > 0)
    convolve_tiles(kernels_, c, input, nullptr, output, tiles_, done);
  else
    convolve(kernels_, c, input, output, done);
}

Plane& Walk::start(int64_t height, int64_t width, int64_t images, int64_t channels) {
  channels_ = channels;
  x_ = {x_.data, height, width, images, filled(channels)};
  return x_;
}

void Walk::ado(const Gate& gate, bool attended) {
  const int64_t h = x_.height, w = x_.width, c = channels_;
  const Plane normal = input_plane(gate.squeeze, words_, h, w, c);
  for (int64_t y = 0; y < h; ++y) of_input(gate.squeeze).norm(x_.row(y), normal.row(y), row_of(x_, c));
  const Plane squeezed = plane(other_, h, w, gate.hidden),
              hidden = input_plane(gate.gate, more_words_, h, w, gate.hidden);
  const float* bias = gate.squeeze_bias.const_data_ptr<float>();
  run(gate.squeeze, normal, squeezed, [&](int64_t first, int64_t end) {
    for (int64_t y = first; y < end; ++y)
      of_input(gate.gate).act_norm(squeezed.row(y), bias, hidden.row(y), row_of(squeezed, gate.hidden));
  });
  const Plane logits = plane(other_, h, w, c);
  const float* gate_bias = gate.gate_bias.const_data_ptr<float>();
  begin_sums(c);
  run(gate.gate, hidden, logits, [&](int64_t first, int64_t end) {
    for (int64_t y = first; y < end; ++y) {
      kernels_.ado(x_.row(y), logits.row(y), gate_bias, threshold_, x_.row(y), row_of(x_, c));
      if (attended) kernels_.sum(x_.row(y), sums_.numbers(0), row_of(x_, c));
    }
  });
}

void Walk::rpa(const Gate& gate, bool attended) {
  const int64_t h = x_.height, w = x_.width, c = channels_;
  const int64_t half_h = (h + 1) / 2, half_w = (w + 1) / 2, low_h = (half_h + 1) / 2,
                low_w = (half_w + 1) / 2;
  Plane input = x_;
  if (kernels_.channels_per_word == 1) {
    input.clear_sides();
  } else {
    input = input_plane(gate.squeeze, words_, h, w, c);
    for (int64_t y = 0; y < h; ++y) kernels_.pack(x_.row(y), input.row(y), row_of(x_, c));
  }
  const Plane squeezed = plane(other_, half_h, half_w, gate.hidden);
  const Plane hidden = input_plane(gate.gate, more_words_, half_h, half_w, gate.hidden);
  const float* bias = gate.squeeze_bias.const_data_ptr<float>();
  run(gate.squeeze, input, squeezed, [&](int64_t first, int64_t end) {
    for (int64_t y = first; y < end; ++y)
      kernels_.norm_act(squeezed.row(y), bias, hidden.row(y), row_of(squeezed, gate.hidden));
  });
  const Plane logits = plane(other_, low_h, low_w, c), low = plane(words_, low_h, low_w, c);
  const float* gate_bias = gate.gate_bias.const_data_ptr<float>();
  run(gate.gate, hidden, logits, [&](int64_t first, int64_t end) {
    for (int64_t y = first; y < end; ++y)
      kernels_.norm_sigmoid(logits.row(y), gate_bias, low.row(y), row_of(logits, c));
  });

  begin_sums(c);
  const int64_t place = x_.images * x_.step;
  float* mixed = low_.numbers(low_w * place);
  for (int64_t y = 0; y < h; ++y) {
    const auto rows = ops::bilinear_tap<float>(y, low_h, h);
    kernels_.blend(rows.low_weight, low.row(rows.low), rows.high_weight, low.row(rows.high), mixed,
                   low_w * place);
    for (int64_t i = 0; i < w; ++i) {
      const auto columns = ops::bilinear_tap<float>(i, low_w, w);
      float* x = x_.row(y) + i * place;
      kernels_.gate(x, columns.low_weight, mixed + columns.low * place, columns.high_weight,
                    mixed + columns.high * place, x, place);
    }
    if (attended) kernels_.sum(x_.row(y), sums_.numbers(0), row_of(x_, c));
  }
}

void Walk::begin_sums(int64_t channels) {
  const int64_t count = x_.images * filled(channels);
  std::fill_n(sums_.numbers(count), count, 0.0f);
}

const float* Walk::attention(const Block& block) {
  const int64_t n = x_.images;
  float *sums = sums_.numbers(0), *hidden = hidden_.numbers(n * block.squeeze.out),
        *gates = gates_.numbers(n * block.excite.out);
  const float scale = 1.0f / static_cast<float>(x_.height * x_.width);
  for (int64_t i = 0; i < n * x_.step; ++i) sums[i] *= scale;
  linear(block.squeeze, sums, hidden, n);
  kernels_.leaky(hidden, block.squeeze_bias.const_data_ptr<float>(), hidden,
                 {n, n, block.squeeze.out, block.squeeze.out});
  linear(block.excite, hidden, gates, n);
  kernels_.sigmoid(gates, block.excite_bias.const_data_ptr<float>(), gates,
                   {n, n, block.excite.out, block.excite.out});
  return gates;
}

const float* Walk::skip_row(int64_t y, int64_t stride, bool up, int64_t out) {
  if (stride == 1 && out == channels_) return x_.row(y);
  const int64_t n = x_.images, from = x_.step * n, to = filled(out) * n;
  if (up) {
    const int64_t w = x_.width;
    float* skip = skip_.numbers(w * stride * to);
    if (y % stride != 0) return skip;  // made for the row above
    const float* low = x_.row(y / stride);
    if (out != channels_) {
      float* matched = low_.numbers(w * to);
      match_channels(low, channels_, matched, out, w * n);
      low = matched;
    }
    for (int64_t i = 0; i < w * stride; ++i) std::copy_n(low + i / stride * to, to, skip + i * to);
    return skip;
  }
  const int64_t w = x_.width / stride;
  float *low = low_.numbers(w * from), *skip = skip_.numbers(w * to);
  std::fill_n(low, w * from, 0.0f);
  const float scale = 1.0f / static_cast<float>(stride * stride);
  for (int64_t a = 0; a < stride; ++a)
    for (int64_t i = 0; i < w * stride; ++i) {
      const float* x = x_.row(y * stride + a) + i * from;
      float* sum = low + i / stride * from;
      for (int64_t k = 0; k < from; ++k) sum[k] += x[k] * scale;
    }
  match_channels(low, channels_, skip, out, w * n);
  return skip;
}

void Walk::block(const Block& block, int64_t stride, bool up, int64_t out, bool attended) {
  const float* gates = attention(block);
  const int64_t h = x_.height, w = x_.width;
  const Plane next = plane(other_, up ? h * stride : h / stride, up ? w * stride : w / stride, out);
  const float* bias = block.bias.const_data_ptr<float>();
  const Row row = row_of(next, out);
  begin_sums(out);
  const auto done = [&](int64_t first, int64_t end) {
    for (int64_t y = first; y < end; ++y) {
      kernels_.block(next.row(y), bias, skip_row(y, stride, up, out), next.row(y), row);
      if (attended) kernels_.sum(next.row(y), sums_.numbers(0), row);
    }
  };
  if (block.convolution.tile > 0) {
    x_.clear_sides();
    convolve_tiles(kernels_, block.convolution, x_, gates, next, tiles_, done);
  } else {
    const Plane scaled = input_plane(block.convolution, words_, h, w, channels_);
    for (int64_t y = 0; y < h; ++y) kernels_.scale(x_.row(y), gates, scaled.row(y), row_of(x_, channels_));
    convolve(kernels_, block.convolution, scaled, next, done);
  }
  std::swap(x_.data, other_);
  x_ = {x_.data, next.height, next.width, next.images, next.step};
  channels_ = out;
}

void Walk::generator_module(int m) {
  const profiling::Scope scope("generator", m);
  const Module& module = weights_.modules[m];
  ado(module.ado, /*attended=*/true);
  for (int b = 0; b < kBlocks; ++b)
    block(module.blocks[b], b == 0 ? config_.strides[m] : 1, /*up=*/true, config_.widths[m + 1],
          /*attended=*/b < kBlocks - 1);
  rpa(module.rpa, /*attended=*/false);
}

void Walk::reverser_module(int m) {
  const profiling::Scope scope("reverser", m);
  const Module& module = weights_.modules[m];
  rpa(module.rpa, /*attended=*/true);
  for (int b = kBlocks - 1; b >= 0; --b)
    block(module.blocks[b], b == 0 ? config_.strides[m] : 1, /*up=*/false, config_.widths[b == 0 ? m : m + 1],
          /*attended=*/b > 0);
  ado(module.ado, /*attended=*/false);
}

}  // namespace san::packed
