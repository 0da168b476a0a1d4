// lib/native.ts, Addon: the metrics. Shapes and values are checked by the core.
#include "binding/metrics.h"

#include <utility>
#include <vector>

#include "binding/convert.h"
#include "binding/environment.h"
#include "binding/handle.h"
#include "san/metrics.h"

namespace san::binding {
namespace {

constexpr int64_t kMostDraws = 1 << 20;

/// Runs `work(cancelled)` on the engine thread with all cores.
template <typename Work, typename Convert>
Napi::Promise measure(Napi::Env env, Work work, Convert convert) {
  Environment& here = Environment::of(env);
  return here.run(
      env,
      [work = std::move(work), lifetime = here.lifetime()] {
        use_threads(0);
        return work([&] { return lifetime->dead.load(); });
      },
      std::move(convert));
}

Napi::Value number_of(Napi::Env env, double value) { return Napi::Number::New(env, value); }

uint64_t read_seed(Options& options) {
  return static_cast<uint64_t>(options.integer("seed", 0, kLargestInteger));
}

Napi::Value levels_of(Napi::Env env, const std::vector<LevelDistance>& levels) {
  Napi::Array out = Napi::Array::New(env, levels.size());
  for (size_t i = 0; i < levels.size(); ++i) {
    Napi::Object level = Napi::Object::New(env);
    level.Set("size", static_cast<double>(levels[i].size));
    level.Set("distance", levels[i].distance);
    out.Set(static_cast<uint32_t>(i), level);
  }
  return out;
}

Napi::Value sliced_wasserstein_of(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    Options options(info[0], "slicedWasserstein");
    const at::Tensor real = read_images(options.object("real"), nullptr),
                     fake = read_images(options.object("fake"), nullptr);
    SlicedWassersteinConfig config;
    config.seed = read_seed(options);
    config.patches_per_image = options.integer_or("patchesPerImage", 1, kMostDraws, config.patches_per_image);
    config.directions = options.integer_or("directions", 1, kMostDraws, config.directions);
    options.finish();
    return measure(
        info.Env(),
        [real, fake, config](const Cancelled& cancelled) {
          return sliced_wasserstein(real, fake, config, cancelled);
        },
        levels_of);
  });
}

/// `real` and `fake` of an options object.
std::pair<at::Tensor, at::Tensor> read_sets(Options& options) {
  return {read_features(options.object("real")), read_features(options.object("fake"))};
}

Napi::Value frechet_distance_of(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    Options options(info[0], "frechetDistance");
    auto sets = read_sets(options);
    options.finish();
    return measure(
        info.Env(),
        [sets = std::move(sets)](const Cancelled& cancelled) {
          return frechet_distance(sets.first, sets.second, cancelled);
        },
        number_of);
  });
}

Napi::Value kernel_distance_of(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    Options options(info[0], "kernelDistance");
    auto sets = read_sets(options);
    KernelDistanceConfig config;
    config.seed = read_seed(options);
    config.subsets = options.integer_or("subsets", 1, kMostDraws, config.subsets);
    config.subset_size = options.integer_or("subsetSize", 2, kLargestInteger, config.subset_size);
    options.finish();
    return measure(
        info.Env(),
        [sets = std::move(sets), config](const Cancelled& cancelled) {
          return kernel_distance(sets.first, sets.second, config, cancelled);
        },
        number_of);
  });
}

Napi::Value precision_recall_of(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    Options options(info[0], "precisionRecall");
    auto sets = read_sets(options);
    const int64_t neighbours = options.integer_or("neighbours", 1, kMostDraws, 3);
    options.finish();
    return measure(
        info.Env(),
        [sets = std::move(sets), neighbours](const Cancelled& cancelled) {
          return precision_recall(sets.first, sets.second, neighbours, cancelled);
        },
        [](Napi::Env env, const PrecisionRecall& found) -> Napi::Value {
          Napi::Object out = Napi::Object::New(env);
          out.Set("precision", found.precision);
          out.Set("recall", found.recall);
          return out;
        });
  });
}

Napi::Value latent_statistics_of(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    Options options(info[0], "latentStatistics");
    const at::Tensor latents = read_latents(options.object("latents"));
    options.finish();
    return measure(
        info.Env(), [latents](const Cancelled& cancelled) { return latent_statistics(latents, cancelled); },
        [](Napi::Env env, const LatentStatistics& found) -> Napi::Value {
          Napi::Object out = Napi::Object::New(env);
          out.Set("mean", found.mean);
          out.Set("variance", found.variance);
          out.Set("covariance", found.covariance);
          return out;
        });
  });
}

}  // namespace

void export_metrics(Napi::Env env, Napi::Object exports) {
  exports.Set("slicedWasserstein", Napi::Function::New<sliced_wasserstein_of>(env, "slicedWasserstein"));
  exports.Set("frechetDistance", Napi::Function::New<frechet_distance_of>(env, "frechetDistance"));
  exports.Set("kernelDistance", Napi::Function::New<kernel_distance_of>(env, "kernelDistance"));
  exports.Set("precisionRecall", Napi::Function::New<precision_recall_of>(env, "precisionRecall"));
  exports.Set("latentStatistics", Napi::Function::New<latent_statistics_of>(env, "latentStatistics"));
}

}  // namespace san::binding
