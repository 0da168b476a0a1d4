// Names for what a profile shows. Without a profile under way a scope costs a look at a thread-local.
#pragma once

#include <ATen/record_function.h>

#include <string>

namespace san::profiling {

/// A part of the networks or of a step. What autograd records inside belongs to it in the backward pass too.
class Scope {
 public:
  explicit Scope(const char* name) : record_(at::RecordScope::USER_SCOPE) {
    if (record_.isActive()) record_.before(std::string(name));
  }
  /// Module `m` of a network: "generator.m0".
  Scope(const char* net, int m) : record_(at::RecordScope::USER_SCOPE) {
    if (record_.isActive()) record_.before(std::string(net) + ".m" + std::to_string(m));
  }

 private:
  at::RecordFunction record_;
};

/// One of our own operations, as ATen's are recorded by themselves.
class Operation {
 public:
  explicit Operation(const char* name) : record_(at::RecordScope::FUNCTION) {
    if (record_.isActive()) record_.before(std::string(name));
  }

 private:
  at::RecordFunction record_;
};

}  // namespace san::profiling
