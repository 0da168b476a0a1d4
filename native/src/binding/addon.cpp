// The addon's entry: lib/native.ts, Addon.
#include <ATen/ATen.h>
#include <ATen/Version.h>
#include <ATen/native/DispatchStub.h>
#include <napi.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>

#include "binding/convert.h"
#include "binding/disk.h"
#include "binding/environment.h"
#include "binding/extractor.h"
#include "binding/group.h"
#include "binding/handle.h"
#include "binding/loader.h"
#include "binding/metrics.h"
#include "binding/network.h"
#include "binding/profiling.h"
#include "binding/trainer.h"
#include "binding/warnings.h"
#include "memory/caching_allocator.h"
#include "parallel.h"
#include "san/device.h"
#include "san/inference.h"
#include "san/parameters.h"

namespace san::binding {

namespace {

/// What initialise() was given first; 0 leaves the choice to LibTorch.
std::atomic<int> default_threads{0};

}  // namespace

void use_threads(int threads) {
  static const int all = default_threads > 0 ? default_threads.load() : at::get_num_threads();
  const int wanted = threads > 0 ? threads : all;
  if (at::get_num_threads() != wanted) at::set_num_threads(wanted);
}

namespace {

Napi::Object cuda_of(Napi::Env env) {
  const CudaStatus& status = cuda_status();
  Napi::Object out = Napi::Object::New(env);
  out.Set("built", status.built);
  out.Set("driver", status.driver);
  out.Set("runtime", status.runtime);
  Napi::Array devices = Napi::Array::New(env, status.devices.size());
  for (size_t i = 0; i < status.devices.size(); ++i) {
    const CudaDevice& device = status.devices[i];
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", device.name);
    entry.Set("capability", std::to_string(device.major) + "." + std::to_string(device.minor));
    entry.Set("bytes", Napi::Number::New(env, static_cast<double>(device.bytes)));
    devices.Set(static_cast<uint32_t>(i), entry);
  }
  out.Set("devices", devices);
  if (!status.fault.empty()) out.Set("fault", status.fault);
  return out;
}

Napi::Value info_of_build(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object out = Napi::Object::New(env);
  out.Set("libtorch", TORCH_VERSION);
  out.Set("cuda", cuda_of(env));
  out.Set("cpuCapability", at::get_cpu_capability());
  out.Set("threads", default_threads > 0 ? default_threads.load() : at::get_num_threads());
  return out;
}

Napi::Value warnings_of(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<std::string> texts = take_warnings();
  Napi::Array out = Napi::Array::New(env, texts.size());
  for (size_t i = 0; i < texts.size(); ++i) out.Set(static_cast<uint32_t>(i), texts[i]);
  return out;
}

Napi::Value parameters_of(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto specs = parameter_specs(read_model(Options(info[0], "model")));
    Napi::Array out = Napi::Array::New(env, specs.size());
    for (size_t i = 0; i < specs.size(); ++i) {
      Napi::Object entry = Napi::Object::New(env);
      Napi::Array shape = Napi::Array::New(env, specs[i].shape.size());
      for (size_t k = 0; k < specs[i].shape.size(); ++k)
        shape.Set(static_cast<uint32_t>(k), Napi::Number::New(env, static_cast<double>(specs[i].shape[k])));
      entry.Set("name", specs[i].name);
      entry.Set("shape", shape);
      out.Set(static_cast<uint32_t>(i), entry);
    }
    return out;
  });
}

Napi::Value latents(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded_promise(env, [&] {
    Options options(info[0], "latents");
    const SampleRange range = read_range(options);
    const std::optional<double> truncation = read_truncation(options);
    ModelConfig model;
    model.latent_channels = options.integer("latentChannels", 1, 1 << 16);
    model.latent_size = options.integer("latentSize", 1, 1 << 16);
    options.finish();
    Environment& here = Environment::of(env);
    return here.run(
        env,
        [model, range, truncation, lifetime = here.lifetime()] {
          use_threads(0);
          return sample_latents(model, range.seed, range.first, range.count, truncation,
                                [&] { return lifetime->dead.load(); });
        },
        batch_of);
  });
}

/// initialise(NativeError, threads, largestBuffer): the addon's functions, for this environment. Work that
/// names no number of threads takes `threads`, of the process's first call.
Napi::Value initialise(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  use_caching_allocator();
  if (env.GetInstanceData<Environment>() == nullptr) {
    if (info.Length() != 3 || !info[0].IsFunction() || !info[1].IsNumber() || !info[2].IsNumber())
      throw Napi::TypeError::New(env,
                                 "initialise takes the class of the errors to throw, a number of threads, "
                                 "and the bytes of the largest buffer");
    int unset = 0;
    default_threads.compare_exchange_strong(unset,
                                            std::clamp(info[1].As<Napi::Number>().Int32Value(), 0, 1024));
    env.SetInstanceData(
        new Environment(env, info[0].As<Napi::Function>(), info[2].As<Napi::Number>().DoubleValue()));
    define_trainer(env);
    define_network(env);
    define_extractor(env);
    define_loader(env);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("info", Napi::Function::New<info_of_build>(env, "info"));
  out.Set("warnings", Napi::Function::New<warnings_of>(env, "warnings"));
  out.Set("parameters", Napi::Function::New<parameters_of>(env, "parameters"));
  out.Set("latents", Napi::Function::New<latents>(env, "latents"));
  out.Set("createTrainer", Napi::Function::New<create_trainer>(env, "createTrainer"));
  out.Set("createNetwork", Napi::Function::New<create_network>(env, "createNetwork"));
  out.Set("createExtractor", Napi::Function::New<create_extractor>(env, "createExtractor"));
  out.Set("createGroup", Napi::Function::New<create_group>(env, "createGroup"));
  out.Set("createLoader", Napi::Function::New<create_loader>(env, "createLoader"));
  export_disk(env, out);
  export_metrics(env, out);
  export_profiling(env, out);
  return out;
}

}  // namespace
}  // namespace san::binding

static Napi::Object load(Napi::Env env, Napi::Object exports) {
  exports.Set("initialise", Napi::Function::New<san::binding::initialise>(env, "initialise"));
  return exports;
}

NODE_API_MODULE(san_native, load)
