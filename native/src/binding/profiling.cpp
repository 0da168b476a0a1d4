#include "binding/profiling.h"

#include "binding/convert.h"
#include "binding/environment.h"
#include "binding/handle.h"
#include "profiling/convolutions.h"
#include "profiling/kernels.h"
#include "profiling/peak.h"
#include "profiling/profiler.h"
#include "san/device.h"

namespace san::binding {
namespace {

using profiling::Profile;

/// One number of each event as a typed array.
template <typename Array, typename Event, typename F>
Array column(Napi::Env env, const std::vector<Event>& events, const F& value) {
  Array out = Array::New(env, events.size());
  for (size_t i = 0; i < events.size(); ++i) out[i] = value(events[i]);
  return out;
}

double microseconds(int64_t ns) { return static_cast<double>(ns) / 1e3; }

/// name, begin and end of events, and what else they have.
template <typename Event>
Napi::Object columns(Napi::Env env, const std::vector<Event>& events) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("name", column<Napi::Uint32Array>(env, events, [](const Event& e) { return e.name; }));
  out.Set("begin",
          column<Napi::Float64Array>(env, events, [](const Event& e) { return microseconds(e.begin); }));
  out.Set("end", column<Napi::Float64Array>(env, events, [](const Event& e) { return microseconds(e.end); }));
  return out;
}

Napi::Value profile_of(Napi::Env env, const Profile& profile) {
  using Event = Profile::Event;
  Napi::Array names = Napi::Array::New(env, profile.names.size());
  for (size_t i = 0; i < profile.names.size(); ++i) names.Set(static_cast<uint32_t>(i), profile.names[i]);
  Napi::Object out = columns(env, profile.events);
  out.Set("names", names);
  out.Set("part", column<Napi::Uint32Array>(env, profile.events, [](const Event& e) { return e.part; }));
  out.Set("isScope",
          column<Napi::Uint8Array>(env, profile.events, [](const Event& e) { return e.is_scope ? 1 : 0; }));
  if (profile.has_device) {
    Napi::Object on_device = columns(env, profile.on_device);
    on_device.Set("stream",
                  column<Napi::Uint32Array>(env, profile.on_device, [](const auto& e) { return e.stream; }));
    out.Set("onDevice", on_device);
  }
  out.Set("dropped", static_cast<double>(profile.dropped));
  return out;
}

/// Of the environment that began the profile under way. The engine thread's; never destroyed.
std::shared_ptr<Lifetime>& profiler = *new std::shared_ptr<Lifetime>();

Napi::Value start_profile(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    Environment& here = Environment::of(info.Env());
    return here.run(
        info.Env(),
        [lifetime = here.lifetime()] {
          // Of a worker that ended meanwhile, which nobody will ask for.
          if (profiler && profiler->dead) {
            profiling::stop();
            profiler.reset();
          }
          if (!profiler) {
            profiling::start();
            profiler = lifetime;
          }
          return true;
        },
        [](Napi::Env env, bool) { return env.Undefined(); });
  });
}

Napi::Value stop_profile(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    return Environment::of(info.Env())
        .run(
            info.Env(),
            [] {
              profiler.reset();
              return profiling::stop();
            },
            profile_of);
  });
}

/// Runs `work` on the engine thread, on the device that the options named, and converts its result.
template <typename Work, typename Convert>
Napi::Value measure(Napi::Env env, const std::string& device, int threads, Work work, Convert convert) {
  return Environment::of(env).run(
      env,
      [device, threads, work = std::move(work)] {
        use_threads(threads);
        return work(open_device(device));
      },
      convert);
}

at::ScalarType activations_of(Precision precision) {
  return precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
}

Napi::Value measure_peak(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    Options options(info[0], "measurePeak");
    const int threads = read_threads(options);
    const std::string device = read_device(options);
    const Precision precision = read_precision(options);
    options.finish();
    return measure(
        info.Env(), device, threads,
        [precision](const c10::Device& on) {
          use_precision(on, precision, /*products=*/true);
          return profiling::measure_peak(on, activations_of(precision));
        },
        [](Napi::Env env, const profiling::Peak& peak) -> Napi::Value {
          Napi::Object out = Napi::Object::New(env);
          out.Set("matmul", peak.matmul);
          out.Set("convolution", peak.convolution);
          out.Set("copy", peak.copy);
          return out;
        });
  });
}

