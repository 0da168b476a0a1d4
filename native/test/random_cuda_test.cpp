// The generator's kernels against the processor's functions: bit for bit.
#include "check.h"
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
  const at::Tensor expected = random::normal_rows(key, count, n);
  at::Tensor truncated = expected.clone();
  random::redraw_beyond(truncated, key.seed, key.index, 0.4);
  with_kernels(
      [&]() -> std::vector<at::Tensor> {
        at::Tensor rows = at::empty({count, n}, device_options(at::kFloat));
        random::launch_normal(params(rows, key), nullptr);
        at::Tensor redrawn = rows.clone();
        random::launch_redraw({redrawn.mutable_data_ptr<float>(), count, n, key.seed,
                               static_cast<uint32_t>(Stream::redrawn_latent), key.index, 0.4},
                              nullptr);
        at::Tensor flat = at::empty({1, n}, device_options(at::kFloat));
        random::launch_uniform(params(flat, key), nullptr);
        return {rows, redrawn, flat};
      },
      [&](const std::vector<at::Tensor>& found) {
        expect(found[0].equal(expected), "normal numbers of the device, " + what);
        expect(found[1].equal(truncated), "truncated numbers of the device, " + what);
        expect(found[2][0].equal(random::uniform(key, n)), "uniform numbers of the device, " + what);
      },
      what);
}

/// The index from a step that is counted on the device, as in a captured step.
void counted_step() {
  const std::string what = "normal numbers of a step that is counted on the device";
  with_kernels(
      [&]() -> std::vector<at::Tensor> {
        at::Tensor rows = at::empty({6, 20}, device_options(at::kFloat));
        const at::Tensor step = at::full({1}, 7, device_options(at::kLong));
        auto p = params(rows, {2, Stream::training_latent, 1});
        p.index.step = step.const_data_ptr<int64_t>();
        p.index.stride = 6;
        random::launch_normal(p, nullptr);
        return {rows};
      },
      [&](const std::vector<at::Tensor>& found) {
        expect(found[0].equal(random::normal_rows({2, Stream::training_latent, 43}, 6, 20)), what);
      },
      what);
}

/// Rows that begin at no multiple of 16 bytes.
void unaligned() {
  const std::string what = "random rows that lie unaligned";
  with_kernels(
      [&]() -> std::vector<at::Tensor> {
        at::Tensor room = at::empty({1 + 12}, device_options(at::kFloat));
        at::Tensor shifted = room.narrow(0, 1, 12).view({3, 4});
        random::launch_normal(params(shifted, {1, Stream::direction, 0}), nullptr);
        return {shifted};
      },
      [&](const std::vector<at::Tensor>& found) {
        expect(found[0].equal(random::normal_rows({1, Stream::direction, 0}, 3, 4)), what);
      },
      what);
}

}  // namespace

void random_cuda_tests() {
  for (const int64_t n : {1, 3, 4, 33, 64, 1030})
    for (const int64_t count : {1, 5}) compare(count, n);
  counted_step();
  unaligned();
}

}  // namespace san::test
