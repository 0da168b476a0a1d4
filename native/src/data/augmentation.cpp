#include "data/augmentation.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "random/random.h"
#include "san/error.h"

namespace san {
namespace {

constexpr double kPi = std::numbers::pi;
/// Largest aspect ratio of a crop; its inverse is the smallest.
constexpr double kCropRatio = 4.0 / 3.0;
/// Shares of red, green and blue in the luma, as in ITU-R BT.601.
constexpr double kLuma[3] = {0.299, 0.587, 0.114};

/// Numbers of the blocks of random numbers; kPlace has the place of the crop and the small turn.
enum Block : uint32_t { kFlips, kTranslation, kCrop, kPlace, kLight, kColour, kCutout };

/// x -> a x + b in the plane.
struct Affine {
  double a00 = 1, a01 = 0, a10 = 0, a11 = 1, b0 = 0, b1 = 0;

  /// This one after `inner`.
  Affine operator*(const Affine& inner) const {
    return {a00 * inner.a00 + a01 * inner.a10,    a00 * inner.a01 + a01 * inner.a11,
            a10 * inner.a00 + a11 * inner.a10,    a10 * inner.a01 + a11 * inner.a11,
            a00 * inner.b0 + a01 * inner.b1 + b0, a10 * inner.b0 + a11 * inner.b1 + b1};
  }
};

/// A change of colours in [0, 1]: rows of a 3x4 matrix.
struct Recolouring {
  double k[3][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}};

  /// Puts `next` after what there is.
  void then(const double (&next)[3][4]) {
    double out[3][4];
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 4; ++j) {
        out[i][j] = j == 3 ? next[i][3] : 0;
        for (int m = 0; m < 3; ++m) out[i][j] += next[i][m] * k[m][j];
      }
    std::copy(&out[0][0], &out[0][0] + 12, &k[0][0]);
  }

  void scale(double factor, double about) {
    const double rest = (1 - factor) * about;
    then({{factor, 0, 0, rest}, {0, factor, 0, rest}, {0, 0, factor, rest}});
  }

  void saturate(double factor) {
    double next[3][4] = {};
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 3; ++j) next[i][j] = (1 - factor) * kLuma[j] + (i == j ? factor : 0);
    then(next);
  }

  /// Turns colours about the grey axis.
  void turn(double angle) {
    const double c = std::cos(angle), s = std::sin(angle) / std::sqrt(3.0), same = (1 - c) / 3;
    then({{c + same, same - s, same + s, 0},
          {same + s, c + same, same - s, 0},
          {same - s, same + s, c + same, 0}});
  }
};

/// Uniform numbers of one image.
class Draws {
 public:
  Draws(uint64_t seed, uint64_t index) : key_{seed, random::Stream::augmentation, index} {}

  std::array<float, 4> block(Block number) const { return random::uniform_block(key_, number); }

 private:
  random::Key key_;
};

/// From -limit to limit.
double both_ways(float u, double limit) { return (2 * double{u} - 1) * limit; }

Affine turn(double cosine, double sine) { return {cosine, -sine, sine, cosine, 0, 0}; }

/// Where pixels come from, in units of pixels from the centre, the inverse of: crop, flips, turn by quarters,
/// turn, shift.
bool draw_geometry(const AugmentationConfig& config, double size, const Draws& draws, Affine& map) {
  bool moves = false;
  if (config.crop_scale < 1) {
    const auto [gate, area, ratio, rest] = draws.block(kCrop);
    if (gate < config.crop_probability) {
      const double share = config.crop_scale + (1 - config.crop_scale) * double{area};
      const double stretch = std::exp(both_ways(ratio, std::log(kCropRatio)) / 2), side = std::sqrt(share);
      double width = side * stretch, height = side / stretch;
      // The area stays; the shape gives way.
      if (width > 1)
        width = 1, height = share;
      else if (height > 1)
        width = share, height = 1;
      const auto place = draws.block(kPlace);
      map = map * Affine{width,
                         0,
                         0,
                         height,
                         both_ways(place[0], (1 - width) / 2) * size,
                         both_ways(place[1], (1 - height) / 2) * size};
      moves = true;
    }
  }
  if (config.flip_horizontal > 0 || config.flip_vertical > 0 || config.rotate90 > 0) {
    const auto [horizontal, vertical, quarter, turns] = draws.block(kFlips);
    const bool mirror_x = horizontal < config.flip_horizontal, mirror_y = vertical < config.flip_vertical;
    if (mirror_x || mirror_y) map = map * Affine{mirror_x ? -1.0 : 1.0, 0, 0, mirror_y ? -1.0 : 1.0, 0, 0};
    const bool turned = quarter < config.rotate90;
    if (turned) {
      constexpr double kCosine[] = {0, -1, 0}, kSine[] = {1, 0, -1};
      const auto number = static_cast<int>(turns * 3);
      map = map * turn(kCosine[number], kSine[number]);
    }
    moves = moves || mirror_x || mirror_y || turned;
  }
  if (config.rotate > 0) {
    const auto words = draws.block(kPlace);
    if (words[2] < config.rotate_probability) {
      const double angle = both_ways(words[3], config.rotate) * kPi / 180;
      map = map * turn(std::cos(angle), std::sin(angle));
      moves = true;
    }
  }
  if (config.translate > 0) {
    const auto [gate, x, y, rest] = draws.block(kTranslation);
    const double most = std::floor(config.translate * size + 0.5);
    if (gate < config.translate_probability && most > 0) {
      const auto pixels = [&](float u) { return std::floor(double{u} * (2 * most + 1)) - most; };
      map = map * Affine{1, 0, 0, 1, -pixels(x), -pixels(y)};
      moves = true;
    }
  }
  return moves;
}

