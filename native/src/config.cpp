#include "san/config.h"

#include <cmath>
#include <string>

#include "san/error.h"

namespace san {
namespace {

// Above this a width or size is a mistake, and products of them would overflow.
constexpr int64_t kLargest = 1 << 16;

void check(bool ok, const char* field, const std::string& message) {
  if (!ok) throw Error(kOptions, std::string(field) + " " + message, field);
}

void check_count(int64_t value, const char* field) {
  check(value >= 1 && value <= kLargest, field,
        "is " + std::to_string(value) + "; it must lie between 1 and " + std::to_string(kLargest));
}

void check_range(double value, double low, double high, const char* field) {
  check(std::isfinite(value) && value >= low && value <= high, field,
        "is " + std::to_string(value) + "; it must lie between " + std::to_string(low) + " and " +
            std::to_string(high));
}

void check_weight(double value, const char* field) {
  check(std::isfinite(value) && value >= 0, field,
        "is " + std::to_string(value) + "; it must be 0 or a positive number");
}

}  // namespace

int64_t ModelConfig::image_size() const {
  int64_t size = latent_size;
  for (int64_t stride : strides) size *= stride;
  return size;
}

int64_t ModelConfig::latent_numel() const { return latent_channels * latent_size * latent_size; }

void ModelConfig::validate() const {
  for (int64_t width : widths) check_count(width, "widths");
  for (int64_t stride : strides)
    check(stride == 1 || stride == 2, "strides", "holds " + std::to_string(stride) + "; each must be 1 or 2");
  for (int m = 0; m < kModules; ++m) {
    const int64_t a = widths[m], b = widths[m + 1];
    check(a % b == 0 || b % a == 0, "widths",
          "holds the neighbours " + std::to_string(a) + " and " + std::to_string(b) + " (entries " +
              std::to_string(m) + " and " + std::to_string(m + 1) + "); one must divide the other");
  }
  check_count(latent_channels, "latentChannels");
  check_count(latent_size, "latentSize");
  check_count(image_channels, "imageChannels");
  check_count(image_size(), "latentSize * product(strides)");
  check_range(ado_threshold, 0, 1, "adoThreshold");
  check_range(ado_ratio, 0, 16, "adoRatio");
  check_range(rpa_ratio, 0, 16, "rpaRatio");
  check_range(attention_ratio, 0, 16, "attentionRatio");
}

void LossConfig::validate() const {
  check_count(projections, "projections");
  check_weight(w_gd, "wGD");
  check_weight(w_gi, "wGI");
  check(!lgi_scales.empty(), "lgiScales", "is empty; it must hold a weight for full resolution at least");
  for (const double weight : lgi_scales) check_weight(weight, "lgiScales");
  check_weight(w_rz, "wRZ");
  check_weight(w_rx, "wRX");
  check_weight(w_lz, "wLZ");
  check_weight(repulsion_weight, "repulsionWeight");
  check_weight(repulsion_margin, "repulsionMargin");
  if (repulsion_form == RepulsionForm::exponential)
    check(repulsion_margin > 0, "repulsionMargin",
          "is 0; under repulsionForm exponential it must be above 0");
  check_weight(penalty_weight, "penaltyWeight");
  check_count(penalty_every, "penaltyEvery");
  check(sinkhorn_epsilon > 0 && std::isfinite(sinkhorn_epsilon), "sinkhornEpsilon",
        "is " + std::to_string(sinkhorn_epsilon) + "; it must be a positive number");
  check_count(sinkhorn_iterations, "sinkhornIterations");
  check_range(reverser_shift, 0, 0.5, "reverserShift");
  check_range(reverser_shift_probability, 0, 1, "reverserShiftProbability");
  check_range(reconstruction_share, 0, 1, "reconstructionShare");
  check(reconstruction_share == 0 || pairing == Pairing::cycle, "reconstructionShare",
        "is above 0, and pairing is not cycle; only the cycle has reconstructions");
}

void OptimizerConfig::validate() const {
  check_weight(learning_rate, "learningRate");
  check_weight(weight_decay, "weightDecay");
  check_range(lambda, 0, 1, "lambda");
  check_range(ema_decay, 0, 1, "emaDecay");
}

void StepRates::validate() const {
  check_weight(learning_rate, "learningRate");
  check_range(lambda, 0, 1, "lambda");
  check_range(ema_decay, 0, 1, "emaDecay");
  check_weight(repulsion_weight, "repulsionWeight");
}

}  // namespace san
