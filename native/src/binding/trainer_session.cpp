#include "binding/trainer_session.h"

#include <chrono>
#include <optional>

#include "binding/warnings.h"
#include "distributed/orders.h"
#include "san/error.h"

namespace san::binding {
namespace {

RunReport run_steps(TrainerSession& session, int64_t steps, const std::vector<StepRates>& schedule,
                    const Lifetime& lifetime) {
  Trainer& trainer = session.handle.get();
  const bool alone = trainer.ranks().size() == 1;
  RunReport report;
  const auto begin = std::chrono::steady_clock::now();
  // Ranks end after the same step: an interruption is agreed on in the step that follows it.
  const auto stopped = [&] { return lifetime.dead || (alone && session.interrupted.exchange(false)); };
  const auto told = [&](const StepOutcome& outcome, int64_t step) {
    report.losses.push_back(outcome.losses);
    report.wishes.checkpoint |= outcome.wishes.checkpoint;
    report.wishes.stop |= outcome.wishes.stop;
    if (!outcome.not_finite.empty()) report.skipped.push_back({step, outcome.not_finite});
  };
  const auto rates = [&](int64_t i) {
    return schedule.empty() ? trainer.config().rates() : schedule[static_cast<size_t>(i)];
  };
  if (trainer.queues()) {
    std::vector<StepRates> all;
    for (int64_t i = 0; i < steps; ++i) all.push_back(rates(i));
    int64_t step = trainer.steps();
    for (const StepOutcome& outcome : trainer.run_queued(all, stopped)) told(outcome, ++step);
    report.wishes.checkpoint |= session.wants_checkpoint.exchange(false);
  } else {
    for (int64_t i = 0; i < steps && !report.wishes.stop && !stopped(); ++i) {
      const Wishes wishes{!alone && session.interrupted.exchange(false),
                          session.wants_checkpoint.exchange(false)};
      const StepOutcome outcome = trainer.step(rates(i), wishes);
      told(outcome, trainer.steps());
    }
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  report.step = trainer.steps();
  report.warnings = take_warnings();
  return report;
}

/// Runs `work`; the other ranks are told of what it throws, for they wait for this one.
template <typename Work>
auto telling_others(const TrainerSession& session, const Work& work) {
  try {
    return work();
  } catch (...) {
    const Fault fault = current_fault();
    if (session.group && fault.code != kRankLost) session.group->report_failure("failed: " + fault.message);
    throw;
  }
}

/// One rank's part.
at::Tensor infer(TrainerSession& session, const distributed::Inference& part,
                 const SharedExtractor& extractor, const Lifetime& lifetime) {
  using Kind = distributed::Inference::Kind;
  const auto cancelled = [&] { return lifetime.dead.load(); };
  switch (part.kind) {
    case Kind::sample:
      return session.handle.get().sample(part.seed, part.first, part.count, part.average, cancelled);
    case Kind::decode:
      return session.handle.get().decode(part.input, cancelled);
    case Kind::encode:
      return session.handle.get().encode(part.input, cancelled);
    case Kind::extract:
      break;
  }
  if (!extractor) throw Error(kNative, "this rank has no extractor");
  return extractor->get().features(part.input, cancelled);
}

}  // namespace

RunReport lead_steps(TrainerSession& session, int64_t steps, const std::vector<StepRates>& schedule,
                     const Lifetime& lifetime) {
  Trainer& trainer = session.handle.get();
  if (trainer.ranks().size() > 1 && session.interrupted.exchange(false)) {
    RunReport none;
    none.step = trainer.steps();
    return none;
  }
  return telling_others(session, [&] {
    distributed::give(trainer.ranks(), {distributed::Task::steps, steps, schedule});
    return run_steps(session, steps, schedule, lifetime);
  });
}

at::Tensor lead_inference(TrainerSession& session, const distributed::Inference& wanted,
                          const SharedExtractor& extractor, const Lifetime& lifetime) {
  Collective& ranks = session.handle.get().ranks();
  if (ranks.size() == 1) return infer(session, wanted, extractor, lifetime);
  distributed::give(ranks, {distributed::Task::inference, 0, {}});
  return distributed::share_out(
      distributed::agreed(wanted, ranks), ranks,
      [&](const distributed::Inference& part) { return infer(session, part, extractor, lifetime); });
}

void lead_restore(TrainerSession& session, const std::optional<TrainerState>& state) {
  Trainer& trainer = session.handle.get();
  trainer.restore(state);
  distributed::give(trainer.ranks(), {distributed::Task::restore, 0, {}});
  trainer.synchronise();
}

int64_t follow(TrainerSession& session, const SharedExtractor& extractor, const Lifetime& lifetime) {
  return telling_others(session, [&] {
    for (;;) {
      Trainer& trainer = session.handle.get();
      Collective& ranks = trainer.ranks();
      const distributed::Order order = distributed::take(ranks);
      switch (order.task) {
        case distributed::Task::steps:
          run_steps(session, order.steps, order.schedule, lifetime);
          break;
        case distributed::Task::restore:
          trainer.synchronise();
          break;
        case distributed::Task::inference:
          distributed::share_out(
              distributed::agreed({}, ranks), ranks,
              [&](const distributed::Inference& part) { return infer(session, part, extractor, lifetime); });
          break;
        case distributed::Task::end:
          return trainer.steps();
      }
    }
  });
}

void dismiss(TrainerSession& session) {
  try {
    Trainer& trainer = session.handle.get();
    if (trainer.ranks().rank() == 0) distributed::give(trainer.ranks(), {distributed::Task::end, 0, {}});
  } catch (const Error&) {
  }
}

}  // namespace san::binding
