// What every operation shares: the switch to its reference and the attribute of its inner loops.
#pragma once

#include <cstdlib>
#include <string_view>

/// Compiles a function for several instruction sets; the best one that the machine has is taken at load,
/// which is before ThreadSanitizer can be called.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define SAN_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define SAN_CLONES
#endif

namespace san::ops {

/// True when SAN_NATIVE_REFERENCE=1 is in the environment: every operation then runs as plain ATen calls.
inline bool use_reference() {
  static const bool wanted = [] {
    const char* value = std::getenv("SAN_NATIVE_REFERENCE");
    return value != nullptr && std::string_view(value) == "1";
  }();
  return wanted;
}

}  // namespace san::ops
