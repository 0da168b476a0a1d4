// A trainer as JavaScript sees it, and what its calls do on the engine thread.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "binding/environment.h"
#include "binding/handle.h"
#include "distributed/shared_inference.h"
#include "san/extractor.h"
#include "san/process_group.h"
#include "san/trainer.h"

namespace san::binding {

using SharedExtractor = std::shared_ptr<Handle<Extractor>>;

struct TrainerSession {
  TrainerSession(std::unique_ptr<Trainer> trainer, int threads, ModelConfig model, at::ScalarType dtype,
                 std::shared_ptr<ProcessGroup> group)
      : handle(std::move(trainer), "trainer", threads), group(std::move(group)), model(model), dtype(dtype) {}

  Handle<Trainer> handle;
  /// Null for a run on one rank.
  const std::shared_ptr<ProcessGroup> group;
  std::atomic<bool> interrupted{false};
  /// What this rank asks all ranks for.
  std::atomic<bool> wants_checkpoint{false};
  const ModelConfig model;
  const at::ScalarType dtype;
};

struct SkippedStep {
  int64_t step;
  std::string what;
};

struct RunReport {
  int64_t step = 0;
  std::vector<Losses> losses;
  std::vector<SkippedStep> skipped;
  double seconds = 0;
  std::vector<std::string> warnings;
  /// What any rank asked for during these steps.
  Wishes wishes;
};

/// Steps that rank 0, or the only one, takes together with the others. `schedule` holds the rates of each;
/// empty for constant ones. Others are told of what this throws, for they wait for this rank.
RunReport lead_steps(TrainerSession& session, int64_t steps, const std::vector<StepRates>& schedule,
                     const Lifetime& lifetime);

/// Rank 0, or the only one, has all work out rows of images, latents or features.
at::Tensor lead_inference(TrainerSession& session, const distributed::Inference& wanted,
                          const SharedExtractor& extractor, const Lifetime& lifetime);

/// Rank 0's state becomes that of all.
void lead_restore(TrainerSession& session, const std::optional<TrainerState>& state);

/// The other ranks do what rank 0 says, until it says that this is the end. Gives the steps done.
int64_t follow(TrainerSession& session, const SharedExtractor& extractor, const Lifetime& lifetime);

/// Rank 0 lets the others go. They learn of a rank that is lost by themselves.
void dismiss(TrainerSession& session);

}  // namespace san::binding
