// Records when each operation of a thread began and ended, and what ran on GPUs meanwhile.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace san::profiling {

/// In the order in which they began; an event lies within those that had not ended when it began.
struct Profile {
  struct Event {
    /// Indices into names. `part` is the innermost scope it belongs to; the first name is empty: none.
    uint32_t name, part;
    bool is_scope;
    /// Nanoseconds since the profile began.
    int64_t begin, end;
  };
  std::vector<std::string> names;
  std::vector<Event> events;
  /// Events that were not kept, for there were too many.
  int64_t dropped = 0;
  /// A kernel or a copy on a GPU, in the order of beginning.
  struct DeviceEvent {
    uint32_t name, stream;
    int64_t begin, end;
  };
  /// Whether GPUs were recorded: in a build with CUDA code, where one is used.
  bool has_device = false;
  std::vector<DeviceEvent> on_device;
};

/// Begins to record the calling thread. Does nothing when that is under way.
void start();

/// Ends it and gives what was recorded; nothing when none was under way. The same thread.
Profile stop();

}  // namespace san::profiling
