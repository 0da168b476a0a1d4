#include "san/parameters.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "random/random.h"
#include "san/error.h"

namespace san {
namespace {

int64_t hidden_width(int64_t channels, double ratio) {
  return std::max<int64_t>(4, static_cast<int64_t>(static_cast<double>(channels) * ratio));
}

std::string describe(at::IntArrayRef shape) {
  std::ostringstream out;
  out << "[";
  for (size_t i = 0; i < shape.size(); ++i) out << (i ? ", " : "") << shape[i];
  out << "]";
  return out.str();
}

/// Kernels lie channels-last in memory for good, as convolutions want them, so that none is laid out again in
/// each call.
at::Tensor laid_out(const at::Tensor& t) {
  return t.dim() == 4 ? t.contiguous(at::MemoryFormat::ChannelsLast) : t.contiguous();
}

/// Gain of LeakyReLU(0.2) over the square root of the fan, fan = size of dimension 1 times the kernel's area.
double kaiming_std(const std::vector<int64_t>& shape) {
  int64_t fan = 1;
  for (size_t i = 1; i < shape.size(); ++i) fan *= shape[i];
  return std::sqrt(2.0 / (1.0 + 0.2 * 0.2) / static_cast<double>(fan));
}

class Catalogue {
 public:
  explicit Catalogue(const ModelConfig& config) : config_(config) {}

  std::vector<ParameterSpec> build() {
    const auto& w = config_.widths;
    weight("kernel.latent", {config_.latent_channels, w[0], 1, 1}, Owner::shared);
    for (int m = 0; m < kModules; ++m)
      for (int b = 0; b < kBlocks; ++b)
        weight("kernel.m" + std::to_string(m) + ".b" + std::to_string(b),
               {b == 0 ? w[m] : w[m + 1], w[m + 1], 3, 3}, Owner::shared, b == 0 && is_late_doubling(m));
    weight("kernel.image", {w[kModules], config_.image_channels, 3, 3}, Owner::shared);
    network(Net::generator);
    network(Net::reverser);
    return std::move(specs_);
  }

 private:
  /// Whether module m is one of the last two that double the size.
  bool is_late_doubling(int m) const {
    const auto& s = config_.strides;
    return s[m] == 2 && std::count(s.begin() + m + 1, s.end(), 2) < 2;
  }

  void weight(const std::string& name, std::vector<int64_t> shape, Owner owner, bool draws_grid = false) {
    specs_.push_back({name, std::move(shape), owner, false, draws_grid});
  }

  void bias(const std::string& name, int64_t width, Owner owner) {
    specs_.push_back({name, {width}, owner, true});
  }

  void attention(const std::string& name, int64_t channels, Owner owner) {
    const int64_t hidden = hidden_width(channels, config_.attention_ratio);
    weight(name + ".squeeze.weight", {hidden, channels}, owner);
    bias(name + ".squeeze.bias", hidden, owner);
    weight(name + ".excite.weight", {channels, hidden}, owner);
    bias(name + ".excite.bias", channels, owner);
  }

  void gate(const std::string& name, int64_t channels, double ratio, Owner owner) {
    const int64_t hidden = hidden_width(channels, ratio);
    weight(name + ".squeeze.weight", {hidden, channels, 3, 3}, owner);
    bias(name + ".squeeze.bias", hidden, owner);
    weight(name + ".gate.weight", {channels, hidden, 3, 3}, owner);
    bias(name + ".gate.bias", channels, owner);
  }

  void network(Net net) {
    const bool forward = net == Net::generator;
    const Owner owner = forward ? Owner::generator : Owner::reverser;
    const std::string prefix = name_of(net);
    const auto& w = config_.widths;
    bias(prefix + ".latent.bias", forward ? w[0] : config_.latent_channels, owner);
    bias(prefix + ".image.bias", forward ? config_.image_channels : w[kModules], owner);
    for (int m = 0; m < kModules; ++m) {
      const std::string module = prefix + ".m" + std::to_string(m);
      for (int b = 0; b < kBlocks; ++b) {
        int64_t in = b == 0 ? w[m] : w[m + 1], out = w[m + 1];
        if (!forward) std::swap(in, out);
        const std::string block = module + ".b" + std::to_string(b);
        bias(block + ".bias", out, owner);
        attention(block + ".attention", in, owner);
      }
      gate(module + ".ado", w[m], config_.ado_ratio, owner);
      gate(module + ".rpa", w[m + 1], config_.rpa_ratio, owner);
    }
  }

  const ModelConfig& config_;
  std::vector<ParameterSpec> specs_;
};

}  // namespace

const char* name_of(Net net) { return net == Net::generator ? "generator" : "reverser"; }

std::vector<ParameterSpec> parameter_specs(const ModelConfig& config) {
  config.validate();
  return Catalogue(config).build();
}

ParameterStore::ParameterStore(std::vector<ParameterSpec> specs, std::vector<at::Tensor> tensors)
    : specs_(std::move(specs)), tensors_(std::move(tensors)), copies_(specs_.size()) {
  for (size_t i = 0; i < specs_.size(); ++i) {
    by_name_.emplace(specs_[i].name, i);
    if (specs_[i].belongs_to(Net::generator)) generator_indices_.push_back(i);
    if (specs_[i].belongs_to(Net::reverser)) reverser_indices_.push_back(i);
  }
}

ParameterStore ParameterStore::initial(const ModelConfig& config, uint64_t seed,
                                       const at::TensorOptions& options) {
  auto specs = parameter_specs(config);
  std::vector<at::Tensor> tensors;
  tensors.reserve(specs.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].is_bias) {
      tensors.push_back(at::zeros(specs[i].shape, options));
      continue;
    }
    at::Tensor values = random::normal({seed, random::Stream::initial_value, i}, specs[i].shape);
    tensors.push_back(
        laid_out(values.to(options.dtype()).mul_(kaiming_std(specs[i].shape))).to(options.device()));
  }
  return ParameterStore(std::move(specs), std::move(tensors));
}

ParameterStore ParameterStore::from(const ModelConfig& config, const at::TensorOptions& options,
                                    const std::function<at::Tensor(const std::string&)>& lookup) {
  auto specs = parameter_specs(config);
  std::vector<at::Tensor> tensors;
  tensors.reserve(specs.size());
  for (const ParameterSpec& spec : specs) {
    const at::Tensor found = lookup(spec.name);
    if (!found.defined())
      throw Error(
          kMismatch,
          "tensor '" + spec.name + "' is missing; this model needs it with shape " + describe(spec.shape),
          spec.name);
    if (found.sizes() != at::IntArrayRef(spec.shape))
      throw Error(kMismatch,
                  "tensor '" + spec.name + "' has shape " + describe(found.sizes()) + "; this model needs " +
                      describe(spec.shape),
                  spec.name);
    // A copy of its own: the optimizer writes in place.
    tensors.push_back(laid_out(found.to(options, /*non_blocking=*/false, /*copy=*/true)));
  }
  return ParameterStore(std::move(specs), std::move(tensors));
}

void ParameterStore::keep_copies() {
  for (size_t i = 0; i < size(); ++i)
    if (tensors_[i].dim() == 4)
      copies_[i] = at::empty_like(tensors_[i], tensors_[i].options().dtype(at::kBFloat16));
  refresh_copies();
}

void ParameterStore::refresh_copies() const {
  for (size_t i = 0; i < size(); ++i)
    if (copies_[i].defined()) copies_[i].copy_(tensors_[i]);
}

const at::Tensor& ParameterStore::tensor(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) throw Error(kNative, "no parameter is called '" + name + "'", name);
  return tensors_[found->second];
}

}  // namespace san
