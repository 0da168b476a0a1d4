#include "ops/feed/feed.h"

#include <algorithm>
#include <numeric>

#include "check.h"
#include "data/augmentation.h"
#include "feed_kinds.h"
#include "san/images.h"

namespace san::test {
namespace {

template <typename T>
at::Tensor run(const at::Tensor& images, const std::vector<int64_t>& indices,
               const std::vector<ops::FeedTransform>& transforms) {
  const int64_t size = images.size(1), channels = images.size(3);
  at::Tensor out = at::empty({static_cast<int64_t>(indices.size()), size, size, channels},
                             at::CppTypeToScalarType<T>::value);
  ops::feed(ops::FeedSource{images.const_data_ptr<uint8_t>(), size, channels}, indices, transforms,
            out.mutable_data_ptr<T>());
  return out;
}

void compare(const Kind& kind, int64_t size, int64_t channels) {
  constexpr int64_t kImages = 12;
  const at::Tensor images = at::randint(256, {kImages, size, size, channels}, at::kByte);
  std::vector<int64_t> indices(kImages);
  std::iota(indices.rbegin(), indices.rend(), 0);
  std::vector<ops::FeedTransform> transforms;
  for (const int64_t index : indices)
    transforms.push_back(draw_transform(kind.config, size, 7, static_cast<uint64_t>(index)));
  const at::Tensor expected = ops::feed_reference(images, indices, transforms, at::kDouble);
  const std::string what = std::string("feed, ") + kind.name + ", " + std::to_string(size) + " pixels, " +
                           std::to_string(channels) + " channels";
  expect_close(run<double>(images, indices, transforms), expected, 1e-12, what + ", float64");
  const at::Tensor floats = run<float>(images, indices, transforms);
  expect_close(floats.to(at::kDouble), expected, 1e-6 * static_cast<double>(std::max<int64_t>(16, size)),
               what + ", float32");
  expect(floats.abs().max().item<double>() <= 1, what + ": within [-1, 1]");
  if (kind.exact)
    expect(to_bytes(floats.permute({0, 3, 1, 2})).equal(to_bytes(expected.permute({0, 3, 1, 2}))),
           what + ": exact");
}

/// Shares and ranges of what is drawn, over many images.
void statistics() {
  AugmentationConfig c;
  c.flip_horizontal = 0.25;
  c.rotate90 = 0.5;
  c.translate = 0.125;
  c.translate_probability = 0.75;
  c.cutout = 0.25;
  c.cutout_probability = 0.125;
  constexpr int kDraws = 20000, kSize = 32;
  int mirrored = 0, turned = 0, cut = 0, shifts[9] = {};
  for (int i = 0; i < kDraws; ++i) {
    const ops::FeedTransform t = draw_transform(c, kSize, 3, static_cast<uint64_t>(i));
    const double determinant = t.geometry[0] * t.geometry[4] - t.geometry[1] * t.geometry[3];
    expect(std::abs(determinant) == 1, "flips, quarters and shifts keep areas");
    mirrored += determinant < 0;
    turned += t.geometry[1] != 0 || t.geometry[0] == (determinant < 0 ? 1 : -1);
    cut += t.cut_right > t.cut_left;
    expect(t.cut_left >= 0 && t.cut_right <= kSize && t.cut_right - t.cut_left <= 8,
           "a square within the image");
    if (t.geometry[0] == 1 && t.geometry[4] == 1) ++shifts[static_cast<int>(t.geometry[2]) + 4];
  }
  const auto share = [&](int count, double probability, const char* what) {
    const double sigma = std::sqrt(probability * (1 - probability) / kDraws);
    expect(std::abs(count / double{kDraws} - probability) < 5 * sigma, what);
  };
  share(mirrored, 0.25, "share of mirror images");
  share(turned, 0.5, "share of turns by quarters");
  share(cut, 0.125, "share of cutouts");
  const int unturned = std::accumulate(shifts, shifts + 9, 0);
  for (int k = 0; k < 9; ++k) {
    const double p = 0.75 / 9 + (k == 4 ? 0.25 : 0);
    expect(std::abs(shifts[k] / static_cast<double>(unturned) - p) < 5 * std::sqrt(p * (1 - p) / unturned),
           "shifts by whole pixels are equally frequent");
  }
}

/// Grey stays grey under saturation and hue; white and black under both and contrast's inverse.
void colours() {
  AugmentationConfig c;
  c.saturation = 1;
  c.hue = 0.5;
  const at::Tensor grey = at::arange(256, at::kByte).view({1, 16, 16, 1}).expand({1, 16, 16, 3}).contiguous();
  for (uint64_t i = 0; i < 50; ++i) {
    const auto transform = draw_transform(c, 16, 1, i);
    expect(transform.colours, "colours change");
    expect(to_bytes(run<float>(grey, {0}, {transform}).permute({0, 3, 1, 2})).equal(grey),
           "grey stays as it is under saturation and hue");
  }
}

/// One kind of change does not depend on whether another is on.
void independence() {
  AugmentationConfig flip, both;
  flip.flip_horizontal = both.flip_horizontal = 0.5;
  both.brightness = both.cutout = 0.5;
  for (uint64_t i = 0; i < 200; ++i)
    expect(draw_transform(flip, 32, 5, i).geometry[0] == draw_transform(both, 32, 5, i).geometry[0],
           "other augmentations leave the flips as they are");
}

/// Not even where the shape would make a side longer than the image's.
void crops() {
  AugmentationConfig c;
  for (const double scale : {0.1, 0.85, 0.99}) {
    c.crop_scale = scale;
    double least = 1;
    for (uint64_t i = 0; i < 500; ++i) {
      const auto transform = draw_transform(c, 32, 3, i);
      const double* g = transform.geometry;
      least = std::min(least, g[0] * g[4] - g[1] * g[3]);
      expect(std::max(g[0], g[4]) <= 1, "a crop lies within the image");
    }
    expect(least >= scale - 1e-9 && least < scale + 0.1, "a crop has cropScale of the area or more");
  }
}

}  // namespace

void feed_tests() {
  for (const Kind& kind : kinds())
    for (const int64_t channels : {1, 2, 3, 4})
      for (const int64_t size : {1, 2, 5, 16, 33}) compare(kind, size, channels);
  compare(kinds().back(), 128, 3);
  const at::Tensor every = at::arange(256, at::kByte).view({1, 16, 16, 1});
  expect(run<float>(every, {0}, {{}}).permute({0, 3, 1, 2}).equal(from_bytes(every, at::kFloat)),
         "unchanged images have the bits of from_bytes, float32");
  expect(run<double>(every, {0}, {{}}).permute({0, 3, 1, 2}).equal(from_bytes(every, at::kDouble)),
         "unchanged images have the bits of from_bytes, float64");
  statistics();
  colours();
  independence();
  crops();
}

}  // namespace san::test
