#include "ops/norm_act/norm_act.h"

#include "check.h"

namespace san::test {
namespace {

/// Values away from 0, where LeakyReLU has its kink.
at::Tensor input(at::IntArrayRef shape) {
  const at::Tensor x = at::randn(shape, at::kDouble);
  return x + 0.01 * x.sign();
}

}  // namespace

void norm_act_tests() {
  for (const double slope : {0.2, 1.0}) {
    for (const int64_t channels : {1, 2, 3, 7, 16, 33}) {
      const std::string what =
          "norm_act, slope " + std::to_string(slope) + ", channels " + std::to_string(channels);
      const at::Tensor x = input({2, channels, 3, 5});
      expect_close(ops::norm_act(x, slope), ops::norm_act_reference(x, slope), 1e-14, what + ", float64");
      const at::Tensor x32 = x.to(at::kFloat);
      expect_close(ops::norm_act(x32, slope), ops::norm_act_reference(x32, slope), 1e-6, what + ", float32");
    }
    const std::string what = "norm_act, slope " + std::to_string(slope);
    const auto f = [slope](const std::vector<at::Tensor>& in) { return ops::norm_act(in[0], slope); };
    expect_gradients(f, {input({2, 5, 2, 3})}, what);
    expect_gradients(f, {input({1, 33, 1, 1})}, what + ", one pixel");
    const auto strided = [slope](const std::vector<at::Tensor>& in) {
      return ops::norm_act(in[0].permute({1, 0, 3, 2}), slope);
    };
    expect_gradients(strided, {input({4, 2, 2, 3})}, what + ", strided");
  }
  const at::Tensor zeros = at::zeros({1, 4, 2, 2});
  expect(ops::norm_act(zeros, 0.2).equal(zeros), "norm_act of zeros");
}

}  // namespace san::test
