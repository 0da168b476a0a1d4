#pragma once

#include <napi.h>

#include <memory>

#include "binding/options.h"
#include "san/process_group.h"

namespace san::binding {

/// createGroup(options): Promise<NativeGroup>.
Napi::Value create_group(const Napi::CallbackInfo& info);

/// The NativeGroup under `key`; null where there is none.
std::shared_ptr<ProcessGroup> read_group(Options& options, const char* key);

}  // namespace san::binding
