// Tensors between sentinels.
#pragma once

namespace san::emulation {

/// While it lives, CPU tensors are allocated between guards and filled with NaN: what a kernel leaves
/// unwritten, reads beyond a tensor or writes there comes to light.
class Guard {
 public:
  Guard();
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
};

/// How many tensors were written out of bounds so far; seen when they are freed.
int overruns();

}  // namespace san::emulation
