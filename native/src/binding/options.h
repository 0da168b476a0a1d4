// Reading a JavaScript options object field by field into plain values.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "san/error.h"

namespace san::binding {

/// One options object. Every read names the field in its error; finish() refuses fields that nobody read.
class Options {
 public:
  /// `path` is how errors call the object, such as "trainer.model".
  Options(const Napi::Value& value, std::string path);

  bool has(const char* key) const;
  Napi::Value value(const char* key);

  double number(const char* key);
  /// An integer in [low, high].
  int64_t integer(const char* key, int64_t low, int64_t high);
  int64_t integer_or(const char* key, int64_t low, int64_t high, int64_t fallback);
  double number_or(const char* key, double fallback);
  bool boolean_or(const char* key, bool fallback);
  std::string string(const char* key);
  /// A string that can be the path of a file.
  std::string path(const char* key);
  std::vector<int64_t> integers(const char* key, size_t low_count, size_t high_count);
  std::vector<double> numbers(const char* key, size_t low_count, size_t high_count);
  /// A Float64Array of `count` entries.
  std::vector<double> doubles(const char* key, size_t count);
  Options object(const char* key);
  std::vector<Options> objects(const char* key);

  /// The value paired with the string found under `key`.
  template <typename T>
  T one_of(const char* key, const std::vector<std::pair<const char*, T>>& choices) {
    const std::string found = string(key);
    std::string names;
    for (const auto& [name, value] : choices) {
      if (found == name) return value;
      names += (names.empty() ? "" : ", ") + std::string(name);
    }
    fail(key, "is '" + found + "'; it must be one of " + names);
  }

  void finish() const;
  [[noreturn]] void fail(const char* key, const std::string& message) const;

 private:
  Napi::Array array(const char* key, size_t low_count, size_t high_count);

  Napi::Object object_;
  std::string path_;
  std::set<std::string> read_;
};

}  // namespace san::binding