bool draw_colours(const AugmentationConfig& config, const Draws& draws, Recolouring& colours) {
  bool changes = false;
  const auto draw = [&](double strength, double probability, float gate, float u, const auto& apply) {
    if (strength <= 0 || !(gate < probability)) return;
    apply(both_ways(u, strength));
    changes = true;
  };
  if (config.brightness > 0 || config.contrast > 0) {
    const auto w = draws.block(kLight);
    draw(config.brightness, config.brightness_probability, w[0], w[1],
         [&](double x) { colours.scale(1 + x, 0); });
    draw(config.contrast, config.contrast_probability, w[2], w[3],
         [&](double x) { colours.scale(1 + x, 0.5); });
  }
  if (config.saturation > 0 || config.hue > 0) {
    const auto w = draws.block(kColour);
    draw(config.saturation, config.saturation_probability, w[0], w[1],
         [&](double x) { colours.saturate(1 + x); });
    draw(config.hue, config.hue_probability, w[2], w[3], [&](double x) { colours.turn(2 * kPi * x); });
  }
  return changes;
}

void draw_cutout(const AugmentationConfig& config, int64_t size, const Draws& draws,
                 ops::FeedTransform& out) {
  const auto side = static_cast<int32_t>(std::floor(config.cutout * static_cast<double>(size) + 0.5));
  if (side < 1) return;
  const auto [gate, x, y, rest] = draws.block(kCutout);
  if (!(gate < config.cutout_probability)) return;
  const auto limit = static_cast<int32_t>(size);
  const auto place = [&](float u, int32_t& from, int32_t& to) {
    const int32_t start = static_cast<int32_t>(u * static_cast<float>(limit)) - side / 2;
    from = std::max(start, 0);
    to = std::min(start + side, limit);
  };
  place(x, out.cut_left, out.cut_right);
  place(y, out.cut_top, out.cut_bottom);
}

void check(double value, double low, double high, const char* name) {
  if (value >= low && value <= high) return;
  throw Error(kOptions,
              std::string(name) + " is " + std::to_string(value) + "; it must be from " +
                  std::to_string(low) + " to " + std::to_string(high),
              name);
}

}  // namespace

void AugmentationConfig::validate() const {
  check(flip_horizontal, 0, 1, "flipHorizontal");
  check(flip_vertical, 0, 1, "flipVertical");
  check(rotate90, 0, 1, "rotate90");
  check(rotate, 0, 180, "rotate");
  check(rotate_probability, 0, 1, "rotateProbability");
  check(translate, 0, 0.5, "translate");
  check(translate_probability, 0, 1, "translateProbability");
  check(crop_scale, 0.01, 1, "cropScale");
  check(crop_probability, 0, 1, "cropProbability");
  check(brightness, 0, 1, "brightness");
  check(brightness_probability, 0, 1, "brightnessProbability");
  check(contrast, 0, 1, "contrast");
  check(contrast_probability, 0, 1, "contrastProbability");
  check(saturation, 0, 1, "saturation");
  check(saturation_probability, 0, 1, "saturationProbability");
  check(hue, 0, 0.5, "hue");
  check(hue_probability, 0, 1, "hueProbability");
  check(cutout, 0, 1, "cutout");
  check(cutout_probability, 0, 1, "cutoutProbability");
}

bool AugmentationConfig::any() const {
  return flip_horizontal > 0 || flip_vertical > 0 || rotate90 > 0 || rotate > 0 || translate > 0 ||
         crop_scale < 1 || brightness > 0 || contrast > 0 || saturation > 0 || hue > 0 || cutout > 0;
}

ops::FeedTransform draw_transform(const AugmentationConfig& config, int64_t size, uint64_t seed,
                                  uint64_t index) {
  ops::FeedTransform out;
  const Draws draws(seed, index);
  Affine map;
  out.moves = draw_geometry(config, static_cast<double>(size), draws, map);
  const double geometry[] = {map.a00, map.a01, map.b0, map.a10, map.a11, map.b1};
  std::copy(std::begin(geometry), std::end(geometry), out.geometry);
  Recolouring colours;
  out.colours = draw_colours(config, draws, colours);
  for (int i = 0; i < 3; ++i) {
    // From values in [0, 1] to values in [-1, 1].
    const double* k = colours.k[i];
    std::copy(k, k + 3, out.colour + 4 * i);
    out.colour[4 * i + 3] = k[0] + k[1] + k[2] + 2 * k[3] - 1;
  }
  draw_cutout(config, size, draws, out);
  return out;
}

}  // namespace san
