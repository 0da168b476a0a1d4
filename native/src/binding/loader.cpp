// lib/native.ts, NativeLoader.
#include "binding/loader.h"

#include "binding/convert.h"
#include "binding/environment.h"
#include "binding/handle.h"
#include "san/loader.h"

namespace san::binding {
namespace {

constexpr napi_type_tag kTag = {0x61d0f3ab27c94e85, 0xb8127e4a90c35fd6};

struct Session {
  Session(std::unique_ptr<Loader> loader)
      : shape(loader->set().pixels().sizes().vec()), handle(std::move(loader), "loader", 0) {}

  const std::vector<int64_t> shape;
  Handle<Loader> handle;
};

class LoaderObject : public Napi::ObjectWrap<LoaderObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "NativeLoader",
        {InstanceMethod<&LoaderObject::batch>("batch"), InstanceMethod<&LoaderObject::images>("images"),
         InstanceMethod<&LoaderObject::dispose>("dispose")});
  }

  explicit LoaderObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    Made<Session>& made = made_from<Session>(info, kTag);
    session_ = made.object;
    // Not an accessor, which a script could call on something else.
    Value().DefineProperty(
        Napi::PropertyDescriptor::Value("shape", sizes_of(info.Env(), session_->shape), napi_enumerable));
    lifetime_ = Environment::of(info.Env()).lifetime();
    memory_.set(info.Env(), made.bytes);
  }

  void Finalize(Napi::Env env) override {
    memory_.set(env, 0);
    let_go(session_, lifetime_);
  }

 private:
  Napi::Value batch(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      Options options(info[0], "batch");
      const int64_t step = options.integer("step", 0, kLargestInteger);
      options.finish();
      return Environment::of(env).run(
          env,
          [session = session_, step] {
            return session->handle.get().batch(step).permute({0, 2, 3, 1});
          },
          batch_of);
    });
  }

  Napi::Value images(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      Options options(info[0], "images");
      const int64_t epoch = options.integer("epoch", 0, kLargestInteger);
      const auto indices = options.integers("indices", 1, 1 << 20);
      options.finish();
      return Environment::of(env).run(
          env, [session = session_, epoch, indices] { return session->handle.get().images(epoch, indices); },
          batch_of);
    });
  }

  Napi::Value dispose(const Napi::CallbackInfo& info) {
    return dispose_promise(info.Env(), memory_, [session = session_] { session->handle.dispose(); });
  }

  std::shared_ptr<Session> session_;
  std::shared_ptr<Lifetime> lifetime_;
  ReportedMemory memory_;
};

}  // namespace

void define_loader(Napi::Env env) {
  Environment::of(env).loader_class = Napi::Persistent(LoaderObject::define(env));
}

Napi::Value create_loader(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded_promise(env, [&] {
    Options options(info[0], "loader");
    LoaderConfig config;
    config.batch_size = options.integer("batchSize", 1, 1 << 20);
    config.seed = static_cast<uint64_t>(options.integer("seed", 0, kLargestInteger));
    config.augmentation = read_augmentation(options);
    config.workers = static_cast<int>(options.integer_or("workers", 1, 256, 1));
    std::optional<ImageSource> source = read_source(options, nullptr);
    if (!source) options.fail("dataset", "or images must be given");
    options.finish();
    return Environment::of(env).run(
        env,
        [config, source = std::move(source)]() mutable {
          auto loader = std::make_unique<Loader>(*open_images(source), config);
          source.reset();
          const int64_t bytes = loader->bytes();
          return Made<Session>{std::make_shared<Session>(std::move(loader)), bytes};
        },
        [](Napi::Env env, const Made<Session>& made) -> Napi::Value {
          return wrap(env, Environment::of(env).loader_class, made, kTag);
        });
  });
}

}  // namespace san::binding
