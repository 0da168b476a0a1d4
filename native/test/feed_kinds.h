// Augmentations that the feed is tested with.
#pragma once

#include <vector>

#include "san/augmentation.h"

namespace san::test {

struct Kind {
  const char* name;
  AugmentationConfig config;
  /// Pixels are moved as they are, so that not a bit may differ.
  bool exact = false;
};

inline std::vector<Kind> kinds() {
  std::vector<Kind> all;
  const auto add = [&](const char* name, bool exact, const auto& change) {
    AugmentationConfig config;
    change(config);
    all.push_back({name, config, exact});
  };
  add("nothing", true, [](auto&) {});
  add("horizontal flip", true, [](auto& c) { c.flip_horizontal = 0.5; });
  add("vertical flip", true, [](auto& c) { c.flip_vertical = 0.5; });
  add("turn by quarters", true, [](auto& c) { c.rotate90 = 0.8; });
  add("shift", true, [](auto& c) { c.translate = 0.5; });
  add("cutout", true, [](auto& c) { c.cutout = 0.4; });
  add("turn", false, [](auto& c) { c.rotate = 180; });
  add("crop", false, [](auto& c) { c.crop_scale = 0.1; });
  add("brightness", false, [](auto& c) { c.brightness = 0.5; });
  add("contrast", false, [](auto& c) { c.contrast = 0.9; });
  add("saturation", false, [](auto& c) { c.saturation = 1; });
  add("hue", false, [](auto& c) { c.hue = 0.5; });
  add("flips, turns, shifts, cutout", true, [](auto& c) {
    c.flip_horizontal = c.flip_vertical = c.rotate90 = 0.5;
    c.translate = 0.3;
    c.cutout = 0.3;
  });
  add("everything", false, [](auto& c) {
    c.flip_horizontal = c.flip_vertical = c.rotate90 = 0.5;
    c.rotate = 180;
    c.translate = 0.5;
    c.crop_scale = 0.2;
    c.brightness = c.contrast = c.saturation = 0.4;
    c.hue = 0.3;
    c.cutout = 0.3;
  });
  return all;
}

}  // namespace san::test
