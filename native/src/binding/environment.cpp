#include "binding/environment.h"

#include <c10/util/Exception.h>

#include <exception>

#include "memory/full.h"
#include "san/error.h"

namespace san::binding {

namespace {

/// Whoever asked knows which of its settings need less: for training lib/training/out-of-memory.ts names
/// them.
Fault out_of_memory(const std::string& reason) {
  return {
      kOutOfMemory, "out of memory" + reason + "; a smaller batch needs less (generate: --batch-size)", {}};
}

Fault out_of_device_memory(const std::string& message) {
  return {kOutOfMemory,
          "out of memory on the GPU: " + message.substr(0, message.find('\n')) +
              "; a smaller batch needs less (generate: --batch-size), and so does whatever else runs there; "
              "--device cpu uses main memory",
          {}};
}

// CUDA takes no more work of a process after most errors.
Fault device_failed(const std::string& message) {
  return {kDevice,
          "the GPU failed: " + message.substr(0, message.find('\n')) +
              "; start the process anew, and go on from the last checkpoint (--resume)",
          {}};
}

/// Of LibTorch's errors and of those of our kernels' launches, which have its texts.
Fault fault_by_text(const std::string& message) {
  const Full full = full_by_text(message);
  if (full == Full::device_memory) return out_of_device_memory(message);
  if (full == Full::nothing && message.starts_with("CUDA error")) return device_failed(message);
  if (full == Full::nothing) return {kNative, message, {}};
  // "... you tried to allocate N bytes. Error code 12 (...)", behind the place in LibTorch's source.
  const size_t amount = message.find("you tried to allocate");
  return out_of_memory(amount == std::string::npos ? "" : ": " + message.substr(amount));
}

}  // namespace

Fault current_fault() {
  try {
    throw;
  } catch (const san::Error& error) {
    return {error.code(), error.what(), error.field()};
  } catch (const c10::OutOfMemoryError& error) {
    return out_of_device_memory(error.what_without_backtrace());
  } catch (const c10::Error& error) {
    return fault_by_text(error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return out_of_memory("");
  } catch (const std::exception& error) {
    return fault_by_text(error.what());
  } catch (...) {
    return {kNative, "an exception of unknown type", {}};
  }
}

Environment::Environment(Napi::Env env, Napi::Function error_class, double largest)
    : largest_buffer(largest),
      error_class_(Napi::Persistent(error_class)),
      channel_(Channel::New(env, "san-native", 0, 1, this)) {
  channel_.Unref(env);

  // Registered after the channel, hence run before the channel's own hook (hooks run last to first). Covers
  // workers and a main environment that ends by itself.
  env.AddCleanupHook(
      [](std::shared_ptr<Lifetime>* lifetime) {
        Engine::stop(*lifetime);
        delete lifetime;
      },
      new std::shared_ptr<Lifetime>(lifetime_));

  // process.exit() in the main thread runs no cleanup hooks, but it emits "exit".
  const Napi::Object process = env.Global().Get("process").As<Napi::Object>();
  const auto stop =
      Napi::Function::New(env, [lifetime = lifetime_](const Napi::CallbackInfo&) { Engine::stop(lifetime); });
  process.Get("once").As<Napi::Function>().Call(process, {Napi::String::New(env, "exit"), stop});
}

Environment& Environment::of(Napi::Env env) {
  Environment* self = env.GetInstanceData<Environment>();
  if (self == nullptr) throw Error(kNative, "the addon is not initialised in this environment");
  return *self;
}

Napi::Value Environment::make_error(Napi::Env env, const Fault& fault) {
  Napi::Object details = Napi::Object::New(env);
  if (!fault.field.empty()) details.Set("field", fault.field);
  return error_class_.New(
      {Napi::String::New(env, fault.code), Napi::String::New(env, fault.message), details});
}

void throw_to_javascript(Napi::Env env) {
  const Napi::Value error = Environment::of(env).make_error(env, current_fault());
  napi_throw(env, error);
}

void Environment::settle_on_main_thread(Napi::Env env, Napi::Function, Environment* self,
                                        Settlement* settlement) {
  const std::unique_ptr<Settlement> owned(settlement);
  if (static_cast<napi_env>(env) == nullptr) return;  // the environment is closing
  const Napi::HandleScope scope(env);
  try {
    owned->settle(env);
  } catch (const Napi::Error&) {
    // A worker that is being terminated runs no JavaScript any more: not even a rejection can be told.
  }
  self->release(env);
}

void Environment::hold(Napi::Env env) {
  if (pending_++ == 0) channel_.Ref(env);
}

void Environment::release(Napi::Env env) {
  if (--pending_ == 0) channel_.Unref(env);
}

}  // namespace san::binding
