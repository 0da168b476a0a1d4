#include "distributed/orders.h"

#include <ATen/ATen.h>

namespace san::distributed {
namespace {

/// Numbers of StepRates.
constexpr int64_t kRates = 4;

}  // namespace

void give(Collective& ranks, const Order& order) {
  if (ranks.size() == 1) return;
  const auto count = static_cast<int64_t>(order.schedule.size());
  ranks.broadcast(at::tensor({static_cast<int64_t>(order.task), order.steps, count}, at::kLong));
  if (count == 0) return;
  const at::Tensor rates = at::empty({count, kRates}, at::kDouble);
  double* next = rates.mutable_data_ptr<double>();
  for (const StepRates& step : order.schedule)
    for (const double rate : {step.learning_rate, step.lambda, step.ema_decay, step.repulsion_weight})
      *next++ = rate;
  ranks.broadcast(rates);
}

Order take(Collective& ranks) {
  const at::Tensor head = at::zeros({3}, at::kLong);
  ranks.broadcast(head);
  const int64_t* numbers = head.const_data_ptr<int64_t>();
  Order order{static_cast<Task>(numbers[0]), numbers[1], {}};
  const int64_t count = numbers[2];
  if (count == 0) return order;
  const at::Tensor rates = at::empty({count, kRates}, at::kDouble);
  ranks.broadcast(rates);
  const double* next = rates.const_data_ptr<double>();
  for (int64_t i = 0; i < count; ++i, next += kRates)
    order.schedule.push_back({next[0], next[1], next[2], next[3]});
  return order;
}

}  // namespace san::distributed
