// The CPU allocator behind every tensor of the process.
#pragma once

#include <cstdint>

namespace san {

/// Makes tensors take their memory from free lists. A step makes the same few thousand tensors every time;
/// without free lists the system takes their pages away and zeroes them again in each one, a third of a small
/// model's step. Must be called before the first tensor is made; later calls do nothing.
/// SAN_NATIVE_ALLOCATOR=system in the environment leaves LibTorch's own allocator in place.
void use_caching_allocator();

/// Gives the memory of freed tensors back to the system.
void release_cached_memory();

/// Whether memory of tensors that are freed from here on is kept, as at first. With false what is kept goes
/// back to the system as well.
void keep_freed_memory(bool keep);

struct MemoryUse {
  /// Bytes that tensors hold now, and the most they held at once.
  int64_t used, peak;
  /// Bytes of freed tensors that are kept.
  int64_t cached;
  /// Blocks that were asked of the system so far.
  int64_t fresh;
};
MemoryUse memory_use();

}  // namespace san
