#include "random/random.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "check.h"
#include "random/philox.h"
#include "random/reference.h"

namespace san::test {

void random_tests() {
  using random::philox;
  using random::Words;
  // Known answers of the Random123 distribution for philox4x32-10.
  expect(philox({0, 0, 0, 0}, 0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
         "philox of zeros");
  expect(philox({~0u, ~0u, ~0u, ~0u}, ~0u, ~0u) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
         "philox of ones");
  expect(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0) ==
             Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
         "philox of pi");

  // The polynomials against libm in double.
  double worst_log = 0, worst_sin = 0, worst_cos = 0;
  for (uint32_t i = 1; i <= 1u << 24; i += 37) {
    const float u = static_cast<float>(i) * 0x1p-24f;
    const double exact = std::log(static_cast<double>(u));
    worst_log = std::max(worst_log, std::abs(random::log_unit(u) - exact) / std::max(1e-7, std::abs(exact)));
    if (i == 1u << 24) break;
    const auto [s, c] = random::sincos_turn(u);
    const double turn = 2 * 3.14159265358979323846 * static_cast<double>(u);
    worst_sin = std::max(worst_sin, std::abs(s - std::sin(turn)));
    worst_cos = std::max(worst_cos, std::abs(c - std::cos(turn)));
  }
  expect(worst_log < 4e-7, "log, relative error " + std::to_string(worst_log));
  expect(worst_sin < 2e-7 && worst_cos < 2e-7, "sine and cosine");

  const auto normal = [](uint64_t index) {
    return random::normal({7, random::Stream::sample_latent, index}, {33});
  };
  const at::Tensor rows = random::normal_rows({7, random::Stream::sample_latent, 100}, 5, 33);
  for (int64_t r = 0; r < 5; ++r)
    expect(rows[r].equal(normal(100 + static_cast<uint64_t>(r))), "a row does not depend on its batch");
  expect(!normal(1).equal(normal(2)), "indices differ");
  // Beyond 32 bits the index still counts.
  expect(!normal(1).equal(normal((uint64_t{1} << 32) + 1)), "high words of the index differ");

  const at::Tensor many = random::normal({1, random::Stream::direction, 0}, {1 << 20}).to(at::kDouble);
  expect(std::abs(many.mean().item<double>()) < 0.004, "mean of normals");
  expect(std::abs(many.var().item<double>() - 1) < 0.006, "variance of normals");
  expect(std::abs(many.pow(4).mean().item<double>() - 3) < 0.05, "fourth moment of normals");

  // The same by ATen's calls; keys of more than 32 bits.
  const random::Key far{0x123456789ABCDEF0, random::Stream::sample_latent, (uint64_t{1} << 33) - 2};
  at::Tensor drawn = random::normal_rows(far, 7, 1001), wanted = random::normal_rows_reference(far, 7, 1001);
  expect_close(drawn, wanted, 5e-7, "normal numbers and their reference");
  expect(random::uniform(far, 1001).equal(random::uniform_reference(far, 1001)),
         "uniform numbers and their reference");
  for (const double threshold : {1.0, 0.1}) {
    random::redraw_beyond(drawn, 5, 3, threshold);
    random::redraw_beyond_reference(wanted, 5, 3, threshold);
    expect_close(drawn, wanted, 1e-5, "redrawn numbers and their reference");
  }

  const auto order = random::permutation({3, random::Stream::order, 0}, 1000);
  expect(std::set<int64_t>(order.begin(), order.end()).size() == 1000, "a permutation holds each index once");
  expect(order != random::permutation({3, random::Stream::order, 1}, 1000),
         "epochs have orders of their own");

  const auto few = random::subset({3, random::Stream::order, 0}, 1000, 7);
  expect(few == std::vector<int64_t>(order.end() - 7, order.end()), "a subset is the end of the permutation");
  expect(random::subset({3, random::Stream::order, 0}, 5, 0).empty(), "an empty subset");
  const auto integers = random::integers({3, random::Stream::metric_patch, 0}, 6002, 3);
  for (int64_t value = 0; value < 3; ++value)
    expect(std::abs(std::count(integers.begin(), integers.end(), value) - 2000) < 150,
           "integers are uniform");
}

}  // namespace san::test
