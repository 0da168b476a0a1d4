// lib/native.ts, NativeTrainer.
#include "binding/trainer.h"

#include <ATen/ATen.h>

#include <chrono>

#include "binding/convert.h"
#include "binding/environment.h"
#include "binding/group.h"
#include "binding/handle.h"
#include "binding/warnings.h"
#include "distributed/orders.h"
#include "san/device.h"
#include "san/trainer.h"

namespace san::binding {
namespace {

constexpr napi_type_tag kTag = {0x9a3c5d2e7f104b86, 0x8e51c07d34f2a96b};

struct Session {
  Session(std::unique_ptr<Trainer> trainer, int threads, ModelConfig model, at::ScalarType dtype,
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

/// `schedule` holds the rates of each step; empty for constant ones.
RunReport run_steps(Session& session, int64_t steps, const std::vector<StepRates>& schedule,
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

Napi::Value report_of(Napi::Env env, const RunReport& report) {
  Napi::Object out = Napi::Object::New(env);
  Napi::Array losses = Napi::Array::New(env, report.losses.size());
  for (size_t i = 0; i < report.losses.size(); ++i)
    losses.Set(static_cast<uint32_t>(i), losses_of(env, report.losses[i]));
  out.Set("step", Napi::Number::New(env, static_cast<double>(report.step)));
  out.Set("losses", losses);
  Napi::Array skipped = Napi::Array::New(env, report.skipped.size());
  for (size_t i = 0; i < report.skipped.size(); ++i) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("step", Napi::Number::New(env, static_cast<double>(report.skipped[i].step)));
    entry.Set("what", report.skipped[i].what);
    skipped.Set(static_cast<uint32_t>(i), entry);
  }
  out.Set("skipped", skipped);
  out.Set("seconds", report.seconds);
  out.Set("stopRequested", report.wishes.stop);
  out.Set("checkpointRequested", report.wishes.checkpoint);
  Napi::Array warnings = Napi::Array::New(env, report.warnings.size());
  for (size_t i = 0; i < report.warnings.size(); ++i)
    warnings.Set(static_cast<uint32_t>(i), report.warnings[i]);
  out.Set("warnings", warnings);
  return out;
}

/// Runs `work`; the other ranks are told of what it throws, for they wait for this one.
template <typename Work>
auto telling_others(const Session& session, const Work& work) {
  try {
    return work();
  } catch (...) {
    const Fault fault = current_fault();
    if (session.group && fault.code != kRankLost) session.group->report_failure("failed: " + fault.message);
    throw;
  }
}

/// Rank 0 takes its steps together with the others.
RunReport lead_steps(Session& session, int64_t steps, const std::vector<StepRates>& schedule,
                     const Lifetime& lifetime) {
  Trainer& trainer = session.handle.get();
  if (trainer.ranks().size() > 1 && session.interrupted.exchange(false)) {
    RunReport none;
    none.step = trainer.steps();
    return none;
  }
  distributed::give(trainer.ranks(), {distributed::Task::steps, steps, schedule});
  return run_steps(session, steps, schedule, lifetime);
}

/// The other ranks do what rank 0 says, until it says that this is the end.
int64_t follow(Session& session, const Lifetime& lifetime) {
  Trainer& trainer = session.handle.get();
  for (;;) {
    const distributed::Order order = distributed::take(trainer.ranks());
    switch (order.task) {
      case distributed::Task::steps:
        run_steps(session, order.steps, order.schedule, lifetime);
        break;
      case distributed::Task::restore:
        trainer.synchronise();
        break;
      case distributed::Task::end:
        return trainer.steps();
    }
  }
}

/// Rank 0 lets the others go. They learn of a rank that is lost by themselves.
void dismiss(Session& session) {
  try {
    Trainer& trainer = session.handle.get();
    if (trainer.ranks().rank() == 0) distributed::give(trainer.ranks(), {distributed::Task::end, 0, {}});
  } catch (const Error&) {
  }
}

/// StepSchedule: one value a step in each array.
std::vector<StepRates> read_schedule(Options options, int64_t steps) {
  const auto count = static_cast<size_t>(steps);
  const auto learning_rate = options.doubles("learningRate", count),
             lambda = options.doubles("lambda", count), ema_decay = options.doubles("emaDecay", count),
             repulsion_weight = options.doubles("repulsionWeight", count);
  options.finish();
  std::vector<StepRates> schedule(count);
  for (size_t i = 0; i < count; ++i) {
    schedule[i] = {learning_rate[i], lambda[i], ema_decay[i], repulsion_weight[i]};
    schedule[i].validate();
  }
  return schedule;
}

TrainerFaults read_faults(Options options) {
  TrainerFaults faults;
  const auto read = [&](const char* key, std::multiset<int64_t>& steps) {
    if (options.value(key).IsUndefined()) return;
    const auto list = options.integers(key, 0, 1 << 16);
    steps.insert(list.begin(), list.end());
  };
  read("nanGradient", faults.nan_gradient);
  read("outOfMemory", faults.out_of_memory);
  options.finish();
  return faults;
}

Residency read_residency(Options& options) {
  if (options.value("dataDevice").IsUndefined()) return Residency::automatic;
  return options.one_of<Residency>(
      "dataDevice",
      {{"auto", Residency::automatic}, {"device", Residency::device}, {"host", Residency::host}});
}

/// A tensor of the step's inputs, checked against what the model takes.
at::Tensor read_input(Options& options, const char* key, at::ScalarType dtype,
                      const std::vector<int64_t>& shape) {
  const at::Tensor tensor = read_tensor(options.object(key)).tensor;
  if (tensor.scalar_type() != dtype) options.fail(key, "must have the trainer's dtype");
  bool fits = tensor.dim() == static_cast<int64_t>(shape.size());
  for (size_t i = 0; fits && i < shape.size(); ++i)
    fits = shape[i] < 0 || tensor.size(static_cast<int64_t>(i)) == shape[i];
  if (!fits) options.fail(key, "does not have the shape that this model and batch need");
  return tensor;
}

StepInputs read_inputs(Options options, const ModelConfig& model, at::ScalarType dtype) {
  StepInputs in;
  in.z = read_input(options, "z", dtype, {-1, model.latent_channels, model.latent_size, model.latent_size});
  const int64_t b = in.z.size(0), d = model.latent_numel(), s = model.image_size();
  if (b < 1) options.fail("z", "holds no sample");
  in.x = read_input(options, "x", dtype, {b, model.image_channels, s, s});
  in.directions = {read_input(options, "directions", dtype, {d, -1}), /*axes=*/0};
  if (options.has("e") || options.has("u")) {
    in.e = read_input(options, "e", dtype, {b, 1, 1, 1});
    in.u = read_input(options, "u", dtype, {b, d});
    in.penalty = 1;
  } else {
    options.value("e");
    options.value("u");
  }
  options.finish();
  return in;
}

struct FixedReport {
  Losses losses;
  std::vector<NamedTensor> generator, reverser;
};

std::vector<NamedTensor> name_gradients(const std::vector<ParameterSpec>& specs, Net net,
                                        const std::vector<at::Tensor>& gradients) {
  std::vector<NamedTensor> out;
  size_t next = 0;
  for (const ParameterSpec& spec : specs)
    if (spec.belongs_to(net)) out.push_back({spec.name, gradients[next++].contiguous()});
  return out;
}

class TrainerObject : public Napi::ObjectWrap<TrainerObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "NativeTrainer",
        {InstanceMethod<&TrainerObject::run>("run"), InstanceMethod<&TrainerObject::interrupt>("interrupt"),
         InstanceMethod<&TrainerObject::request_checkpoint>("requestCheckpoint"),
         InstanceMethod<&TrainerObject::follow_others>("follow"),
         InstanceMethod<&TrainerObject::step_on>("stepOn"),
         InstanceMethod<&TrainerObject::generate>("generate"),
         InstanceMethod<&TrainerObject::decode>("decode"), InstanceMethod<&TrainerObject::reverse>("reverse"),
         InstanceMethod<&TrainerObject::state>("state"), InstanceMethod<&TrainerObject::restore>("restore"),
         InstanceMethod<&TrainerObject::dispose>("dispose")});
  }

