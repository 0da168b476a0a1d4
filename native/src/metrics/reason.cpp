#include "metrics/reason.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cctype>
#include <exception>
#include <string_view>

namespace san::metrics {
namespace {

std::string text_in_flight() {
  try {
    throw;
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

/// Whether a line begins with the name of an exception, such as "RuntimeError: " or "builtins.ValueError: ".
bool names_exception(std::string_view line) {
  const std::string_view name = line.substr(0, line.find(": "));
  return name.size() < line.size() && (name.ends_with("Error") || name.ends_with("Exception")) &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '.'; });
}

/// Where the line after the traceback begins; 0 where there is no such line. Source that the traceback quotes
/// goes on after its last mark.
size_t end_of_traceback(const std::string& text) {
  const size_t mark = text.rfind("<--- HERE");
  for (size_t at = text.find('\n', mark); at != std::string::npos; at = text.find('\n', at + 1))
    if (names_exception(std::string_view(text).substr(at + 1))) return at + 1;
  return 0;
}

}  // namespace

std::string current_reason() {
  std::string text = text_in_flight();
  if (text.starts_with("The following operation failed in the TorchScript interpreter"))
    text.erase(0, end_of_traceback(text));
  text.erase(0, std::min(text.find_first_not_of(" \n"), text.size()));
  text.erase(std::min(text.find('\n'), text.size()));
  return text.empty() ? "no reason was given" : text;
}

}  // namespace san::metrics
