#include "ops/attention/attention.h"

#include "check.h"

namespace san::test {
namespace {

std::vector<at::Tensor> inputs(int64_t samples, int64_t channels, int64_t hidden, int64_t height,
                               int64_t width) {
  const auto random = [](at::IntArrayRef shape) { return at::randn(shape, at::kDouble); };
  return {random({samples, channels, height, width}), random({hidden, channels}), random({hidden}),
          random({channels, hidden}), random({channels})};
}

at::Tensor run(const std::vector<at::Tensor>& in) {
  return ops::attention({in[1], in[2], in[3], in[4]}, in[0]);
}

at::Tensor run_reference(const std::vector<at::Tensor>& in) {
  return ops::attention_reference({in[1], in[2], in[3], in[4]}, in[0]);
}

}  // namespace

void attention_tests() {
  for (const int64_t channels : {1, 3, 16, 33}) {
    const std::string what = "attention, channels " + std::to_string(channels);
    auto in = inputs(3, channels, 4, 5, 2);
    expect_close(run(in), run_reference(in), 1e-14, what + ", float64");
    for (at::Tensor& tensor : in) tensor = tensor.to(at::kFloat);
    expect_close(run(in), run_reference(in), 1e-6, what + ", float32");
  }
  expect_gradients(run, inputs(2, 5, 4, 3, 2), "attention");
  expect_gradients(run, inputs(3, 4, 6, 1, 1), "attention, one pixel");
}

}  // namespace san::test
