// What rank 0, where all decisions are made, has the other ranks do.
#pragma once

#include <cstdint>
#include <vector>

#include "san/collective.h"
#include "san/config.h"

namespace san::distributed {

enum class Task : int64_t { steps = 1, restore = 2, end = 3, inference = 4 };

/// After an order for inference the ranks agree on which: distributed/shared_inference.h.
struct Order {
  Task task = Task::end;
  int64_t steps = 0;
  /// The rates of each step; empty for the constants.
  std::vector<StepRates> schedule;
};

/// On rank 0. Does nothing where there are no others.
void give(Collective& ranks, const Order& order);

/// On the others: the next order. Throws ERR_SAN_RANK_LOST.
Order take(Collective& ranks);

}  // namespace san::distributed
