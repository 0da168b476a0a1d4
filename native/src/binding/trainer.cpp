// lib/native.ts, NativeTrainer.
#include "binding/trainer.h"

#include "binding/convert.h"
#include "binding/environment.h"
#include "binding/extractor.h"
#include "binding/group.h"
#include "binding/handle.h"
#include "binding/trainer_options.h"
#include "binding/trainer_session.h"
#include "san/device.h"
#include "san/trainer.h"

namespace san::binding {
namespace {

constexpr napi_type_tag kTag = {0x9a3c5d2e7f104b86, 0x8e51c07d34f2a96b};

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

struct FixedReport {
  Losses losses;
  std::vector<NamedTensor> generator, reverser;
};

std::vector<NamedTensor> name_gradients(const std::vector<ParameterSpec>& specs, Net net,
                                        const std::vector<at::Tensor>& gradients) {
  std::vector<NamedTensor> out;
  size_t next = 0;
  for (const ParameterSpec& spec : specs)
    if (spec.belongs_to(net)) out.push_back({spec.name, gradients[next++].cpu().contiguous()});
  return out;
}

using Kind = distributed::Inference::Kind;

distributed::Inference of_rows(Kind kind, const at::Tensor& input) {
  return {kind, 0, 0, true, input.size(0), input};
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
         InstanceMethod<&TrainerObject::decode>("decode"), InstanceMethod<&TrainerObject::extract>("extract"),
         InstanceMethod<&TrainerObject::reverse>("reverse"), InstanceMethod<&TrainerObject::state>("state"),
         InstanceMethod<&TrainerObject::restore>("restore"),
         InstanceMethod<&TrainerObject::dispose>("dispose")});
  }

  explicit TrainerObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    Made<TrainerSession>& made = made_from<TrainerSession>(info, kTag);
    session_ = made.object;
    lifetime_ = Environment::of(info.Env()).lifetime();
    memory_.set(info.Env(), made.bytes);
  }

  void Finalize(Napi::Env env) override {
    memory_.set(env, 0);
    let_go(session_, lifetime_);
  }

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
            return lead_steps(*session, steps, schedule, *lifetime);
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
      Options options(info[0], "follow");
      const SharedExtractor extractor = read_extractor(options, "extractor");
      options.finish();
      Environment& here = Environment::of(env);
      return here.run(
          env,
          [session = session_, extractor, lifetime = here.lifetime()] {
            return follow(*session, extractor, *lifetime);
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
            const LossConfig& loss = trainer.config().loss;
            if (in.penalty != 0) in.penalty = loss.penalty_weight;
            if (in.penalty != 0 && loss.penalty_form == PenaltyForm::wgan_gp && !in.e.defined())
              throw Error(kOptions, "inputs.e is missing; the gradient penalty between images needs it",
                          "inputs.e");
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

  /// Has all ranks work out some rows, and hands them over as a batch.
  Napi::Value batch(Napi::Env env, const distributed::Inference& wanted,
                    const SharedExtractor& extractor = nullptr) {
    Environment& here = Environment::of(env);
    return here.run(
        env,
        [session = session_, wanted, extractor, lifetime = here.lifetime()] {
          return lead_inference(*session, wanted, extractor, *lifetime);
        },
        batch_of);
  }

  Napi::Value generate(const Napi::CallbackInfo& info) {
    return guarded_promise(info.Env(), [&] {
      Options options(info[0], "generate");
      const SampleRange range = read_range(options);
      const bool average = options.boolean_or("ema", true);
      options.finish();
      return batch(info.Env(), {Kind::sample, range.seed, range.first, average, range.count, {}});
    });
  }

  Napi::Value decode(const Napi::CallbackInfo& info) {
    return guarded_promise(info.Env(), [&] {
      Options options(info[0], "decode");
      const at::Tensor latents = read_latents(options.object("latents"), session_->model);
      options.finish();
      return batch(info.Env(), of_rows(Kind::decode, latents));
    });
  }

  Napi::Value reverse(const Napi::CallbackInfo& info) {
    return guarded_promise(info.Env(), [&] {
      Options options(info[0], "reverse");
      const at::Tensor images = read_images(options.object("images"), &session_->model);
      options.finish();
      return batch(info.Env(), of_rows(Kind::encode, images));
    });
  }

  Napi::Value extract(const Napi::CallbackInfo& info) {
    return guarded_promise(info.Env(), [&] {
      Options options(info[0], "extract");
      const SharedExtractor extractor = read_extractor(options, "extractor");
      if (!extractor) options.fail("extractor", "must be what createExtractor() gave");
      const at::Tensor images = read_images(options.object("images"), nullptr);
      options.finish();
      return batch(info.Env(), of_rows(Kind::extract, images), extractor);
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
            lead_restore(*session, state);
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

  std::shared_ptr<TrainerSession> session_;
  std::shared_ptr<Lifetime> lifetime_;
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
    TrainerConfig config = read_trainer_config(options);
    const int threads = read_threads(options);
    const std::string device = read_device(options);
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
          return Made<TrainerSession>{std::make_shared<TrainerSession>(std::move(trainer), threads,
                                                                       config.model, config.dtype, group),
                                      bytes};
        },
        [](Napi::Env env, const Made<TrainerSession>& made) -> Napi::Value {
          return wrap(env, Environment::of(env).trainer_class, made, kTag);
        });
  });
}

}  // namespace san::binding
