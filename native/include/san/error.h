// The one exception type that the core throws on purpose.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace san {

/// A fault with a stable code (lib/errors.ts lists them) and the option, tensor or file it concerns.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message, std::string field = {})
      : std::runtime_error(message), code_(std::move(code)), field_(std::move(field)) {}

  const std::string& code() const { return code_; }
  /// Empty when no single option or tensor is at fault.
  const std::string& field() const { return field_; }

 private:
  std::string code_;
  std::string field_;
};

inline constexpr const char* kOptions = "ERR_SAN_OPTIONS";
inline constexpr const char* kShape = "ERR_SAN_SHAPE";
inline constexpr const char* kDataNotFound = "ERR_SAN_DATA_NOT_FOUND";
inline constexpr const char* kDataFormat = "ERR_SAN_DATA_FORMAT";
inline constexpr const char* kDataChanged = "ERR_SAN_DATA_CHANGED";
inline constexpr const char* kMismatch = "ERR_SAN_CHECKPOINT_MISMATCH";
inline constexpr const char* kOutOfMemory = "ERR_SAN_OUT_OF_MEMORY";
inline constexpr const char* kExtractor = "ERR_SAN_EXTRACTOR";
inline constexpr const char* kDisposed = "ERR_SAN_DISPOSED";
inline constexpr const char* kDevice = "ERR_SAN_DEVICE";
inline constexpr const char* kNative = "ERR_SAN_NATIVE";

}  // namespace san
