#include "metrics/descriptors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "metrics/laplacian_pyramid.h"
#include "parallel.h"
#include "random/random.h"

namespace san::metrics {
namespace {

/// Images that are in floating point at a time.
constexpr int64_t kBlock = 64;
/// On the scale of 8-bit values; what varies by less holds nothing but rounding.
constexpr double kFlat = 1e-5;

/// Sum and sum of squares of each channel's values in the patches of each image, (N, C).
struct Sums {
  Sums(int64_t images, int64_t channels)
      : of_values(at::zeros({images, channels}, at::kDouble)), of_squares(at::zeros_like(of_values)) {}
  at::Tensor of_values, of_squares;
};

/// Copies the patches of `band`, float32 (B, C, S, S), images `begin`... of the level, into `out`.
void copy_patches(const at::Tensor& band, int64_t begin, int64_t patches, const PatchKey& key,
                  const at::Tensor& out, const Sums& sums) {
  const int64_t channels = band.size(1), size = band.size(2), length = channels * kPatch * kPatch;
  const float* pixels = band.const_data_ptr<float>();
  float* to = out.mutable_data_ptr<float>() + begin * patches * length;
  double* values = sums.of_values.mutable_data_ptr<double>() + begin * channels;
  double* squares = sums.of_squares.mutable_data_ptr<double>() + begin * channels;
  const auto copy = [&](int64_t image) {
    const auto corners = random::integers(
        {key.seed, random::Stream::metric_patch, key.first + static_cast<uint64_t>(begin + image)},
        2 * patches, size - kPatch + 1);
    for (int64_t patch = 0; patch < patches; ++patch) {
      const int64_t left = corners[static_cast<size_t>(2 * patch)],
                    top = corners[static_cast<size_t>(2 * patch + 1)];
      for (int64_t c = 0; c < channels; ++c) {
        float* row = to + ((image * patches + patch) * channels + c) * kPatch * kPatch;
        const float* from = pixels + ((image * channels + c) * size + top) * size + left;
        for (int64_t y = 0; y < kPatch; ++y)
          std::memcpy(row + y * kPatch, from + y * size, kPatch * sizeof(float));
        for (int64_t i = 0; i < kPatch * kPatch; ++i) {
          const double value = row[i];
          values[image * channels + c] += value;
          squares[image * channels + c] += value * value;
        }
      }
    }
  };
  at::parallel_for(0, band.size(0), 1, [&](int64_t first, int64_t end) {
    for (int64_t image = first; image < end; ++image) copy(image);
  });
}

void normalise(const at::Tensor& descriptors, const Sums& sums) {
  const int64_t channels = sums.of_values.size(1);
  const auto numbers = static_cast<double>(descriptors.numel() / channels);
  const at::Tensor mean = sums.of_values.sum(0) / numbers;
  const at::Tensor deviation = (sums.of_squares.sum(0) / numbers - mean.square()).clamp_min_(0).sqrt_();
  const at::Tensor scale = at::where(deviation > kFlat, deviation.reciprocal(), at::zeros({}, at::kDouble));
  descriptors.view({-1, channels, kPatch * kPatch})
      .sub_(mean.to(at::kFloat).unsqueeze(1))
      .mul_(scale.to(at::kFloat).unsqueeze(1));
}

}  // namespace

Level take_level(const at::Tensor& images, bool last, int64_t patches, const PatchKey& key,
                 const Cancelled& cancelled) {
  const bool bytes = images.scalar_type() == at::kByte;
  const int64_t count = images.size(0), size = images.size(2), channels = images.size(bytes ? 3 : 1);
  Level level;
  level.descriptors = at::empty({count * patches, channels * kPatch * kPatch}, at::kFloat);
  if (!last) level.next = at::empty({count, channels, size / 2, size / 2}, at::kFloat);
  const Sums sums(count, channels);
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    stop_if(cancelled);
    const int64_t end = std::min(begin + kBlock, count);
    at::Tensor band = images.slice(0, begin, end);
    if (bytes) band = band.permute({0, 3, 1, 2}).to(at::kFloat).contiguous();
    if (!last) {
      const at::Tensor low = pyramid_down(band);
      level.next.slice(0, begin, end).copy_(low);
      band = band - pyramid_up(low);
    }
    copy_patches(band.contiguous(), begin, patches, key, level.descriptors, sums);
  }
  normalise(level.descriptors, sums);
  return level;
}

}  // namespace san::metrics
