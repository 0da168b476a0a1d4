// What the addon keeps for each JavaScript environment (the main thread and every worker has one), and the
// one way in which work leaves the main thread and comes back as a promise.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "binding/engine.h"

namespace san::binding {

/// An exception as plain data, on its way to the main thread.
struct Fault {
  std::string code, message, field;
};

/// Turns the exception in flight into a Fault; call it inside a catch block.
Fault current_fault();

/// A job's outcome, handed from the engine thread to the main thread.
class Settlement {
 public:
  virtual ~Settlement() = default;
  /// Settles the promise. Main thread.
  virtual void settle(Napi::Env env) = 0;
};

class Environment {
 public:
  /// `error_class` is NativeError: (code, message, details). `largest_buffer`: bytes that one ArrayBuffer may
  /// have here.
  Environment(Napi::Env env, Napi::Function error_class, double largest_buffer);
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  static Environment& of(Napi::Env env);

  Napi::Value make_error(Napi::Env env, const Fault& fault);

  const std::shared_ptr<Lifetime>& lifetime() const { return lifetime_; }

  const double largest_buffer;

  /// Runs `work` on the engine thread; settles with `convert(env, result)`, called on the main thread, or
  /// with the exception that either throws.
  template <typename Work, typename Convert>
  Napi::Promise run(Napi::Env env, Work work, Convert convert);

  Napi::FunctionReference trainer_class;
  Napi::FunctionReference network_class;
  Napi::FunctionReference extractor_class;
  Napi::FunctionReference loader_class;

 private:
  static void settle_on_main_thread(Napi::Env env, Napi::Function, Environment* self, Settlement* settlement);
  using Channel = Napi::TypedThreadSafeFunction<Environment, Settlement, settle_on_main_thread>;

  /// The process stays alive exactly while promises are pending.
  void hold(Napi::Env env);
  void release(Napi::Env env);

  Napi::FunctionReference error_class_;
  std::shared_ptr<Lifetime> lifetime_ = std::make_shared<Lifetime>();
  Channel channel_;
  size_t pending_ = 0;
};

/// Throws the exception in flight to JavaScript as a NativeError.
void throw_to_javascript(Napi::Env env);

/// Calls `tell`, which tells JavaScript of a fault. A worker that is being terminated cannot be told: there
/// every call throws, and an exception that left the addon would end the process.
template <typename F>
Napi::Value told(const F& tell) {
  try {
    return tell();
  } catch (const Napi::Error&) {
    return {};
  }
}

/// Calls `f`; what it throws becomes a JavaScript exception.
template <typename F>
Napi::Value guarded(Napi::Env env, const F& f) {
  try {
    return f();
  } catch (const Napi::Error& error) {
    return told([&] {
      error.ThrowAsJavaScriptException();
      return Napi::Value();
    });
  } catch (...) {
    return told([&] {
      throw_to_javascript(env);
      return Napi::Value();
    });
  }
}

/// Calls `f`, which returns a promise; what it throws becomes a rejection.
template <typename F>
Napi::Value guarded_promise(Napi::Env env, const F& f) {
  try {
    return f();
  } catch (const Napi::Error& error) {
    return told([&]() -> Napi::Value {
      const auto deferred = Napi::Promise::Deferred::New(env);
      deferred.Reject(error.Value());
      return deferred.Promise();
    });
  } catch (...) {
    return told([&]() -> Napi::Value {
      const auto deferred = Napi::Promise::Deferred::New(env);
      deferred.Reject(Environment::of(env).make_error(env, current_fault()));
      return deferred.Promise();
    });
  }
}

template <typename Work, typename Convert>
Napi::Promise Environment::run(Napi::Env env, Work work, Convert convert) {
  using Result = decltype(work());

  class Typed final : public Settlement {
   public:
    Typed(Napi::Env env, Environment& owner, Work work, Convert convert)
        : deferred(Napi::Promise::Deferred::New(env)),
          owner_(owner),
          work_(std::move(work)),
          convert_(std::move(convert)) {}

    void execute() {
      try {
        outcome_.template emplace<Result>(work_());
      } catch (...) {
        outcome_.template emplace<Fault>(current_fault());
      }
    }

    void settle(Napi::Env env) override {
      try {
        if (const Fault* fault = std::get_if<Fault>(&outcome_)) {
          deferred.Reject(owner_.make_error(env, *fault));
        } else {
          deferred.Resolve(convert_(env, std::get<Result>(outcome_)));
        }
      } catch (const Napi::Error& error) {
        deferred.Reject(error.Value());
      } catch (...) {
        deferred.Reject(owner_.make_error(env, current_fault()));
      }
    }

    Napi::Promise::Deferred deferred;

   private:
    Environment& owner_;
    Work work_;
    Convert convert_;
    std::variant<std::monostate, Fault, Result> outcome_;
  };

  auto settlement = std::make_shared<std::unique_ptr<Typed>>(
      std::make_unique<Typed>(env, *this, std::move(work), std::move(convert)));
  const Napi::Promise promise = (*settlement)->deferred.Promise();
  // It may fail to start; then nothing is held.
  Engine& engine = Engine::instance();
  hold(env);
  engine.post(lifetime_, [this, lifetime = lifetime_, settlement] {
    Typed& typed = **settlement;
    if (!lifetime->dead) typed.execute();
    // A dead environment is never called again; the settlement is simply dropped.
    if (!lifetime->dead && channel_.NonBlockingCall(&typed) == napi_ok) settlement->release();
  });
  return promise;
}

}  // namespace san::binding