  explicit TrainerObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    Made<Session>& made = made_from<Session>(info, kTag);
    session_ = made.object;
    memory_.set(info.Env(), made.bytes);
  }

  void Finalize(Napi::Env env) override { memory_.set(env, 0); }

 private:
  Napi::Value run(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      Options options(info[0], "run");
      const int64_t steps = options.integer("steps", 1, kLargestInteger);
      std::vector<StepRates> schedule;
      if (!options.value("schedule").IsUndefined())
        schedule = read_schedule(options.object("schedule"), steps);
      options.finish();
      Environment& here = Environment::of(env);
      return here.run(
          env,
          [session = session_, steps, schedule = std::move(schedule), lifetime = here.lifetime()] {
            return telling_others(*session, [&] { return lead_steps(*session, steps, schedule, *lifetime); });
          },
          report_of);
    });
  }

  Napi::Value interrupt(const Napi::CallbackInfo& info) {
    session_->interrupted = true;
    return info.Env().Undefined();
  }

  Napi::Value request_checkpoint(const Napi::CallbackInfo& info) {
    session_->wants_checkpoint = true;
    return info.Env().Undefined();
  }

  Napi::Value follow_others(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      Environment& here = Environment::of(env);
      return here.run(
          env,
          [session = session_, lifetime = here.lifetime()] {
            return telling_others(*session, [&] { return follow(*session, *lifetime); });
          },
          [](Napi::Env env, int64_t steps) { return Napi::Number::New(env, static_cast<double>(steps)); });
    });
  }

  Napi::Value step_on(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      StepInputs in = read_inputs(Options(info[0], "inputs"), session_->model, session_->dtype);
      return Environment::of(env).run(
          env,
          [session = session_, in]() mutable {
            Trainer& trainer = session->handle.get();
            if (in.penalty != 0) in.penalty = trainer.config().loss.penalty_weight;
            const StepResult result = trainer.step_on(in);
            const auto specs = parameter_specs(session->model);
            return FixedReport{result.losses,
                               name_gradients(specs, Net::generator, result.generator_gradients),
                               name_gradients(specs, Net::reverser, result.reverser_gradients)};
          },
          [](Napi::Env env, const FixedReport& report) -> Napi::Value {
            Napi::Object out = Napi::Object::New(env);
            out.Set("losses", losses_of(env, report.losses));
            out.Set("generatorGradients", named_tensors(env, report.generator));
            out.Set("reverserGradients", named_tensors(env, report.reverser));
            return out;
          });
    });
  }

  /// Runs `work(trainer, cancelled)` on the engine thread and hands its tensor over as a batch.
  template <typename Work>
  Napi::Value batch(Napi::Env env, Work work) {
    Environment& here = Environment::of(env);
    return here.run(
        env,
        [session = session_, work = std::move(work), lifetime = here.lifetime()] {
          return work(session->handle.get(), [&] { return lifetime->dead.load(); });
        },
        batch_of);
  }

  Napi::Value generate(const Napi::CallbackInfo& info) {
    return guarded_promise(info.Env(), [&] {
      Options options(info[0], "generate");
      const SampleRange range = read_range(options);
      const bool average = options.boolean_or("ema", true);
      options.finish();
      return batch(info.Env(), [range, average](const Trainer& trainer, const Cancelled& cancelled) {
        return trainer.sample(range.seed, range.first, range.count, average, cancelled);
      });
    });
  }

  Napi::Value decode(const Napi::CallbackInfo& info) {
    return guarded_promise(info.Env(), [&] {
      Options options(info[0], "decode");
      const at::Tensor latents = read_latents(options.object("latents"), session_->model);
      options.finish();
      return batch(info.Env(), [latents](const Trainer& trainer, const Cancelled& cancelled) {
        return trainer.decode(latents, cancelled);
      });
    });
  }

  Napi::Value reverse(const Napi::CallbackInfo& info) {
    return guarded_promise(info.Env(), [&] {
      Options options(info[0], "reverse");
      const at::Tensor images = read_images(options.object("images"), &session_->model);
      options.finish();
      return batch(info.Env(), [images](const Trainer& trainer, const Cancelled& cancelled) {
        return trainer.encode(images, cancelled);
      });
    });
  }

  Napi::Value restore(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      Options options(info[0], "restore");
      std::optional<TrainerState> state;
      if (!options.value("state").IsUndefined()) state = read_state(options.object("state"));
      options.finish();
      return Environment::of(env).run(
          env,
          [session = session_, state = std::move(state)] {
            Trainer& trainer = session->handle.get();
            trainer.restore(state);
            distributed::give(trainer.ranks(), {distributed::Task::restore, 0, {}});
            trainer.synchronise();
            return true;
          },
          [](Napi::Env env, bool) { return env.Undefined(); });
    });
  }

  Napi::Value state(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      return Environment::of(env).run(
          env, [session = session_] { return session->handle.get().state(); },
          [](Napi::Env env, const TrainerState& state) -> Napi::Value {
            Napi::Object out = Napi::Object::New(env);
            out.Set("step", Napi::Number::New(env, static_cast<double>(state.step)));
            out.Set("skipped", Napi::Number::New(env, static_cast<double>(state.skipped)));
            out.Set("tensors", named_tensors(env, state.tensors));
            return out;
          });
    });
  }

  Napi::Value dispose(const Napi::CallbackInfo& info) {
    return dispose_promise(info.Env(), memory_, [session = session_] {
      dismiss(*session);
      session->handle.dispose();
    });
  }

  std::shared_ptr<Session> session_;
  ReportedMemory memory_;
};

}  // namespace

