#include "inference/packed/network.h"

#include <algorithm>
#include <atomic>

#include "inference/packed/walk.h"
#include "parallel.h"
#include "profiling/scope.h"

namespace san::packed {
namespace {

/// Images side by side at most, and the largest height at which they are: a row of one image is then too
/// short to fill the kernels' tiles, and the weights are read once for all.
constexpr int64_t kMostImages = 16, kGroupedHeight = 8;
/// Fewer are not worth a group of their own while there are more.
constexpr int64_t kLeastImages = 4;

/// Numbers in the largest plane of modules begin ... end - 1, `images` side by side.
int64_t largest(const ModelConfig& config, int begin, int end, int64_t images) {
  int64_t height = config.latent_size, most = 0;
  for (int m = 0; m < end; ++m) {
    const int64_t next = height * config.strides[m];
    if (m >= begin) {
      const auto hidden = [](int64_t c, double ratio) {
        return std::max<int64_t>(4, static_cast<int64_t>(static_cast<double>(c) * ratio));
      };
      const int64_t a = config.widths[m], b = config.widths[m + 1];
      const int64_t channels = std::max({a, b, hidden(a, config.ado_ratio), hidden(b, config.rpa_ratio)});
      most = std::max(most, Plane::numbers(next, next, images, filled(channels)));
    }
    height = next;
  }
  return most;
}

/// Copies image `i` of one plane to image `j` of another of the same size.
void copy_image(const Plane& from, int64_t i, const Plane& to, int64_t j) {
  for (int64_t y = 0; y < from.height; ++y)
    for (int64_t x = 0; x < from.width; ++x)
      std::copy_n(from.row(y) + (x * from.images + i) * from.step, from.step,
                  to.row(y) + (x * to.images + j) * to.step);
}

}  // namespace

bool supports(const ModelConfig& config) { return config.image_channels <= kLast; }

Network::Network(Net net, const ModelConfig& config, const NetworkParameters& parameters,
                 const Kernels& kernels)
    : config_(config), kernels_(kernels), weights_(lay_out(net, config, parameters, kernels)) {
  int64_t height = config.latent_size;
  while (grouped_ < kModules && (height *= config.strides[grouped_]) <= kGroupedHeight) ++grouped_;
}

int64_t Network::together_numbers(int64_t images) const {
  const int64_t size = config_.latent_size, channels = std::max(config_.latent_channels, config_.widths[0]);
  return std::max(Plane::numbers(size, size, images, filled(channels)),
                  largest(config_, 0, grouped_, images));
}

int64_t Network::alone_numbers() const {
  const int64_t size = config_.image_size(),
                channels = std::max(9 * config_.image_channels, config_.widths[kModules]);
  return std::max(Plane::numbers(size, size, 1, filled(channels)), largest(config_, grouped_, kModules, 1));
}

template <typename F>
void Network::in_groups(int64_t count, const Cancelled& cancelled, const F& f) const {
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), count);
  // Each thread takes the next images when it is done with its last ones: beside threads that write files,
  // those of one batch are not equally fast.
  const auto size_at = [&](int64_t left) {
    if (left <= threads * kLeastImages) return (left + threads - 1) / threads;
    return std::clamp((left + 2 * threads - 1) / (2 * threads), kLeastImages, kMostImages);
  };
  std::atomic<int64_t> next{0};
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    Walk together(config_, weights_, kernels_, together_numbers(size_at(count))),
        alone(config_, weights_, kernels_, alone_numbers());
    for (; begin < end; ++begin)
      for (int64_t first = next; first < count;) {
        const int64_t images = size_at(count - first);
        if (!next.compare_exchange_weak(first, first + images)) continue;
        stop_if(cancelled);
        f(together, alone, first, images);
        first = next;
      }
  });
}

at::Tensor Network::decode(const at::Tensor& latents, const Cancelled& cancelled) const {
  const profiling::Scope scope("heads and bytes");
  const at::Tensor z = latents.contiguous();
  const int64_t size = config_.image_size(), bytes = size * size * config_.image_channels;
  at::Tensor out = at::empty({z.size(0), size, size, config_.image_channels}, at::kByte);
  const float* from = z.const_data_ptr<float>();
  uint8_t* to = out.mutable_data_ptr<uint8_t>();
  in_groups(z.size(0), cancelled, [&](Walk& together, Walk& alone, int64_t first, int64_t count) {
    start_generator(together, from + first * config_.latent_numel(), count);
    for (int m = 0; m < grouped_; ++m) together.generator_module(m);
    const Plane& group = together.now();
    for (int64_t n = 0; n < count; ++n) {
      copy_image(group, n, alone.start(group.height, group.width, 1, together.channels()), 0);
      for (int m = grouped_; m < kModules; ++m) alone.generator_module(m);
      emit(alone, to + (first + n) * bytes);
    }
  });
  return out;
}

