#pragma once

#include <napi.h>

namespace san::binding {

/// Defines the Network class in this environment.
void define_network(Napi::Env env);

/// createNetwork(options): Promise<NativeNetwork>.
Napi::Value create_network(const Napi::CallbackInfo& info);

}  // namespace san::binding
