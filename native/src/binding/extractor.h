#pragma once

#include <napi.h>

namespace san::binding {

/// Defines the Extractor class in this environment.
void define_extractor(Napi::Env env);

/// createExtractor(options): Promise<NativeExtractor>.
Napi::Value create_extractor(const Napi::CallbackInfo& info);

}  // namespace san::binding
