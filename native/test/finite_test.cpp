#include "training/finite.h"

#include <ATen/ATen.h>

#include <limits>

#include "check.h"

namespace san::test {

void finite_tests() {
  ModelConfig model;
  model.widths = {4, 4, 4, 4, 4, 4, 4};
  model.strides = {1, 1, 1, 1, 1, 1};
  model.latent_channels = 4;
  model.latent_size = 4;
  const ParameterStore parameters = ParameterStore::initial(model, 1, at::kFloat);
  StepResult result{};
  for (const Net net : {Net::generator, Net::reverser})
    for (const size_t i : parameters.indices(net))
      (net == Net::generator ? result.generator_gradients : result.reverser_gradients)
          .push_back(at::zeros_like(parameters.tensor(i)));
  expect(first_not_finite(result, parameters).empty() && name_of_fault(kAllFinite, parameters).empty(),
         "everything is finite");

  // From the last to the first: each that is spoilt comes before those that were.
  const float infinity = std::numeric_limits<float>::infinity();
  result.reverser_gradients.back().view(-1)[0] = infinity;
  const std::string last = "gradient of " + parameters.spec(parameters.size() - 1).name + " in the reverser";
  expect(first_not_finite(result, parameters) == last, "the reverser's last gradient");
  result.reverser_gradients[0].fill_(-infinity);
  expect(first_not_finite(result, parameters) == "gradient of kernel.latent in the reverser",
         "a kernel's gradient of the reverser");
  result.generator_gradients.back().fill_(std::numeric_limits<float>::quiet_NaN());
  expect(first_not_finite(result, parameters).ends_with(" in the generator"),
         "the generator's last gradient");
  result.generator_gradients[0].fill_(infinity);
  expect(first_not_finite(result, parameters) == "gradient of kernel.latent in the generator",
         "a kernel's gradient of the generator");
  result.losses[5] = infinity;
  expect(first_not_finite(result, parameters) == "loss gp", "a loss comes first");
}

}  // namespace san::test
