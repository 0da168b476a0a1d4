// A native object shared between its JavaScript wrapper and the jobs that use it.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <utility>

#include "binding/environment.h"
#include "san/error.h"

namespace san::binding {

/// Makes ATen calls of the engine thread use this many threads; 0 means the default (lib/threads.ts). The
/// count is kept per calling thread, so every job sets it.
void use_threads(int threads);

/// Holds a T until disposed. get() is for the engine thread, where jobs follow one another.
template <typename T>
class Handle {
 public:
  Handle(std::unique_ptr<T> object, std::string what, int threads)
      : object_(std::move(object)), what_(std::move(what)), threads_(threads) {}

  T& get() const {
    if (!object_) throw Error(kDisposed, "this " + what_ + " was disposed; create another one");
    use_threads(threads_);
    return *object_;
  }
  void dispose() { object_.reset(); }

 private:
  std::unique_ptr<T> object_;
  std::string what_;
  int threads_;
};

/// Tells V8 about native memory for as long as it lives. Main thread only.
class ReportedMemory {
 public:
  void set(Napi::Env env, int64_t bytes) {
    Napi::MemoryManagement::AdjustExternalMemory(env, bytes - bytes_);
    bytes_ = bytes;
  }

 private:
  int64_t bytes_ = 0;
};

/// For a wrapper that was collected: `object` goes on the engine thread, for its end may take time. Takes no
/// environment, which may be on its way out.
template <typename T>
void let_go(std::shared_ptr<T>& object, const std::shared_ptr<Lifetime>& lifetime) {
  Engine::instance().post(lifetime, [object = std::move(object)] {});
}

/// What dispose() of a wrapper returns: `free` runs on the engine thread, after the jobs before it.
template <typename F>
Napi::Value dispose_promise(Napi::Env env, ReportedMemory& memory, F free) {
  memory.set(env, 0);
  return guarded_promise(env, [&] {
    return Environment::of(env).run(
        env,
        [free] {
          free();
          return true;
        },
        [](Napi::Env env, bool) { return env.Undefined(); });
  });
}

/// What a factory hands to a wrapper's constructor, so that scripts cannot call it with anything else.
template <typename T>
struct Made {
  std::shared_ptr<T> object;
  int64_t bytes;
};

/// Wraps `made` in an instance of `constructor`.
template <typename T>
Napi::Object wrap(Napi::Env env, const Napi::FunctionReference& constructor, Made<T> made,
                  const napi_type_tag& tag) {
  auto external = Napi::External<Made<T>>::New(env, &made);
  external.TypeTag(&tag);
  return constructor.New({external});
}

/// The Made<T> in a wrapper constructor's arguments; refuses calls from scripts.
template <typename T>
Made<T>& made_from(const Napi::CallbackInfo& info, const napi_type_tag& tag) {
  if (info.Length() != 1 || !info[0].IsExternal() ||
      !info[0].As<Napi::External<Made<T>>>().CheckTypeTag(&tag))
    throw Napi::TypeError::New(info.Env(), "this class cannot be constructed from JavaScript");
  return *info[0].As<Napi::External<Made<T>>>().Data();
}

}  // namespace san::binding
