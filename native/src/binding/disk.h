// lib/native.ts, Addon: what Node cannot ask of the disk.
#pragma once

#include <napi.h>

namespace san::binding {

void export_disk(Napi::Env env, Napi::Object& out);

}  // namespace san::binding
