// The update of all parameters of both networks on the device, in three launches (shared_step.cuh):
// check_gradients, begin_step, update_parameters. What changes from step to step is on the device as well, so
// that a captured step can be replayed and nothing waits for the host.
#pragma once

#include <limits>

#include "ops/cuda/types.h"

namespace san::ops {

/// Elements that one block updates.
inline constexpr int64_t kStepChunk = 2048;
/// Most parameters of one launch: their gradients' addresses travel as its arguments.
inline constexpr int kMostSegments = 512;
/// StepState::fault where everything is finite.
inline constexpr int32_t kAllFinite = std::numeric_limits<int32_t>::max();
/// Numbers of StepRecord::losses.
inline constexpr int kStepLosses = 6;

/// One parameter. Pointers of what it does not have are null: the moments of a network that does not own it,
/// the moving average of the reverser's own, a bfloat16 copy that nobody asked for.
template <typename T>
struct StepSegment {
  T* value;
  T* average;
  cuda::Bf16* copy;
  T *generator_exp_avg, *generator_exp_avg_sq;
  T *reverser_exp_avg, *reverser_exp_avg_sq;
  int64_t numel;
  /// What StepState::fault is when the generator's or the reverser's gradient is not finite.
  int32_t generator_fault, reverser_fault;
  /// 0 for a bias, which is not decayed, else 1.
  int32_t decays;
};

/// A block's elements: kStepChunk from number * kStepChunk on.
struct StepChunk {
  int32_t segment, number;
};

/// Addresses in the order of the segments; null where the network does not own the parameter.
template <typename G>
struct StepGradients {
  const G* generator[kMostSegments];
  const G* reverser[kMostSegments];
};

/// What a schedule says of one step.
struct StepRow {
  double learning_rate, lambda, ema_decay;
};

/// What one step leaves to be read once a chunk of steps is done.
struct StepRecord {
  double losses[kStepLosses];
  /// kAllFinite, or the number of the first loss, or else gradient, that is not finite: the losses first,
  /// then StepSegment's. Such a step changed nothing.
  int32_t fault;
};

/// On the device.
struct StepState {
  /// Steps that changed the parameters, and rows of the schedule that were used.
  int64_t updates, taken;
  /// Of the step under way; begin_step writes what follows.
  int32_t fault;
  double rate, correction, decay, lambda, average_rate;
};

template <typename T>
struct StepTable {
  const StepSegment<T>* segments;
  const StepChunk* chunks;
  int64_t chunk_count;
};

struct BeginParams {
  StepState* state;
  const int32_t* faults;
  int64_t chunk_count;
  /// kStepLosses numbers; null where the host has looked at them.
  const double* losses;
  /// Row `taken`, at most the last.
  const StepRow* schedule;
  int64_t rows;
  /// Where record `taken` goes; null for nowhere.
  StepRecord* records;
  double beta1, beta2, weight_decay;
};

template <typename T>
struct AdamConstants {
  T beta1, beta2, epsilon;
};

/// Writes one number a chunk to `faults`: kAllFinite, or the lowest fault among its gradients.
template <typename T, typename G>
void launch_check_gradients(const StepTable<T>& table, const StepGradients<G>& gradients, int32_t* faults,
                            cudaStream_t stream);

/// Decides whether the step changes anything, counts it, and writes its rates to the state.
void launch_begin_step(const BeginParams& p, cudaStream_t stream);

/// Nothing where the state has a fault. T is float or double, G float, double or Bf16.
template <typename T, typename G>
void launch_update_parameters(const StepTable<T>& table, const StepGradients<G>& gradients,
                              const AdamConstants<T>& constants, const StepState* state, cudaStream_t stream);

}  // namespace san::ops
