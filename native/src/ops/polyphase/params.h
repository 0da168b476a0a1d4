// Kernels of stride 2 that draw no checkerboards: Sugawara, Shiota, Kiya, "Checkerboard artifacts free
// convolutional neural networks", 2019. The spec leaves kernels free.
//
// A transposed 3x3 convolution of stride 2 makes the pixels of even and odd rows and columns from different
// taps of its kernel k, its polyphase components. With their sums
//   s_g = sum over the taps of g of k,   g in {centre}, {left, right}, {above, below}, {four corners},
// a flat input gives a flat output where, for each input and output channel, all four are equal. The kernel
// nearest to k that has this is
//   k - (s_g - m) / |g|,   m = (sum over g of s_g / |g|) / (sum over g of 1 / |g|),   sum 1 / |g| = 9 / 4,
// an orthogonal projection: it may be applied after each update, and to the moving average as well, which is
// then the average of projected kernels, for it is linear.
//
// Memory traffic per element: read and write the kernel and its average, write the bfloat16 copy.
#pragma once

#include <cstdint>

#include "ops/device.h"

namespace san::ops {

/// Taps of one input and one output channel, row by row, in place.
template <typename T>
SAN_HD void equalise(T (&k)[9]) {
  const T centre = k[4], sides = k[3] + k[5], ends = k[1] + k[7], corners = (k[0] + k[2]) + (k[6] + k[8]);
  const T m = (centre + (sides + ends) * T(0.5) + corners * T(0.25)) * (T(4) / T(9));
  const T side = (sides - m) * T(0.5), end = (ends - m) * T(0.5), corner = (corners - m) * T(0.25);
  k[4] = m;
  k[3] -= side;
  k[5] -= side;
  k[1] -= end;
  k[7] -= end;
  k[0] -= corner;
  k[2] -= corner;
  k[6] -= corner;
  k[8] -= corner;
}

}  // namespace san::ops
