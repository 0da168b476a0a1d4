// Shifts of what R sees in training, so that it cannot learn a small set by heart.
//
// Real and generated images are shifted alike, by whole pixels, another way each: y[i, j] = x[i - dy, j -
// dx], where what leaves on one side comes in on the other. It is a permutation of the pixels, so that its
// gradient is the shift back, and of any order. As the losses pull R(shifted X) to the prior, G(R(shifted X))
// to X and R(shifted G(Z)) to Z, R learns to tell nothing of the shift, and G draws none (after Zhao et al.
// 2020, "Differentiable augmentation for data-efficient GAN training"). Traffic: each pass reads and writes
// the images once.
#pragma once

#include <ATen/core/Tensor.h>

#include "san/config.h"
#include "san/training_step.h"

namespace san {

/// int64 (B, 2, 2) in [-m, m], m = reverser_shift of image_size to the nearest pixel, from uniform (B, 2, 3):
/// whether, rows and columns, for the real image of a row and for the generated one.
at::Tensor shifts_of(const LossConfig& loss, int64_t image_size, const at::Tensor& uniform);

/// x (B, C, S, S), channels-last, by offsets int64 (B, 2).
at::Tensor shifted(const at::Tensor& x, const at::Tensor& offsets);

/// What R is to see of a step's real images, and of G(Z).
at::Tensor shifted_real(const StepInputs& in);
at::Tensor shifted_fake(const StepInputs& in, const at::Tensor& fake);

}  // namespace san