void define_trainer(Napi::Env env) {
  Environment::of(env).trainer_class = Napi::Persistent(TrainerObject::define(env));
}

Napi::Value create_trainer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded_promise(env, [&] {
    Options options(info[0], "trainer");
    TrainerConfig config;
    config.model = read_model(options.object("model"));
    config.loss = read_loss(options.object("loss"));
    config.optimizer = read_optimizer(options.object("optimizer"));
    config.seed = static_cast<uint64_t>(options.integer("seed", 0, kLargestInteger));
    config.batch_size = options.integer("batchSize", 1, 1 << 20);
    config.accumulate = options.integer_or("accumulate", 1, 1 << 20, 1);
    config.dtype = read_dtype(options);
    config.augmentation = read_augmentation(options);
    config.residency = read_residency(options);
    const int threads = read_threads(options);
    const std::string device = read_device(options);
    config.precision = read_precision(options);
    config.recompute = options.boolean_or("recompute", false);
    if (!options.value("faults").IsUndefined()) config.faults = read_faults(options.object("faults"));
    std::optional<ImageSource> source = read_source(options, &config.model);
    std::optional<TrainerState> state;
    if (options.has("state")) state = read_state(options.object("state"));
    options.value("state");
    const std::shared_ptr<ProcessGroup> group = read_group(options, "group");
    options.finish();
    return Environment::of(env).run(
        env,
        [config, threads, device, group, source = std::move(source), state = std::move(state)]() mutable {
          use_threads(threads);
          config.device = open_device(device);
          auto trainer = std::make_unique<Trainer>(config, open_images(source), state, group);
          trainer->synchronise();
          const int64_t bytes = trainer->bytes();
          // The state was copied; holding the inputs until the promise settles would double the memory.
          source.reset();
          state.reset();
          return Made<Session>{
              std::make_shared<Session>(std::move(trainer), threads, config.model, config.dtype, group),
              bytes};
        },
        [](Napi::Env env, const Made<Session>& made) -> Napi::Value {
          return wrap(env, Environment::of(env).trainer_class, made, kTag);
        });
  });
}

}  // namespace san::binding
