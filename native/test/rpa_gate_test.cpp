#include "ops/rpa_gate/rpa_gate.h"

#include "check.h"
#include "ops/rpa_gate/bilinear.h"

namespace san::test {

void rpa_gate_tests() {
  const auto run = [](const std::vector<at::Tensor>& in) { return ops::rpa_gate(in[0], in[1], in[2]); };
  const auto reference = [](const std::vector<at::Tensor>& in) {
    return ops::rpa_gate_reference(in[0], in[1], in[2]);
  };
  struct Size {
    int64_t channels, height, width, low_height, low_width;
  };
  for (const Size& s : {Size{1, 1, 1, 1, 1},
                        {3, 2, 2, 1, 1},
                        {4, 4, 8, 1, 2},
                        {16, 8, 8, 2, 2},
                        {5, 10, 7, 3, 2},
                        {33, 16, 12, 4, 3}}) {
    const std::string what =
        "rpa_gate, " + std::to_string(s.channels) + " channels, " + std::to_string(s.height) + " rows";
    std::vector<at::Tensor> in = {at::randn({2, s.channels, s.height, s.width}, at::kDouble),
                                  at::randn({2, s.channels, s.low_height, s.low_width}, at::kDouble),
                                  at::randn({s.channels}, at::kDouble)};
    expect_close(run(in), reference(in), 1e-14, what + ", float64");
    // Of one channel the norm is a sign, whose gradient is below what differences can see.
    if (s.channels > 1 && s.channels <= 5) expect_gradients(run, in, what);
    const auto adjoint = [&s](const std::vector<at::Tensor>& z) {
      return ops::bilinear_adjoint_by_products(z[0], s.low_height, s.low_width);
    };
    expect_close(adjoint(in),
                 at::upsample_bilinear2d_backward(in[0], {s.height, s.width}, in[1].sizes(), false), 1e-14,
                 what + ", the adjoint of bilinear()");
    if (s.channels > 1 && s.channels <= 5) {
      // Squares, for both are linear.
      const auto adjoint_of_square = [&](const std::vector<at::Tensor>& z) {
        return adjoint({z[0].square()});
      };
      expect_gradients(adjoint_of_square, {in[0]}, what + ", the adjoint of bilinear()");
      const auto forward = [&s](const std::vector<at::Tensor>& x) {
        return ops::bilinear(x[0].square(), s.height, s.width);
      };
      expect_gradients(forward, {in[1]}, what + ", bilinear()");
    }
    for (at::Tensor& tensor : in) tensor = tensor.to(at::kFloat);
    expect_close(run(in), reference(in), 1e-6, what + ", float32");
    const at::Tensor wanted = reference(in);
    for (at::Tensor& tensor : in) tensor = tensor.to(at::kBFloat16);
    expect_close(run(in).to(at::kFloat), wanted, 0.02, what + ", bfloat16");
  }
}

}  // namespace san::test
