// lib/native.ts, Addon: profiles of the engine thread.
#pragma once

#include <napi.h>

namespace san::binding {

void export_profiling(Napi::Env env, Napi::Object& out);

}  // namespace san::binding
