#pragma once

#include <napi.h>

#include <memory>

#include "binding/handle.h"
#include "binding/options.h"
#include "san/extractor.h"

namespace san::binding {

/// Defines the Extractor class in this environment.
void define_extractor(Napi::Env env);

/// createExtractor(options): Promise<NativeExtractor>.
Napi::Value create_extractor(const Napi::CallbackInfo& info);

/// A NativeExtractor of an options object, null where there is none.
std::shared_ptr<Handle<Extractor>> read_extractor(Options& options, const char* key);

}  // namespace san::binding
