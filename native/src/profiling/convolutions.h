// The convolutions of a training step, each timed alone.
#pragma once

#include <c10/core/Device.h>

#include "san/config.h"

namespace san::profiling {

/// Of all calls of one kind in a step.
struct ConvolutionTime {
  int64_t calls = 0;
  double seconds = 0;
  /// Floating-point operations, a multiplication and an addition counted as two.
  double operations = 0;
};

struct ConvolutionTimes {
  ConvolutionTime forward, backward;
  /// Of these the transposed ones of stride 1, forward and backward; and the same work as convolutions, by
  /// kernels that lie flipped and with their channels swapped.
  ConvolutionTime transposed, flipped;
};

/// Takes one step without the penalty, notes the shapes, strides and types of its convolutions, and times
/// each different one on random numbers.
ConvolutionTimes measure_convolutions(const ModelConfig& model, const LossConfig& loss, int64_t batch_size,
                                      Precision precision, const c10::Device& device);

}  // namespace san::profiling
