// A kernel that does nothing but show that the device runs this build's code.
#pragma once

namespace san::device {

/// Runs it on the current device and waits: empty, or what CUDA says against it.
const char* probe();

}  // namespace san::device
