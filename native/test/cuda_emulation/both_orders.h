// Running a kernel's test in both orders of threads.
#pragma once

#include "check.h"
#include "cuda_emulation/cuda.h"
#include "cuda_emulation/guard.h"

namespace san::emulation {

/// Calls `test` with the threads of each launch in either order and with guarded tensors, and expects that
/// nothing was written out of bounds.
template <typename Test>
void in_both_orders(const char* name, const Test& test) {
  const int before = overruns();
  for (const Order order : {Order::kForward, Order::kBackward}) {
    set_order(order);
    const Guard guard;
    test();
  }
  set_order(Order::kForward);
  test::expect(overruns() == before, std::string(name) + ": nothing is written out of bounds");
}

}  // namespace san::emulation
