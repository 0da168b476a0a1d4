// feed's kernels against the processor's and the reference.
#include <algorithm>
#include <numeric>

#include "check.h"
#include "data/augmentation.h"
#include "data/batches.h"
#include "data/residency.h"
#include "feed_kinds.h"
#include "ops/feed/feed.h"
#include "ops/feed/launch.h"
#include "san/error.h"

namespace san::test {
namespace {

struct Batch {
  at::Tensor images;
  std::vector<int64_t> indices;
  std::vector<ops::FeedTransform> transforms;
};

Batch draw(const Kind& kind, int64_t size, int64_t channels) {
  Batch b{at::randint(256, {7, size, size, channels}, at::kByte), std::vector<int64_t>(7), {}};
  std::iota(b.indices.rbegin(), b.indices.rend(), 0);
  for (const int64_t index : b.indices)
    b.transforms.push_back(draw_transform(kind.config, size, 7, static_cast<uint64_t>(index)));
  return b;
}

/// (n, size, size, channels) of T, where the kernels run.
template <typename T>
at::Tensor run(const Batch& b, at::ScalarType dtype, bool gathers = true) {
  const int64_t size = b.images.size(1), channels = b.images.size(3);
  const at::Tensor images = on_device(b.images), indices = bytes_on_device(b.indices),
                   transforms = bytes_on_device(b.transforms);
  at::Tensor out = at::empty(b.images.sizes(), device_options(dtype));
  ops::launch_feed(
      ops::FeedParams<T>{images.const_data_ptr<uint8_t>(), size, channels,
                         gathers ? static_cast<const int64_t*>(indices.const_data_ptr()) : nullptr,
                         static_cast<const ops::FeedTransform*>(transforms.const_data_ptr()),
                         static_cast<int64_t>(b.transforms.size()), static_cast<T*>(out.mutable_data_ptr())},
      nullptr);
  return out;
}

void compare(const Kind& kind, int64_t size, int64_t channels) {
  const Batch b = draw(kind, size, channels);
  const std::string what = std::string("feed on the device, ") + kind.name + ", " + std::to_string(size) +
                           " pixels, " + std::to_string(channels) + " channels";
  const at::Tensor expected = ops::feed_reference(b.images, b.indices, b.transforms, at::kDouble);
  const double tolerance = 1e-6 * static_cast<double>(std::max<int64_t>(16, size));
  at::Tensor host = at::empty(b.images.sizes(), at::kFloat);
  ops::feed(ops::FeedSource{b.images.const_data_ptr<uint8_t>(), size, channels}, b.indices, b.transforms,
            host.mutable_data_ptr<float>());
  with_kernels(
      [&]() -> std::vector<at::Tensor> {
        return {run<double>(b, at::kDouble), run<float>(b, at::kFloat),
                run<ops::cuda::Bf16>(b, at::kBFloat16)};
      },
      [&](const std::vector<at::Tensor>& found) {
        expect_close(found[0], expected, 1e-12, what + ", float64");
        expect_close(found[1].to(at::kDouble), expected, tolerance, what + ", float32");
        expect_close(found[1], host, kind.exact ? 0 : tolerance, what + ", against the processor");
        expect(found[2].equal(found[1].to(at::kBFloat16)), what + ", bfloat16");
      },
      what);
}

/// A batch that lies in its own order, as one that was copied to the device does.
void without_gather() {
  Batch b = draw(kinds().back(), 6, 3);
  std::iota(b.indices.begin(), b.indices.end(), 0);
  const std::string what = "feed without a gather";
  with_kernels(
      [&]() -> std::vector<at::Tensor> {
        return {run<float>(b, at::kFloat, false), run<float>(b, at::kFloat)};
      },
      [&](const std::vector<at::Tensor>& found) { expect(found[0].equal(found[1]), what); }, what);
}

/// What the threads stage for the device makes the batches that the processor makes, whether the device has
/// the set or not.
void staged_batches() {
  const at::Tensor images = at::randint(256, {11, 6, 6, 3}, at::kByte);
  LoaderConfig config;
  config.batch_size = 4;
  config.first_row = 1;
  config.seed = 3;
  config.augmentation = kinds().back().config;
  const Batches batches{ImageSet(images), config};
  const int64_t rows = config.rows_made();
  for (const bool carries : {false, true})
    for (const int64_t step : {0, 1, 2, 7}) {
      const std::string what = std::string("staged batch ") + (carries ? "with" : "without") + " pixels";
      const StagingLayout layout(rows, carries ? 6 * 6 * 3 : 0);
      at::Tensor staged = at::empty({layout.bytes}, at::kByte);
      batches.stage(step, layout, static_cast<std::byte*>(staged.mutable_data_ptr()));
      at::Tensor expected = at::empty({rows, 6, 6, 3}, at::kFloat);
      batches.make(step, expected.mutable_data_ptr());
      with_kernels(
          [&]() -> std::vector<at::Tensor> {
            const at::Tensor set = on_device(images), there = on_device(staged);
            const auto* base = there.const_data_ptr<uint8_t>();
            const uint8_t* from = base + layout.images;
            at::Tensor found = at::empty({rows, 6, 6, 3}, device_options(at::kFloat));
            ops::launch_feed(
                ops::FeedParams<float>{carries ? from : set.const_data_ptr<uint8_t>(), 6, 3,
                                       carries ? nullptr : reinterpret_cast<const int64_t*>(from),
                                       reinterpret_cast<const ops::FeedTransform*>(base), rows,
                                       found.mutable_data_ptr<float>()},
                nullptr);
            return {found};
          },
          [&](const std::vector<at::Tensor>& found) { expect_close(found[0], expected, 1.6e-5, what); },
          what);
    }
}

void residency() {
  constexpr int64_t kFree = 1000;
  expect(
      stays_on_device(Residency::automatic, 250, kFree) && !stays_on_device(Residency::automatic, 251, kFree),
      "a set goes to the device by itself where it takes a quarter of what is free");
  expect(stays_on_device(Residency::device, kFree, kFree) && !stays_on_device(Residency::host, 1, kFree),
         "a set goes where it is told to");
  std::string code;
  try {
    stays_on_device(Residency::device, kFree + 1, kFree);
  } catch (const Error& error) {
    code = error.code();
  }
  expect(code == kOutOfMemory, "a set that does not fit the device");
}

}  // namespace

void feed_cuda_tests() {
  residency();
  for (const Kind& kind : kinds())
    for (const int64_t channels : {1, 2, 3, 4})
      for (const int64_t size : {1, 2, 5, 16, 33}) compare(kind, size, channels);
  // Several blocks an image, of four pixels a thread and of one.
  for (const int64_t size : {34, 40}) compare(kinds().back(), size, 3);
  without_gather();
  staged_batches();
}

}  // namespace san::test
