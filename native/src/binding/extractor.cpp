// lib/native.ts, NativeExtractor.
#include "binding/extractor.h"

#include <cmath>

#include "binding/convert.h"
#include "binding/environment.h"
#include "binding/handle.h"
#include "san/extractor.h"

namespace san::binding {
namespace {

constexpr napi_type_tag kTag = {0x2b7e90c4d1f3485e, 0x9a06c3e7518db42f};

constexpr int64_t kLargestSize = 4096;

using Session = Handle<Extractor>;

class ExtractorObject : public Napi::ObjectWrap<ExtractorObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "NativeExtractor",
                       {InstanceMethod<&ExtractorObject::features>("features"),
                        InstanceMethod<&ExtractorObject::dispose>("dispose")});
  }

  explicit ExtractorObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    Made<Session>& made = made_from<Session>(info, kTag);
    session_ = made.object;
    lifetime_ = Environment::of(info.Env()).lifetime();
    memory_.set(info.Env(), made.bytes);
    Value().TypeTag(&kTag);
  }

  const std::shared_ptr<Session>& session() const { return session_; }

  void Finalize(Napi::Env env) override {
    memory_.set(env, 0);
    let_go(session_, lifetime_);
  }

 private:
  Napi::Value features(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      Options options(info[0], "features");
      const at::Tensor images = read_images(options.object("images"), nullptr);
      options.finish();
      Environment& here = Environment::of(env);
      return here.run(
          env,
          [session = session_, images, lifetime = here.lifetime()] {
            return session->get().features(images, [&] { return lifetime->dead.load(); });
          },
          batch_of);
    });
  }

  Napi::Value dispose(const Napi::CallbackInfo& info) {
    return dispose_promise(info.Env(), memory_, [session = session_] { session->dispose(); });
  }

  std::shared_ptr<Session> session_;
  std::shared_ptr<Lifetime> lifetime_;
  ReportedMemory memory_;
};

/// Two different finite numbers.
std::array<double, 2> read_range_of_values(Options& options) {
  const Napi::Value found = options.value("range");
  const bool pair = found.IsArray() && found.As<Napi::Array>().Length() == 2;
  std::array<double, 2> range{};
  for (uint32_t i = 0; pair && i < 2; ++i) {
    const Napi::Value entry = found.As<Napi::Array>().Get(i);
    if (!entry.IsNumber()) options.fail("range", "must hold two numbers");
    range[i] = entry.As<Napi::Number>().DoubleValue();
  }
  if (!pair || !std::isfinite(range[0]) || !std::isfinite(range[1]) || range[0] == range[1])
    options.fail("range", "must be an array of two different, finite numbers");
  return range;
}

ExtractorConfig read_config(Options& options) {
  ExtractorConfig config;
  config.path = options.path("path");
  config.size = options.integer_or("size", 1, kLargestSize, 0);
  if (options.has("range"))
    config.range = read_range_of_values(options);
  else
    options.value("range");
  return config;
}

}  // namespace

void define_extractor(Napi::Env env) {
  Environment::of(env).extractor_class = Napi::Persistent(ExtractorObject::define(env));
}

Napi::Value create_extractor(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded_promise(env, [&] {
    Options options(info[0], "extractor");
    const ExtractorConfig config = read_config(options);
    const int threads = read_threads(options);
    options.finish();
    return Environment::of(env).run(
        env,
        [config, threads] {
          auto extractor = std::make_unique<Extractor>(config);
          const int64_t bytes = extractor->bytes();
          return Made<Session>{std::make_shared<Session>(std::move(extractor), "extractor", threads), bytes};
        },
        [](Napi::Env env, const Made<Session>& made) -> Napi::Value {
          return wrap(env, Environment::of(env).extractor_class, made, kTag);
        });
  });
}

std::shared_ptr<Session> read_extractor(Options& options, const char* key) {
  const Napi::Value found = options.value(key);
  if (found.IsUndefined()) return nullptr;
  if (!found.IsObject() || !found.As<Napi::Object>().CheckTypeTag(&kTag))
    options.fail(key, "must be what createExtractor() gave");
  return ExtractorObject::Unwrap(found.As<Napi::Object>())->session();
}

}  // namespace san::binding
