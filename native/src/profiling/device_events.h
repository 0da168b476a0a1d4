// Records when each kernel and copy ran on a GPU, by LibTorch's Kineto and NVIDIA's CUPTI. CUDA builds only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace san::profiling {

/// Of GPUs that this process uses. Times are nanoseconds since the recording began.
struct DeviceEvent {
  std::string name;
  int64_t stream, begin, end;
};

/// Begins to record all GPUs of the process, those in captured graphs included; false where it uses none, or
/// where CUPTI cannot, which is a warning.
bool start_device_events();

/// Waits for the GPUs, ends it and gives what was recorded, in the order of beginning. The same thread.
std::vector<DeviceEvent> stop_device_events();

}  // namespace san::profiling
