#include "ops/shared_step/shared_step.h"

#include "check.h"

namespace san::test {
namespace {

struct Moments {
  at::Tensor m, v;
};

/// AdamW's change of `value`, with ATen calls; advances the moments.
at::Tensor delta(const at::Tensor& value, const at::Tensor& gradient, Moments& moments, double t, double lr,
                 double decay) {
  moments.m = moments.m.lerp(gradient, 0.5);
  moments.v = moments.v * 0.99 + gradient.square() * 0.01;
  const at::Tensor scale = (moments.v / (1 - std::pow(0.99, t))).sqrt() + 1e-8;
  return lr * decay * value + lr * moments.m / (1 - std::pow(0.5, t)) / scale;
}

/// One update from a random state by the loop and by its reference.
template <typename T>
void compare_with_reference(bool averaged, bool shared, double tolerance) {
  constexpr T kLambda = 0.3;
  const int64_t n = 70001;
  const auto dtype = c10::CppTypeToScalarType<T>::value;
  const auto values = [&] { return at::randn({n}, dtype); };
  const at::Tensor from_g = values(), from_r = values(), value = values(), average = values();
  const Moments g{values(), values().square()}, r{values(), values().square()};
  std::vector<at::Tensor> results[2];
  for (const bool reference : {false, true}) {
    const at::Tensor w = value.clone(), e = average.clone();
    const Moments a{g.m.clone(), g.v.clone()}, b{r.m.clone(), r.v.clone()};
    const ops::SharedStepParams<T> p{w.mutable_data_ptr<T>(),
                                     averaged ? e.mutable_data_ptr<T>() : nullptr,
                                     n,
                                     T(0.5),
                                     T(0.99),
                                     T(1e-8),
                                     T(1e-3),
                                     T(1e-2),
                                     T(1.5),
                                     T(0.1)};
    const auto update = [](const at::Tensor& gradient, const Moments& moments, T share) {
      return ops::NetworkUpdate<T>{gradient.const_data_ptr<T>(), moments.m.mutable_data_ptr<T>(),
                                   moments.v.mutable_data_ptr<T>(), share};
    };
    if (shared) {
      const auto first = update(from_g, a, kLambda), second = update(from_r, b, 1 - kLambda);
      reference ? ops::shared_step_reference(p, first, second) : ops::shared_step(p, first, second);
    } else {
      const auto own = update(from_g, a, 1);
      reference ? ops::own_step_reference(p, own) : ops::own_step(p, own);
    }
    results[reference] = {w, e, a.m, a.v, b.m, b.v};
  }
  const char* names[] = {"value",
                         "moving average",
                         "generator's first moment",
                         "generator's second moment",
                         "reverser's first moment",
                         "reverser's second moment"};
  const std::string what = std::string(shared ? "shared_step" : "own_step") + " and its reference, " +
                           at::toString(dtype) + (averaged ? ", " : ", no average, ");
  for (size_t i = 0; i < results[0].size(); ++i)
    expect_close(results[0][i], results[1][i], tolerance, what + names[i]);
}

}  // namespace

void shared_step_tests() {
  constexpr double kRate = 1e-2, kDecay = 0.1, kLambda = 0.3, kAverage = 0.9;
  const int64_t n = 70001;  // more than one block of work, and no multiple of a vector
  at::Tensor value = at::randn({n}, at::kDouble), average = at::randn({n}, at::kDouble);
  at::Tensor expected = value.clone(), expected_average = average.clone();
  Moments g{at::zeros_like(value), at::zeros_like(value)}, r{at::zeros_like(value), at::zeros_like(value)};
  Moments expected_g{g.m.clone(), g.v.clone()}, expected_r{r.m.clone(), r.v.clone()};

  for (int t = 1; t <= 3; ++t) {
    const at::Tensor from_g = at::randn({n}, at::kDouble), from_r = at::randn({n}, at::kDouble);
    const at::Tensor change = kLambda * delta(expected, from_g, expected_g, t, kRate, kDecay) +
                              (1 - kLambda) * delta(expected, from_r, expected_r, t, kRate, kDecay);
    expected = expected - change;
    expected_average = expected_average * kAverage + expected * (1 - kAverage);

    const ops::SharedStepParams<double> p{value.mutable_data_ptr<double>(),
                                          average.mutable_data_ptr<double>(),
                                          n,
                                          0.5,
                                          0.99,
                                          1e-8,
                                          kRate * kDecay,
                                          kRate / (1 - std::pow(0.5, t)),
                                          1 / std::sqrt(1 - std::pow(0.99, t)),
                                          1 - kAverage};
    const auto update = [](const at::Tensor& gradient, Moments& moments, double share) {
      return ops::NetworkUpdate<double>{gradient.const_data_ptr<double>(),
                                        moments.m.mutable_data_ptr<double>(),
                                        moments.v.mutable_data_ptr<double>(), share};
    };
    ops::shared_step(p, update(from_g, g, kLambda), update(from_r, r, 1 - kLambda));
  }
  expect_close(value, expected, 1e-13, "shared_step, value");
  expect_close(average, expected_average, 1e-13, "shared_step, moving average");
  expect_close(g.m, expected_g.m, 1e-13, "shared_step, generator's first moment");
  expect_close(r.v, expected_r.v, 1e-13, "shared_step, reverser's second moment");

  for (const bool averaged : {true, false})
    for (const bool shared : {true, false}) {
      compare_with_reference<double>(averaged, shared, 1e-13);
      compare_with_reference<float>(averaged, shared, 1e-6);
    }
}

}  // namespace san::test
