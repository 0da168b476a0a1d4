// The catalogue of a model's parameters, and the tensors behind it.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "san/config.h"

namespace san {

enum class Net { generator, reverser };

/// "generator" or "reverser".
const char* name_of(Net net);

enum class Owner { shared, generator, reverser };

/// One parameter: its checkpoint name (spec, section 5), shape and owner.
struct ParameterSpec {
  std::string name;
  std::vector<int64_t> shape;
  Owner owner;
  /// Biases start at zero and are not decayed.
  bool is_bias;
  /// A kernel of stride 2 that could draw a grid one sees: of the last two by which G doubles the size.
  bool draws_grid = false;

  bool belongs_to(Net net) const {
    return owner == Owner::shared || (owner == Owner::generator) == (net == Net::generator);
  }
};

/// All parameters of a model in checkpoint order: kernels, generator's own, reverser's own.
std::vector<ParameterSpec> parameter_specs(const ModelConfig& config);

/// Named tensors in catalogue order. Each shared kernel is held once.
class ParameterStore {
 public:
  /// Kaiming-initialised parameters (spec, section 1, "Initial values"), the same on every machine for one
  /// seed.
  static ParameterStore initial(const ModelConfig& config, uint64_t seed, const at::TensorOptions& options);
  /// The tensors that `lookup` gives by name; it returns an undefined tensor where it has none, which is an
  /// ERR_SAN_CHECKPOINT_MISMATCH, as is a tensor of another shape.
  static ParameterStore from(const ModelConfig& config, const at::TensorOptions& options,
                             const std::function<at::Tensor(const std::string&)>& lookup);

  size_t size() const { return specs_.size(); }
  const ParameterSpec& spec(size_t i) const { return specs_[i]; }
  const at::Tensor& tensor(size_t i) const { return tensors_[i]; }
  const at::Tensor& tensor(const std::string& name) const;
  /// Keeps a bfloat16 copy of each kernel of a convolution, for steps that compute in it. Whoever changes
  /// values writes the copies as well, or calls refresh_copies().
  void keep_copies();
  void refresh_copies() const;
  /// Undefined, or of one memory order with tensor(i).
  const at::Tensor& copy(size_t i) const { return copies_[i]; }
  /// Catalogue indices of the parameters that a network uses: all kernels and its own.
  const std::vector<size_t>& indices(Net net) const {
    return net == Net::generator ? generator_indices_ : reverser_indices_;
  }

 private:
  ParameterStore(std::vector<ParameterSpec> specs, std::vector<at::Tensor> tensors);

  std::vector<ParameterSpec> specs_;
  std::vector<at::Tensor> tensors_, copies_;
  std::unordered_map<std::string, size_t> by_name_;
  std::vector<size_t> generator_indices_;
  std::vector<size_t> reverser_indices_;
};

}  // namespace san
