// What LibTorch warns of, kept for the caller in place of being printed.
#pragma once

#include <string>
#include <vector>

namespace san::binding {

/// From now on keeps the warnings of the calling thread, each text of LibTorch's own once a process.
void collect_warnings();

/// What was kept since the last call, as single lines. Any thread.
std::vector<std::string> take_warnings();

}  // namespace san::binding
