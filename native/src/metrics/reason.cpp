#include "metrics/reason.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <exception>

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

}  // namespace

std::string current_reason() {
  std::string text = text_in_flight();
  constexpr const char* kEndOfTraceback = "<--- HERE";
  if (text.starts_with("The following operation failed in the TorchScript interpreter"))
    if (const size_t mark = text.rfind(kEndOfTraceback); mark != std::string::npos)
      if (const size_t line = text.find_first_not_of(" \n", text.find('\n', mark)); line != std::string::npos)
        text.erase(0, line);
  text.erase(0, std::min(text.find_first_not_of(" \n"), text.size()));
  text.erase(std::min(text.find('\n'), text.size()));
  return text.empty() ? "no reason was given" : text;
}

}  // namespace san::metrics
