// What inference does to rows of pixels, compiled once for each instruction set (kernels.cpp).
//
// Activations lie in memory as (H, W + 2, N, C'): N images side by side, C' the channels filled up with zeros
// to a multiple of kBlock, and a column of zeros at either side. A row of all images is then one run of
// pixels, and the same tap of a convolution lies at the same distance from each of them. A pixel's numbers
// are computed by the same operations in the same order whatever N, the thread count and the place in the
// run: images do not depend on the batch that they are drawn in.
#pragma once

#include <cstdint>

#include "inference/packed/winograd.h"

namespace san::packed {

/// Channels are a multiple of this in memory; weights come in blocks of one or two of these output channels.
inline constexpr int64_t kBlock = 16;
/// Most channels of an image.
inline constexpr int64_t kLast = 4;

/// Words that a convolution reads at one place of its input, for each output pixel, and their weights.
struct Tap {
  /// Distance from the pixel's place in the input, in words.
  int64_t input;
  /// Distance from the block's first weight, in units of words x output channels.
  int64_t weight;
  int64_t words;
};

/// Pixels that lie at even distances, in input (words) and output (numbers).
struct Run {
  const float* input;
  int64_t input_step;
  float* output;
  int64_t output_step;
  int64_t pixels;
};

/// `pixels` pixels of one row and all images: `channels` in memory, of which `real` are not filling.
struct Row {
  int64_t pixels, images, channels, real;
};

/// A word is what a convolution multiplies at once: one float32, or two bfloat16 channels. Pointers to words
/// are float*, whatever they hold.
struct Kernels {
  int64_t channels_per_word;
  /// Most blocks of output channels that `convolve` takes at a time: 1 or 2.
  int64_t most_blocks;

  /// output[pixel] = sum over taps and words of input x weight, for `blocks` blocks of output channels.
  void (*convolve)(const Tap* taps, int64_t count, const float* weights, int64_t blocks, const Run& run);
  /// The products of Winograd's convolution.
  void (*products)(const Products& products);
  /// Its transforms for tiles of 2 x 2 and 4 x 4 pixels, before and after the products.
  void (*tiles_in[2])(const TilesIn& tiles);
  void (*tiles_out[2])(const TilesOut& tiles);
  /// Copies pixels as words.
  void (*pack)(const float* x, float* words, Row row);
  /// words = x times a gate per image and channel.
  void (*scale)(const float* x, const float* gates, float* words, Row row);
  /// words = PixelNorm(x).
  void (*norm)(const float* x, float* words, Row row);
  /// words = PixelNorm(LeakyReLU(x + bias)).
  void (*act_norm)(const float* x, const float* bias, float* words, Row row);
  /// words = LeakyReLU(PixelNorm(x + bias)).
  void (*norm_act)(const float* x, const float* bias, float* words, Row row);
  /// s = sigmoid(PixelNorm(x + bias)).
  void (*norm_sigmoid)(const float* x, const float* bias, float* s, Row row);
  /// y = LeakyReLU(PixelNorm(x + bias)) + skip.
  void (*block)(const float* x, const float* bias, const float* skip, float* y, Row row);
  /// y = x where logit + bias reaches `threshold`, else 0.
  void (*ado)(const float* x, const float* logits, const float* bias, float threshold, float* y, Row row);
  /// Adds x to the sums per image and channel.
  void (*sum)(const float* x, float* sums, Row row);
  /// y = a x + b z, number by number.
  void (*blend)(float a, const float* x, float b, const float* z, float* y, int64_t numbers);
  /// y = x (a low + b high) for the images of one pixel.
  void (*gate)(const float* x, float a, const float* low, float b, const float* high, float* y,
               int64_t numbers);
  /// y = sigmoid(x + bias), or LeakyReLU(x + bias); the filling too.
  void (*sigmoid)(const float* x, const float* bias, float* y, Row row);
  void (*leaky)(const float* x, const float* bias, float* y, Row row);
  /// y = means of neighbouring pairs of x; `numbers` in y.
  void (*halve)(const float* x, float* y, int64_t numbers);
  /// Sums kLast numbers at each of the distances `from` x, for each of `pixels` pixels `step` numbers apart.
  void (*fold)(const float* x, int64_t step, const int64_t* from, int64_t count, float* y, int64_t pixels);
  /// The first `real` of each kLast numbers as bytes of tanh(x + bias).
  void (*emit)(float* x, const float* bias, uint8_t* bytes, int64_t pixels, int64_t real);
};

/// The best for this machine, by ATen's choice of instruction set (ATEN_CPU_CAPABILITY lowers it).
const Kernels& float_kernels();
/// Convolutions of bfloat16 with float32 sums; null where the CPU cannot.
const Kernels* bfloat16_kernels();

}  // namespace san::packed
