// The generator's kernels, emulated, against the processor's functions: bit for bit.
#include "check.h"
#include "cuda_emulation/both_orders.h"
#include "random/launch.h"
#include "random/random.h"

namespace san::test {
namespace {

using random::Key;
using random::Stream;

random::FillParams params(at::Tensor& rows, const Key& key) {
  return {rows.mutable_data_ptr<float>(),    rows.size(0), rows.size(1), key.seed,
          static_cast<uint32_t>(key.stream), {key.index}};
}

void compare(int64_t count, int64_t n) {
  const std::string what = std::to_string(count) + " rows of " + std::to_string(n);
  // Rows whose index crosses 32 bits, and a seed beyond them.
  const Key key{(uint64_t{5} << 40) + 3, Stream::training_latent, (uint64_t{1} << 32) - 2};
  at::Tensor rows = at::empty({count, n}, at::kFloat);
  random::launch_normal(params(rows, key), nullptr);
  at::Tensor expected = random::normal_rows(key, count, n);
  expect(rows.equal(expected), "normal numbers of the device, " + what);

  random::launch_redraw({rows.mutable_data_ptr<float>(), count, n, key.seed,
                         static_cast<uint32_t>(Stream::redrawn_latent), key.index, 0.4},
                        nullptr);
  random::redraw_beyond(expected, key.seed, key.index, 0.4);
  expect(rows.equal(expected), "truncated numbers of the device, " + what);

  at::Tensor flat = at::empty({1, n}, at::kFloat);
  random::launch_uniform(params(flat, key), nullptr);
  expect(flat[0].equal(random::uniform(key, n)), "uniform numbers of the device, " + what);
}

}  // namespace

void random_cuda_tests() {
  emulation::in_both_orders("random", [] {
    for (const int64_t n : {1, 3, 4, 33, 64, 1030})
      for (const int64_t count : {1, 5}) compare(count, n);

    // The index from a step that is counted on the device, as in a captured step.
    at::Tensor rows = at::empty({6, 20}, at::kFloat);
    const at::Tensor step = at::full({1}, 7, at::kLong);
    auto p = params(rows, {2, Stream::training_latent, 1});
    p.index.step = step.const_data_ptr<int64_t>();
    p.index.stride = 6;
    random::launch_normal(p, nullptr);
    expect(rows.equal(random::normal_rows({2, Stream::training_latent, 43}, 6, 20)),
           "normal numbers of a step that is counted on the device");

    // Rows that begin at no multiple of 16 bytes.
    at::Tensor room = at::empty({1 + 12}, at::kFloat), shifted = room.narrow(0, 1, 12).view({3, 4});
    random::launch_normal(params(shifted, {1, Stream::direction, 0}), nullptr);
    expect(shifted.equal(random::normal_rows({1, Stream::direction, 0}, 3, 4)), "rows that lie unaligned");
  });
}

}  // namespace san::test
