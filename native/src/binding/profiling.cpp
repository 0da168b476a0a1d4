#include "binding/profiling.h"

#include "binding/convert.h"
#include "binding/environment.h"
#include "binding/handle.h"
#include "profiling/peak.h"
#include "profiling/profiler.h"

namespace san::binding {
namespace {

using profiling::Profile;

/// One number of each event as a typed array.
template <typename Array, typename F>
Array column(Napi::Env env, const Profile& profile, const F& value) {
  Array out = Array::New(env, profile.events.size());
  for (size_t i = 0; i < profile.events.size(); ++i) out[i] = value(profile.events[i]);
  return out;
}

Napi::Value profile_of(Napi::Env env, const Profile& profile) {
  using Event = Profile::Event;
  Napi::Array names = Napi::Array::New(env, profile.names.size());
  for (size_t i = 0; i < profile.names.size(); ++i) names.Set(static_cast<uint32_t>(i), profile.names[i]);
  const auto micro = [](int64_t ns) { return static_cast<double>(ns) / 1e3; };
  Napi::Object out = Napi::Object::New(env);
  out.Set("names", names);
  out.Set("name", column<Napi::Uint32Array>(env, profile, [](const Event& e) { return e.name; }));
  out.Set("part", column<Napi::Uint32Array>(env, profile, [](const Event& e) { return e.part; }));
  out.Set("isScope",
          column<Napi::Uint8Array>(env, profile, [](const Event& e) { return e.is_scope ? 1 : 0; }));
  out.Set("begin", column<Napi::Float64Array>(env, profile, [&](const Event& e) { return micro(e.begin); }));
  out.Set("end", column<Napi::Float64Array>(env, profile, [&](const Event& e) { return micro(e.end); }));
  out.Set("dropped", static_cast<double>(profile.dropped));
  return out;
}

Napi::Value start_profile(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    return Environment::of(info.Env())
        .run(
            info.Env(),
            [] {
              profiling::start();
              return true;
            },
            [](Napi::Env env, bool) { return env.Undefined(); });
  });
}

Napi::Value stop_profile(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    return Environment::of(info.Env())
        .run(
            info.Env(), [] { return profiling::stop(); }, profile_of);
  });
}

Napi::Value measure_peak(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    Options options(info[0], "measurePeak");
    const int threads = read_threads(options);
    options.finish();
    return Environment::of(info.Env())
        .run(
            info.Env(),
            [threads] {
              use_threads(threads);
              return profiling::measure_peak();
            },
            [](Napi::Env env, const profiling::Peak& peak) -> Napi::Value {
              Napi::Object out = Napi::Object::New(env);
              out.Set("matmul", peak.matmul);
              out.Set("convolution", peak.convolution);
              return out;
            });
  });
}

}  // namespace

void export_profiling(Napi::Env env, Napi::Object& out) {
  out.Set("startProfile", Napi::Function::New<start_profile>(env, "startProfile"));
  out.Set("stopProfile", Napi::Function::New<stop_profile>(env, "stopProfile"));
  out.Set("measurePeak", Napi::Function::New<measure_peak>(env, "measurePeak"));
}

}  // namespace san::binding
