// Plain settings of the core. Names follow the spec; validate() throws Error with the field's name.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace san {

inline constexpr int kModules = 6;
inline constexpr int kBlocks = 3;

/// What convolutions and activations are computed in; everything else is float32, or the parameters' float64.
/// tf32 is a mode of a GPU's multipliers, and fp32 elsewhere.
enum class Precision { fp32, tf32, bf16 };

/// Architecture of both networks (spec, section 1).
struct ModelConfig {
  std::array<int64_t, kModules + 1> widths{};
  std::array<int64_t, kModules> strides{};
  int64_t latent_channels = 0;
  int64_t latent_size = 0;
  int64_t image_channels = 3;
  double ado_threshold = 0.3;
  double ado_ratio = 0.5;
  double rpa_ratio = 0.5;
  double attention_ratio = 0.25;

  /// S = Sz * product(strides), in pixels.
  int64_t image_size() const;
  /// D = Zc * Sz * Sz, the length of a flattened latent.
  int64_t latent_numel() const;
  void validate() const;
};

/// Wasserstein distance estimators (spec, section 2).
enum class Estimator { normal, sliced, sinkhorn, dual };

/// Which latent meets which image in LGI (spec, section 2).
enum class Pairing { cycle, assigned, random };

/// What takes the place of wRZ * LRZ in R's loss under repulsion, with weight w and margin m (spec, section
/// 2): `hinge` w max(0, m - LRZ); `exponential` w m exp(-LRZ / m), which has the hinge's value and slope at 0
/// and fades out instead of ending (as in Daniel and Tamar 2021, Soft-IntroVAE).
enum class RepulsionForm { hinge, exponential };

/// What keeps R smooth, where g = d<R(h), u>/dh for a random unit direction u per sample: `wgan_gp`
/// mean((||g|| - 1)^2) between real and generated images, h = e X + (1 - e) G(Z) (spec, section 2; Gulrajani
/// et al. 2017); `r1` mean(||g||^2) at real images, h = X (Mescheder et al. 2018).
enum class PenaltyForm { wgan_gp, r1 };

/// Weights and settings of the losses (spec, section 2).
struct LossConfig {
  Estimator estimator = Estimator::normal;
  int64_t projections = 64;
  Pairing pairing = Pairing::cycle;
  double w_gd = 0.3;
  double w_gi = 1;
  /// Weights of LGI at full resolution, at half of it, and so on.
  std::vector<double> lgi_scales = {1};
  double w_rz = 1;
  double w_rx = 1;
  double w_lz = 0;
  /// 0 turns repulsion off; otherwise it takes the place of w_rz.
  double repulsion_weight = 0.3;
  double repulsion_margin = 1;
  RepulsionForm repulsion_form = RepulsionForm::hinge;
  /// 0 turns the gradient penalty off.
  double penalty_weight = 0;
  int64_t penalty_every = 1;
  PenaltyForm penalty_form = PenaltyForm::wgan_gp;
  double sinkhorn_epsilon = 0.05;
  int64_t sinkhorn_iterations = 100;
  /// Largest shift of the images that R sees in training, real and generated alike, in each direction as a
  /// share of the width; 0 shifts none. training/shift.h.
  double reverser_shift = 0;
  /// Share of the images that are shifted.
  double reverser_shift_probability = 0.7;
  /// s in LGD = (1 - s) WD(R(G(Z)), Z) + s WD(R(G(R(X))), Z), and so in repulsion, 0 to 1; above 0 only with
  /// Pairing::cycle. LGI alone blurs reconstructions; judged as samples are, they are as sharp.
  double reconstruction_share = 0;

  void validate() const;
};

/// AdamW, sharing and the moving average (spec, section 3). The betas and epsilon are the spec's.
struct OptimizerConfig {
  static constexpr double kBeta1 = 0.5;
  static constexpr double kBeta2 = 0.99;
  static constexpr double kEpsilon = 1e-8;

  double learning_rate = 1e-3;
  double weight_decay = 1e-2;
  /// Share of the generator's update in a shared kernel, 0 to 1.
  double lambda = 0.5;
  /// Decay of the generator's moving average per step.
  double ema_decay = 0.99;
  /// Whether the last two kernels of stride 2 are held to those that draw no checkerboards:
  /// ops/polyphase/params.h. Those before lay out the picture, and need their freedom (docs/quality.md).
  bool checkerboard_free = false;

  void validate() const;
};

/// What a schedule may change from step to step: the constants of the same names in OptimizerConfig and
/// LossConfig.
struct StepRates {
  double learning_rate, lambda, ema_decay;
  /// Above 0; without effect where LossConfig::repulsion_weight is 0.
  double repulsion_weight;

  void validate() const;
};

}  // namespace san
