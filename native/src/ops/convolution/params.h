// A convolution whose second derivative needs no kernel as large as an image.
//
// y = C(x, w) + bias, C linear in x and in w. Of C, for an incoming g:
//   dx = I(g, w),   dw = W(g, x),   d bias = sum over samples and pixels of g
// which are linear in both of their arguments as well. Of I, for an incoming v as x, and of W, for an
// incoming u as w:
//   I: to g C(v, w), to w W(g, v);   W: to g C(x, u), to x I(g, u)
// These three are all that any order of derivatives takes. LibTorch has W(g, v) in the second one as a
// convolution of v by g, whose taps are the pixels of an image: on a processor that is 2 to 7 times as slow,
// and of cuDNN's kernels, which are made for few taps, some take tens of seconds for such (PyTorch's pull
// request 54840 has that of I(g, u)).
#pragma once

#include <cstdint>

namespace san::ops {

/// Of both directions.
struct ConvolutionShape {
  int64_t stride = 1, padding = 0;
};

}  // namespace san::ops
