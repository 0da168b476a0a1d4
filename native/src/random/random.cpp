#include "random/random.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numeric>
#include <utility>

#include "ops/reference.h"
#include "ops/tensors.h"
#include "random/philox.h"
#include "random/reference.h"

namespace san::random {
namespace {

Words block(const Key& key, uint32_t number) {
  return block_of(key.seed, static_cast<uint32_t>(key.stream), key.index, number);
}

/// The key of the step that `count` has come to, on the processor.
Key moved_on(const Key& key, const StepCount& count) {
  if (!count.step.defined()) return key;
  const auto step = static_cast<uint64_t>(*count.step.const_data_ptr<int64_t>());
  return {key.seed, key.stream, key.index + step * count.stride};
}

at::TensorOptions floats_on(c10::Device device) { return at::TensorOptions(at::kFloat).device(device); }

SAN_CLONES void fill_normal(const Key& key, float* out, int64_t n) {
  for (int64_t i = 0; i < n; i += 4) {
    const auto values = normals(block(key, static_cast<uint32_t>(i / 4)));
    for (int64_t j = 0; j < 4 && i + j < n; ++j) out[i + j] = values[j];
  }
}

}  // namespace

at::Tensor normal(const Key& key, at::IntArrayRef shape, c10::Device device, const StepCount& count) {
  at::Tensor out = at::empty(shape, floats_on(device));
#ifdef SAN_NATIVE_CUDA
  if (device.is_cuda()) return fill_normal_rows(out.view({1, out.numel()}), key, count).view(shape);
#endif
  if (ops::use_reference()) return normal_rows_reference(moved_on(key, count), 1, out.numel()).view(shape);
  fill_normal(moved_on(key, count), out.mutable_data_ptr<float>(), out.numel());
  return out;
}

at::Tensor normal_rows(const Key& first, int64_t rows, int64_t n, c10::Device device,
                       const StepCount& count) {
  at::Tensor out = at::empty({rows, n}, floats_on(device));
#ifdef SAN_NATIVE_CUDA
  if (device.is_cuda()) return fill_normal_rows(out, first, count);
#endif
  const Key from = moved_on(first, count);
  if (ops::use_reference()) return normal_rows_reference(from, rows, n);
  float* data = out.mutable_data_ptr<float>();
  ops::over_rows(rows, n, [&](int64_t begin, int64_t some) {
    for (int64_t row = begin; row < begin + some; ++row)
      fill_normal({from.seed, from.stream, from.index + static_cast<uint64_t>(row)}, data + row * n, n);
  });
  return out;
}

std::array<float, 4> uniform_block(const Key& key, uint32_t number) {
  const Words words = block(key, number);
  std::array<float, 4> out;
  for (size_t j = 0; j < 4; ++j) out[j] = uniform_of(words[j]);
  return out;
}

void redraw_beyond(at::Tensor& rows, uint64_t seed, uint64_t first, double threshold) {
#ifdef SAN_NATIVE_CUDA
  if (rows.is_cuda()) return redraw_beyond_on_device(rows, seed, first, threshold);
#endif
  if (ops::use_reference()) return redraw_beyond_reference(rows, seed, first, threshold);
  const int64_t n = rows.size(1);
  float* data = rows.mutable_data_ptr<float>();
  const auto within = [threshold](float value) { return std::abs(double{value}) <= threshold; };
  const auto redrawn = [&](const Key& key, int64_t i) {
    for (auto number = static_cast<uint32_t>(i);; number += static_cast<uint32_t>(n))
      for (const float value : normals(block(key, number)))
        if (within(value)) return value;
  };
  ops::over_rows(rows.size(0), n, [&](int64_t begin, int64_t some) {
    for (int64_t row = begin; row < begin + some; ++row) {
      const Key key{seed, Stream::redrawn_latent, first + static_cast<uint64_t>(row)};
      float* values = data + row * n;
      for (int64_t i = 0; i < n; ++i)
        if (!within(values[i])) values[i] = redrawn(key, i);
    }
  });
}

at::Tensor uniform(const Key& key, int64_t n, c10::Device device, const StepCount& count) {
  at::Tensor out = at::empty({n}, floats_on(device));
#ifdef SAN_NATIVE_CUDA
  if (device.is_cuda()) return fill_uniform(out, key, count);
#endif
  const Key from = moved_on(key, count);
  if (ops::use_reference()) return uniform_reference(from, n);
  float* data = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < n; i += 4) {
    const auto values = uniform_block(from, static_cast<uint32_t>(i / 4));
    for (int64_t j = 0; j < 4 && i + j < n; ++j) data[i + j] = values[j];
  }
  return out;
}

std::vector<int64_t> permutation(const Key& key, int64_t n) { return subset(key, n, n); }

std::vector<int64_t> subset(const Key& key, int64_t n, int64_t size) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  // Fisher-Yates from the end: an entry that i has passed is final.
  for (int64_t i = n - 1; i > 0 && i >= n - size; --i) {
    const Words words = block(key, static_cast<uint32_t>(i));
    const uint64_t random = (uint64_t{words[1]} << 32) | words[0];
    // The high word of random * (i + 1): uniform in 0..i up to a bias of 2^-32 for any set that fits memory.
    const auto other =
        static_cast<int64_t>((static_cast<unsigned __int128>(random) * static_cast<uint64_t>(i + 1)) >> 64);
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(other)]);
  }
  order.erase(order.begin(), order.end() - size);
  return order;
}

std::vector<int64_t> integers(const Key& key, int64_t count, int64_t bound) {
  std::vector<int64_t> out(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; i += 4) {
    const Words words = block(key, static_cast<uint32_t>(i / 4));
    for (int64_t j = 0; j < 4 && i + j < count; ++j)
      out[static_cast<size_t>(i + j)] = static_cast<int64_t>(
          (uint64_t{words[static_cast<size_t>(j)]} * static_cast<uint64_t>(bound)) >> 32);
  }
  return out;
}

}  // namespace san::random