at::Tensor Network::encode(const at::Tensor& images, const Cancelled& cancelled) const {
  const profiling::Scope scope("heads and bytes");
  const at::Tensor x = images.contiguous();
  const int64_t size = config_.image_size(), bytes = size * size * config_.image_channels;
  at::Tensor out =
      at::empty({x.size(0), config_.latent_channels, config_.latent_size, config_.latent_size}, at::kFloat);
  const uint8_t* from = x.const_data_ptr<uint8_t>();
  float* to = out.mutable_data_ptr<float>();
  in_groups(x.size(0), cancelled, [&](Walk& together, Walk& alone, int64_t first, int64_t count) {
    for (int64_t n = 0; n < count; ++n) {
      start_reverser(alone, from + (first + n) * bytes);
      for (int m = kModules - 1; m >= grouped_; --m) alone.reverser_module(m);
      const Plane& image = alone.now();
      if (n == 0) together.start(image.height, image.width, count, alone.channels());
      copy_image(image, 0, together.now(), n);
    }
    for (int m = grouped_ - 1; m >= 0; --m) together.reverser_module(m);
    latents_of(together, to + first * config_.latent_numel());
  });
  return out;
}

void Network::start_generator(Walk& walk, const float* latents, int64_t count) const {
  const int64_t size = config_.latent_size, pixels = size * size, channels = config_.latent_channels;
  const Plane& x = walk.start(size, size, count, config_.widths[0]);
  const Plane z{walk.spare(), size, size, count, filled(channels)};
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t n = 0; n < count; ++n) {
      float* place = z.row(p / size) + (p % size * count + n) * z.step;
      for (int64_t c = 0; c < channels; ++c) place[c] = latents[(n * channels + c) * pixels + p];
    }
  convolve(float_kernels(), weights_.latent, z, x);
  const float* bias = weights_.latent_bias.const_data_ptr<float>();
  for (int64_t y = 0; y < size; ++y)
    for (int64_t p = 0; p < x.row_pixels(); ++p)
      for (int64_t c = 0; c < x.step; ++c) x.row(y)[p * x.step + c] += bias[c];
}

void Network::emit(Walk& walk, uint8_t* bytes) const {
  const Plane& x = walk.now();
  const int64_t size = x.width, channels = config_.image_channels;
  const Plane taps{walk.spare(), size, size, 1, weights_.image.out};
  convolve(float_kernels(), weights_.image, x, taps);
  taps.clear_sides();
  std::vector<float> sums(static_cast<size_t>(size * kLast));
  for (int64_t y = 0; y < size; ++y) {
    int64_t from[9], count = 0;
    for (int64_t i = 0; i < 3; ++i)
      for (int64_t j = 0; j < 3; ++j)
        if (y + i >= 1 && y + i <= size)
          from[count++] = (i - 1) * taps.pitch() + (j - 1) * taps.step + (3 * i + j) * channels;
    kernels_.fold(taps.row(y), taps.step, from, count, sums.data(), size);
    kernels_.emit(sums.data(), weights_.image_bias.const_data_ptr<float>(), bytes + y * size * channels, size,
                  channels);
  }
}

void Network::start_reverser(Walk& walk, const uint8_t* bytes) const {
  const int64_t size = config_.image_size(), channels = config_.image_channels;
  const Plane& x = walk.start(size, size, 1, config_.widths[kModules]);
  const Plane pixels{walk.spare(), size, size, 1, filled(channels)};
  pixels.clear_sides();
  for (int64_t y = 0; y < size; ++y)
    for (int64_t p = 0; p < size; ++p)
      for (int64_t c = 0; c < channels; ++c)
        pixels.row(y)[p * pixels.step + c] = static_cast<float>(*bytes++) / 127.5f - 1.0f;
  convolve(float_kernels(), weights_.image, pixels, x);
  for (int64_t y = 0; y < size; ++y)
    kernels_.leaky(x.row(y), weights_.image_bias.const_data_ptr<float>(), x.row(y),
                   {size, 1, x.step, config_.widths[kModules]});
}

void Network::latents_of(const Walk& walk, float* latents) const {
  const Plane& x = walk.now();
  const int64_t size = x.width, pixels = size * size, channels = config_.latent_channels;
  const Plane z{walk.spare(), size, size, x.images, filled(channels)};
  convolve(float_kernels(), weights_.latent, x, z);
  const float* bias = weights_.latent_bias.const_data_ptr<float>();
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t n = 0; n < x.images; ++n) {
      const float* place = z.row(p / size) + (p % size * x.images + n) * z.step;
      for (int64_t c = 0; c < channels; ++c) latents[(n * channels + c) * pixels + p] = place[c] + bias[c];
    }
}

}  // namespace san::packed
