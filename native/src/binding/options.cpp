#include "binding/options.h"

#include <cmath>

namespace san::binding {
namespace {

std::string kind_of(const Napi::Value& value) {
  switch (value.Type()) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
      return "a boolean";
    case napi_number:
      return "a number";
    case napi_string:
      return "a string";
    case napi_function:
      return "a function";
    default:
      return value.IsArray() ? "an array" : "an object";
  }
}

bool is_integer(double value, int64_t low, int64_t high) {
  return std::isfinite(value) && value == std::trunc(value) && value >= static_cast<double>(low) &&
         value <= static_cast<double>(high);
}

std::string range(int64_t low, int64_t high) {
  return "an integer from " + std::to_string(low) + " to " + std::to_string(high);
}

}  // namespace

Options::Options(const Napi::Value& value, std::string path) : path_(std::move(path)) {
  if (!value.IsObject()) throw Error(kOptions, path_ + " must be an object, not " + kind_of(value), path_);
  object_ = value.As<Napi::Object>();
}

bool Options::has(const char* key) const { return !object_.Get(key).IsUndefined(); }

Napi::Value Options::value(const char* key) {
  read_.insert(key);
  return object_.Get(key);
}

double Options::number(const char* key) {
  const Napi::Value found = value(key);
  if (!found.IsNumber()) fail(key, "must be a number, not " + kind_of(found));
  return found.As<Napi::Number>().DoubleValue();
}

int64_t Options::integer(const char* key, int64_t low, int64_t high) {
  const double found = number(key);
  if (!is_integer(found, low, high))
    fail(key, "is " + std::to_string(found) + "; it must be " + range(low, high));
  return static_cast<int64_t>(found);
}

int64_t Options::integer_or(const char* key, int64_t low, int64_t high, int64_t fallback) {
  read_.insert(key);
  return has(key) ? integer(key, low, high) : fallback;
}

double Options::number_or(const char* key, double fallback) {
  return value(key).IsUndefined() ? fallback : number(key);
}

bool Options::boolean_or(const char* key, bool fallback) {
  const Napi::Value found = value(key);
  if (found.IsUndefined()) return fallback;
  if (!found.IsBoolean()) fail(key, "must be a boolean, not " + kind_of(found));
  return found.As<Napi::Boolean>().Value();
}

std::string Options::string(const char* key) {
  const Napi::Value found = value(key);
  if (!found.IsString()) fail(key, "must be a string, not " + kind_of(found));
  return found.As<Napi::String>().Utf8Value();
}

std::string Options::path(const char* key) {
  std::string found = string(key);
  if (found.empty() || found.find('\0') != std::string::npos) fail(key, "must be the path of a file");
  return found;
}

Napi::Array Options::array(const char* key, size_t low_count, size_t high_count) {
  const Napi::Value found = value(key);
  if (!found.IsArray()) fail(key, "must be an array, not " + kind_of(found));
  const Napi::Array array = found.As<Napi::Array>();
  if (array.Length() < low_count || array.Length() > high_count)
    fail(key, "has " + std::to_string(array.Length()) + " entries; it must have " +
                  std::to_string(low_count) +
                  (low_count == high_count ? "" : " to " + std::to_string(high_count)));
  return array;
}

std::vector<int64_t> Options::integers(const char* key, size_t low_count, size_t high_count) {
  const Napi::Array array = this->array(key, low_count, high_count);
  // An entry may be an accessor, whose JavaScript makes the array longer or shorter: as many as were counted
  // are read.
  const uint32_t count = array.Length();
  std::vector<int64_t> out;
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::Value entry = array.Get(i);
    constexpr int64_t kLargest = int64_t{1} << 53;
    if (!entry.IsNumber() || !is_integer(entry.As<Napi::Number>().DoubleValue(), 0, kLargest))
      fail(key, "must hold non-negative integers; entry " + std::to_string(i) + " is not one");
    out.push_back(entry.As<Napi::Number>().Int64Value());
  }
  return out;
}

std::vector<double> Options::numbers(const char* key, size_t low_count, size_t high_count) {
  const Napi::Array array = this->array(key, low_count, high_count);
  const uint32_t count = array.Length();
  std::vector<double> out;
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::Value entry = array.Get(i);
    if (!entry.IsNumber()) fail(key, "must hold numbers; entry " + std::to_string(i) + " is not one");
    out.push_back(entry.As<Napi::Number>().DoubleValue());
  }
  return out;
}

std::vector<double> Options::doubles(const char* key, size_t count) {
  const Napi::Value found = value(key);
  if (!found.IsTypedArray() || found.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array)
    fail(key, "must be a Float64Array");
  const auto array = found.As<Napi::Float64Array>();
  if (array.ElementLength() != count)
    fail(key,
         "has " + std::to_string(array.ElementLength()) + " entries; it must have " + std::to_string(count));
  return {array.Data(), array.Data() + count};
}

Options Options::object(const char* key) { return Options(value(key), path_ + "." + key); }

std::vector<Options> Options::objects(const char* key) {
  const Napi::Value found = value(key);
  if (!found.IsArray()) fail(key, "must be an array, not " + kind_of(found));
  const Napi::Array array = found.As<Napi::Array>();
  const uint32_t count = array.Length();
  std::vector<Options> out;
  for (uint32_t i = 0; i < count; ++i)
    out.emplace_back(array.Get(i), path_ + "." + key + "[" + std::to_string(i) + "]");
  return out;
}

void Options::finish() const {
  const Napi::Array keys = object_.GetPropertyNames();
  for (uint32_t i = 0; i < keys.Length(); ++i) {
    const std::string key = keys.Get(i).ToString().Utf8Value();
    if (!read_.contains(key))
      throw Error(kOptions, path_ + "." + key + " is not an option", path_ + "." + key);
  }
}

void Options::fail(const char* key, const std::string& message) const {
  const std::string field = path_ + "." + key;
  throw Error(kOptions, field + " " + message, field);
}

}  // namespace san::binding
