// The model that tests of whole steps take.
#pragma once

#include "san/config.h"

namespace san::test {

/// Images of 8 pixels from latents of 3 x 2 x 2.
inline ModelConfig small_model() {
  ModelConfig model;
  model.widths = {8, 8, 8, 8, 4, 4, 4};
  model.strides = {1, 1, 1, 2, 1, 2};
  model.latent_channels = 3;
  model.latent_size = 2;
  return model;
}

}  // namespace san::test