Napi::Value kernel_times_of(Napi::Env env, const std::vector<profiling::KernelTime>& times) {
  Napi::Array out = Napi::Array::New(env, times.size());
  for (size_t i = 0; i < times.size(); ++i) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", times[i].name);
    entry.Set("bytes", times[i].bytes);
    entry.Set("seconds", times[i].seconds);
    out.Set(static_cast<uint32_t>(i), entry);
  }
  return out;
}

Napi::Value measure_kernels(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    Options options(info[0], "measureKernels");
    const ModelConfig model = read_model(options.object("model"));
    const int64_t bytes = options.integer("bytes", 1, int64_t{1} << 36);
    const int threads = read_threads(options);
    const std::string device = read_device(options);
    const Precision precision = read_precision(options);
    options.finish();
    model.validate();
    return measure(
        info.Env(), device, threads,
        [model, bytes, precision](const c10::Device& on) {
          // The processor's operations are of float32, in a bf16 step as well.
          const at::ScalarType dtype = on.is_cpu() ? at::kFloat : activations_of(precision);
          return profiling::measure_kernels(model, on, dtype, bytes);
        },
        kernel_times_of);
  });
}

Napi::Value measure_convolutions(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    Options options(info[0], "measureConvolutions");
    const ModelConfig model = read_model(options.object("model"));
    const LossConfig loss = read_loss(options.object("loss"));
    const int64_t batch_size = options.integer("batchSize", 1, 1 << 20);
    const int threads = read_threads(options);
    const std::string device = read_device(options);
    const Precision precision = read_precision(options);
    options.finish();
    model.validate();
    loss.validate();
    return measure(
        info.Env(), device, threads,
        [model, loss, batch_size, precision](const c10::Device& on) {
          return profiling::measure_convolutions(model, loss, batch_size, precision, on);
        },
        [](Napi::Env env, const profiling::ConvolutionTimes& times) -> Napi::Value {
          const auto one = [&](const profiling::ConvolutionTime& time) {
            Napi::Object out = Napi::Object::New(env);
            out.Set("calls", static_cast<double>(time.calls));
            out.Set("seconds", time.seconds);
            out.Set("operations", time.operations);
            return out;
          };
          Napi::Object out = Napi::Object::New(env);
          out.Set("forward", one(times.forward));
          out.Set("backward", one(times.backward));
          out.Set("transposed", one(times.transposed));
          out.Set("flipped", one(times.flipped));
          return out;
        });
  });
}

Napi::Value memory_of_device(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    Options options(info[0], "deviceMemory");
    const std::string device = read_device(options);
    options.finish();
    return measure(info.Env(), device, /*threads=*/0, device_memory,
                   [](Napi::Env env, const DeviceMemory& memory) -> Napi::Value {
                     Napi::Object out = Napi::Object::New(env);
                     out.Set("used", static_cast<double>(memory.used));
                     out.Set("peak", static_cast<double>(memory.peak));
                     out.Set("reservedPeak", static_cast<double>(memory.reserved_peak));
                     return out;
                   });
  });
}

}  // namespace

void export_profiling(Napi::Env env, Napi::Object& out) {
  out.Set("startProfile", Napi::Function::New<start_profile>(env, "startProfile"));
  out.Set("stopProfile", Napi::Function::New<stop_profile>(env, "stopProfile"));
  out.Set("measurePeak", Napi::Function::New<measure_peak>(env, "measurePeak"));
  out.Set("measureKernels", Napi::Function::New<measure_kernels>(env, "measureKernels"));
  out.Set("measureConvolutions", Napi::Function::New<measure_convolutions>(env, "measureConvolutions"));
  out.Set("deviceMemory", Napi::Function::New<memory_of_device>(env, "deviceMemory"));
}

}  // namespace san::binding
