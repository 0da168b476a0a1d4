#include "parallel.h"

#include <mutex>
#include <set>
#include <thread>

#include "check.h"
#include "ops/ado_gate/ado_gate.h"
#include "ops/attention/attention.h"
#include "ops/emit/emit.h"
#include "ops/norm_act_skip/norm_act_skip.h"
#include "ops/rpa_gate/rpa_gate.h"
#include "san/metrics.h"

namespace san::test {
namespace {

using at::Tensor;
using Tensors = std::vector<Tensor>;

/// Threads that four pieces of work run on.
size_t threads_of_a_loop() {
  std::mutex mutex;
  std::set<std::thread::id> seen;
  at::parallel_for(0, 4, 1, [&](int64_t, int64_t) {
    const std::lock_guard lock(mutex);
    seen.insert(std::this_thread::get_id());
  });
  return seen.size();
}

/// f's value and its gradients.
Tensors with_gradients(const std::function<Tensor(const Tensors&)>& f, const Tensors& inputs) {
  Tensors leaves;
  for (const Tensor& t : inputs) leaves.push_back(t.clone().requires_grad_(true));
  const Tensor value = f(leaves);
  value.square().sum().backward();
  Tensors out{value.detach()};
  for (const Tensor& t : leaves) out.push_back(t.grad());
  return out;
}

void expect_same_bits(const std::function<Tensors()>& f, const std::string& what) {
  at::set_num_threads(1);
  const Tensors one = f();
  for (const int threads : {2, 3, 7}) {
    at::set_num_threads(threads);
    const Tensors many = f();
    for (size_t i = 0; i < one.size(); ++i)
      expect(many[i].equal(one[i]), what + ", result " + std::to_string(i) + ", in " +
                                        std::to_string(threads) + " threads as in one");
  }
}

}  // namespace

void parallel_tests() {
  const int before = at::get_num_threads();
  for (const int threads : {1, 2, 4}) {
    at::set_num_threads(threads);
    expect(threads_of_a_loop() == static_cast<size_t>(threads),
           "at::parallel_for runs on " + std::to_string(threads) + " threads");
  }

  const Tensor x = at::randn({5, 16, 40, 36}), bias = at::randn({16});
  const auto same = [&](const std::function<Tensor(const Tensors&)>& f, const Tensors& inputs,
                        const std::string& what) {
    expect_same_bits([&] { return with_gradients(f, inputs); }, what);
  };
  same([](const Tensors& in) { return ops::norm_act_skip(in[0], in[1], in[2], ops::kNormThenAct); },
       {x, bias, at::randn({5, 16, 20, 18})}, "norm_act_skip");
  same([](const Tensors& in) { return ops::ado_gate(in[0], in[1], in[2], 0.3); },
       {x, at::randn_like(x), bias}, "ado_gate");
  same([](const Tensors& in) { return ops::rpa_gate(in[0], in[1], in[2]); },
       {x, at::randn({5, 16, 20, 18}), bias}, "rpa_gate");
  same(
      [](const Tensors& in) {
        return ops::attention({in[1], in[2], in[3], in[4]}, in[0]);
      },
      {x, at::randn({4, 16}), at::randn({4}), at::randn({16, 4}), at::randn({16})}, "attention");
  expect_same_bits([&] { return Tensors{ops::emit(x.tanh())}; }, "emit");

  const auto images = [] { return at::randint(0, 256, {24, 32, 32, 3}, at::kByte); };
  const Tensor real = images(), fake = images();
  expect_same_bits(
      [&] {
        Tensors distances;
        for (const LevelDistance& level : sliced_wasserstein(real, fake, {.directions = 64}))
          distances.push_back(at::scalar_tensor(level.distance, at::kDouble));
        return distances;
      },
      "sliced Wasserstein distance");
  at::set_num_threads(before);
}

}  // namespace san::test
