#pragma once

#include <napi.h>

namespace san::binding {

/// Defines the Loader class in this environment.
void define_loader(Napi::Env env);

/// createLoader(options): Promise<NativeLoader>.
Napi::Value create_loader(const Napi::CallbackInfo& info);

}  // namespace san::binding
