#pragma once

#include <napi.h>

namespace san::binding {

/// Defines the Trainer class in this environment.
void define_trainer(Napi::Env env);

/// createTrainer(options): Promise<NativeTrainer>.
Napi::Value create_trainer(const Napi::CallbackInfo& info);

}  // namespace san::binding
