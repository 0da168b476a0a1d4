// Tensors and orders drawn from the counter-based generator in philox.h: on a GPU, in a build that has CUDA
// code, bit for bit the numbers of the processor.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <array>
#include <cstdint>
#include <vector>

namespace san::random {

/// Independent uses of one seed. The numbers are part of the format: changing one changes every image.
enum class Stream : uint32_t {
  sample_latent = 0,
  initial_value = 1,
  training_latent = 2,
  direction = 3,
  penalty_mix = 4,
  penalty_direction = 5,
  order = 6,
  metric_patch = 7,
  metric_direction = 8,
  metric_subset = 9,
  redrawn_latent = 10,
  augmentation = 11,
  reverser_shift = 12,
};

/// What a block of numbers is keyed by. Philox key = seed; counter = (block, stream, index low, index high).
struct Key {
  uint64_t seed;
  Stream stream;
  uint64_t index;
};

/// What moves a key's index on from step to step: index + *step * stride, with `step`, an int64 where the
/// numbers are made. In a captured step its number is known on the device alone. Undefined for none.
struct StepCount {
  at::Tensor step;
  uint64_t stride = 0;
};

/// Standard normal float32 numbers; number i depends on the key and i alone.
at::Tensor normal(const Key& key, at::IntArrayRef shape, c10::Device device = c10::kCPU,
                  const StepCount& count = {});

/// (rows, n) standard normal float32 numbers: row r is normal({seed, stream, first + r}, {n}).
at::Tensor normal_rows(const Key& first, int64_t rows, int64_t n, c10::Device device = c10::kCPU,
                       const StepCount& count = {});

/// Replaces the numbers beyond +-threshold in rows that normal_rows() made for generated images: number i of
/// row (seed, index) becomes the first number within it of blocks i, n + i, 2n + i, ... of stream
/// redrawn_latent, so that rows follow the truncated normal distribution. threshold >= kLeastTruncation.
void redraw_beyond(at::Tensor& rows, uint64_t seed, uint64_t first, double threshold);

/// At this threshold 125 numbers are drawn for one on average.
inline constexpr double kLeastTruncation = 0.01;

/// Uniform float32 numbers in [0, 1), multiples of 2^-24.
at::Tensor uniform(const Key& key, int64_t n, c10::Device device = c10::kCPU, const StepCount& count = {});

/// Block `number` of uniform float32 numbers in [0, 1), multiples of 2^-24: numbers 4 number .. 4 number + 3
/// of uniform(). Without a tensor, for any thread.
std::array<float, 4> uniform_block(const Key& key, uint32_t number);

#ifdef SAN_NATIVE_CUDA
/// Fill tensors on a GPU: float32, contiguous. Nothing waits for the device.
at::Tensor fill_normal_rows(at::Tensor rows, const Key& first, const StepCount& count = {});
at::Tensor fill_uniform(at::Tensor out, const Key& key, const StepCount& count = {});
void redraw_beyond_on_device(at::Tensor& rows, uint64_t seed, uint64_t first, double threshold);
#endif

/// A permutation of 0..n-1 (Fisher-Yates).
std::vector<int64_t> permutation(const Key& key, int64_t n);

/// `size` different numbers out of 0..n-1, size <= n: the last ones of permutation(key, n).
std::vector<int64_t> subset(const Key& key, int64_t n, int64_t size);

/// `count` integers in 0..bound-1, bound below 2^32; uniform up to a bias of bound / 2^32.
std::vector<int64_t> integers(const Key& key, int64_t count, int64_t bound);

}  // namespace san::random
