// What went wrong inside TorchScript, in one line.
#pragma once

#include <string>

namespace san::metrics {

/// The first line of what the exception in flight says; of one from a running module the first line after the
/// traceback of its source. Call it inside a catch block.
std::string current_reason();

}  // namespace san::metrics
