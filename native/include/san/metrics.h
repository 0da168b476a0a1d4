// How close generated images are to real ones, and latents to their prior. Every function is one of its
// arguments alone, up to rounding; `cancelled` is asked between blocks. Arguments that do not fit throw
// ERR_SAN_OPTIONS.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "san/cancelled.h"

namespace san {

struct SlicedWassersteinConfig {
  /// Keys the patches' positions and the directions.
  uint64_t seed = 0;
  int64_t patches_per_image = 64;
  int64_t directions = 512;
};

/// Distance at one level of the pyramids, `size` pixels wide and high.
struct LevelDistance {
  int64_t size;
  double distance;
};

/// Multi-scale sliced Wasserstein distance (Karras et al. 2018, section 5 and its published code), times
/// 1000. `real`, `fake`: uint8 (N, S, S, C) of one shape, S >= 16. A level is half as large as the one before
/// while that is a whole number of at least 16 pixels; the last one is the low-pass image. Finest first. Not
/// zero for equal batches, whose patches differ. Holds 392 N C bytes for each patch of an image, besides a
/// block of projections.
std::vector<LevelDistance> sliced_wasserstein(const at::Tensor& real, const at::Tensor& fake,
                                              const SlicedWassersteinConfig& config,
                                              const Cancelled& cancelled = {});

/// Frechet distance (Heusel et al. 2017, equation 6) of the normal distributions with the means and unbiased
/// covariances of two sets of features, float32 (N, D), N >= 2 each. At least 0.
double frechet_distance(const at::Tensor& real, const at::Tensor& fake, const Cancelled& cancelled = {});

struct KernelDistanceConfig {
  /// Keys the subsets.
  uint64_t seed = 0;
  int64_t subsets = 100;
  /// At least 2; cut to the smaller set.
  int64_t subset_size = 1000;
};

/// Kernel inception distance (Binkowski et al. 2018, section 4): unbiased squared MMD with the kernel (x.y /
/// D + 1)^3, mean over random subsets drawn without replacement; over everything at once where no set is
/// larger than a subset. Features float32 (N, D), N >= 2 each. May be below 0.
double kernel_distance(const at::Tensor& real, const at::Tensor& fake, const KernelDistanceConfig& config,
                       const Cancelled& cancelled = {});

/// Both in [0, 1].
struct PrecisionRecall {
  double precision, recall;
};

/// Improved precision and recall (Kynkaanniemi et al. 2019, section 2): the share of fake features within the
/// distance of some real one to its `neighbours`-th neighbour, and the reverse. A point is no neighbour of
/// its own. Features float32 (N, D), N > neighbours each.
PrecisionRecall precision_recall(const at::Tensor& real, const at::Tensor& fake, int64_t neighbours = 3,
                                 const Cancelled& cancelled = {});

/// Root mean squares over the D dimensions of a latent: of the mean, of the variance minus 1, and over the
/// D (D - 1) pairs of different dimensions of the covariance (0 where D is 1).
struct LatentStatistics {
  double mean, variance, covariance;
};

/// How far latents, float32 (N, ...), N >= 2, are from N(0, 1), by unbiased variances and covariances. All
/// three go to 0 for draws from it; for N of them they are near sqrt(1 / N), sqrt(2 / N) and sqrt(1 / N).
LatentStatistics latent_statistics(const at::Tensor& latents, const Cancelled& cancelled = {});

}  // namespace san
