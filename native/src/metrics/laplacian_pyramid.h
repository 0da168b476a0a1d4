// The Laplacian pyramid of Burt and Adelson (1983) as Karras et al. (2018, section 5) use it.
#pragma once

#include <ATen/core/Tensor.h>

namespace san::metrics {

/// (N, C, S, S) with even S >= 6 -> (N, C, S/2, S/2): blurred, every second pixel kept.
at::Tensor pyramid_down(const at::Tensor& images);

/// (N, C, S, S) with S >= 2 -> (N, C, 2S, 2S): zeros between the pixels, blurred times 4.
at::Tensor pyramid_up(const at::Tensor& images);

}  // namespace san::metrics
