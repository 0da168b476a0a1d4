#pragma once

#include <napi.h>

namespace san::binding {

/// Sets the metrics of lib/native.ts, Addon, on `exports`.
void export_metrics(Napi::Env env, Napi::Object exports);

}  // namespace san::binding
