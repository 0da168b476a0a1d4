// The losses and gradients of one training step (spec, sections 2 and 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

#include "san/collective.h"
#include "san/config.h"
#include "san/losses.h"
#include "san/parameters.h"

namespace san {

/// What a rank asks for, to be agreed on: after a step it holds what any rank asked for.
struct Wishes {
  bool stop = false;
  bool checkpoint = false;
};

/// Everything a step takes from outside, in the parameters' dtype. B counts the rows of this rank, rows
/// [rank B, (rank + 1) B) of the whole batch.
struct StepInputs {
  /// (B, Zc, Sz, Sz)
  at::Tensor z;
  /// (B, C, S, S) in [-1, 1]
  at::Tensor x;
  Directions directions;
  /// Factor of the gradient penalty in this step; 0 leaves it out.
  double penalty = 0;
  /// (B, 1, 1, 1), only for PenaltyForm::wgan_gp, and (B, D); only with a penalty.
  at::Tensor e, u;
  /// int64 (B, 2, 2): rows and columns by which R sees X, then G(Z), shifted; undefined for none.
  at::Tensor shifts;
  Wishes wishes;
  /// Makes the first gradient of the generator NaN; for tests.
  bool nan_gradient = false;
  /// Nothing of the step is read on the host. Always so on a device, with one rank and one pass; on the
  /// processor for tests.
  bool deferred = false;
  /// With `deferred`: a float64 scalar on the device in place of the weight of repulsion, which may then
  /// change under a captured step.
  at::Tensor repulsion_weight;
  Precision precision = Precision::fp32;
  /// Modules keep their inputs alone for the backward pass, and run again there; but not in the penalty.
  bool recompute = false;
};

/// Names of StepResult::losses, in order. `gp` is the penalty before its weight.
inline constexpr std::array<const char*, 6> kLossNames = {"lgd", "lgi", "lrz", "lrx", "llz", "gp"};
using Losses = std::array<double, kLossNames.size()>;

struct StepResult {
  /// Filled where loss_values is on the processor.
  Losses losses;
  /// float64 (6), where the parameters are.
  at::Tensor loss_values;
  /// Line up with parameters.indices(Net::generator) and indices(Net::reverser).
  std::vector<at::Tensor> generator_gradients, reverser_gradients;
  Wishes wishes;
};

/// StepResult::loss_values on the host; waits for the device.
Losses losses_of(const at::Tensor& values);

/// Both networks' losses and gradients from the same parameter values, with one forward pass and, where the
/// two losses through R(G(Z)) are proportional, one backward pass (spec, section 3, last paragraph).
///
/// On several ranks losses and gradients are those of the whole batch, the same on each. `passes` divides the
/// rows of a rank: with more than one, activations are held for one pass's rows alone, and each is run
/// forward twice, for the distances are those of the whole batch all the same.
StepResult compute_step(const ModelConfig& model, const LossConfig& loss, const ParameterStore& parameters,
                        const StepInputs& inputs, Collective& ranks = alone(), int64_t passes = 1);

}  // namespace san
