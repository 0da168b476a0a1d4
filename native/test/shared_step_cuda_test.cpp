// The kernels of the update of all parameters, emulated, against the processor's.
#include <cmath>
#include <limits>

#include "check.h"
#include "cuda_emulation/both_orders.h"
#include "ops/shared_step/launch.h"
#include "ops/shared_step/shared_step.h"

namespace san::test {
namespace {

constexpr double kBeta1 = 0.5, kBeta2 = 0.99, kEpsilon = 1e-8, kDecay = 0.1;
enum class Owner { shared, generator, reverser };

/// A parameter with all that belongs to it; undefined where it has none.
template <typename T>
struct Parameter {
  Parameter(int64_t n, Owner owner_, bool decays_, bool copied, bool aligned)
      : owner(owner_), decays(decays_) {
    const auto room = [&](at::ScalarType dtype) {
      // Behind one element, so that vector accesses are not possible.
      const at::Tensor all = at::randn({n + 1}, at::kDouble).to(dtype);
      return aligned ? all.narrow(0, 0, n) : all.narrow(0, 1, n);
    };
    const auto dtype = c10::CppTypeToScalarType<T>::value;
    value = room(dtype);
    if (owner != Owner::reverser) {
      average = room(dtype);
      g_m = room(dtype);
      g_v = room(dtype).square();
    }
    if (owner != Owner::generator) {
      r_m = room(dtype);
      r_v = room(dtype).square();
    }
    if (copied) copy = room(at::kBFloat16);
  }

  std::vector<at::Tensor> tensors() const { return {value, average, g_m, g_v, r_m, r_v}; }
  Parameter clone() const {
    Parameter out = *this;
    for (at::Tensor* t : {&out.value, &out.average, &out.g_m, &out.g_v, &out.r_m, &out.r_v})
      if (t->defined()) *t = t->clone();
    return out;
  }

  Owner owner;
  bool decays;
  at::Tensor value, average, g_m, g_v, r_m, r_v, copy;
};

template <typename T>
T* pointer(const at::Tensor& t) {
  return t.defined() ? static_cast<T*>(t.mutable_data_ptr()) : nullptr;
}

template <typename T>
struct Model {
  std::vector<Parameter<T>> parameters;
  std::vector<ops::StepSegment<T>> segments;
  std::vector<ops::StepChunk> chunks;

  void add(const Parameter<T>& p) {
    const auto number = static_cast<int32_t>(parameters.size());
    parameters.push_back(p);
    segments.push_back({pointer<T>(p.value), pointer<T>(p.average), pointer<ops::cuda::Bf16>(p.copy),
                        pointer<T>(p.g_m), pointer<T>(p.g_v), pointer<T>(p.r_m), pointer<T>(p.r_v),
                        p.value.numel(), ops::kStepLosses + number, 1000 + number, p.decays});
    for (int32_t k = 0; k * ops::kStepChunk < p.value.numel(); ++k) chunks.push_back({number, k});
  }

  ops::StepTable<T> table() const {
    return {segments.data(), chunks.data(), static_cast<int64_t>(chunks.size())};
  }
};

template <typename T>
Model<T> make_model() {
  Model<T> model;
  for (const Owner owner : {Owner::shared, Owner::generator, Owner::reverser}) {
    model.add({1, owner, false, false, true});
    model.add({7, owner, true, true, true});
    model.add({ops::kStepChunk, owner, true, false, true});
    model.add({2 * ops::kStepChunk + 1030, owner, true, owner == Owner::shared, true});
    model.add({2051, owner, false, true, false});
  }
  return model;
}

template <typename G>
struct Gradients {
  template <typename T>
  Gradients(const Model<T>& model, at::ScalarType dtype) {
    for (size_t i = 0; i < model.parameters.size(); ++i) {
      const Parameter<T>& p = model.parameters[i];
      const auto draw = [&](bool owned) {
        return owned ? at::randn({p.value.numel()}, at::kDouble).to(dtype) : at::Tensor();
      };
      generator.push_back(draw(p.owner != Owner::reverser));
      reverser.push_back(draw(p.owner != Owner::generator));
    }
  }

  ops::StepGradients<G> pointers() const {
    ops::StepGradients<G> out{};
    for (size_t i = 0; i < generator.size(); ++i) {
      out.generator[i] = pointer<G>(generator[i]);
      out.reverser[i] = pointer<G>(reverser[i]);
    }
    return out;
  }

  std::vector<at::Tensor> generator, reverser;
};

/// The step by the processor's op.
template <typename T, typename G>
void expected_step(Parameter<T>& p, const at::Tensor& generator, const at::Tensor& reverser, double t,
                   const ops::StepRow& row) {
  const ops::SharedStepParams<T> params{pointer<T>(p.value),
                                        pointer<T>(p.average),
                                        p.value.numel(),
                                        T(kBeta1),
                                        T(kBeta2),
                                        T(kEpsilon),
                                        T(p.decays ? row.learning_rate * kDecay : 0),
                                        T(row.learning_rate / (1 - std::pow(kBeta1, t))),
                                        T(1 / std::sqrt(1 - std::pow(kBeta2, t))),
                                        T(1 - row.ema_decay)};
  const auto dtype = c10::CppTypeToScalarType<T>::value;
  const at::Tensor g = generator.defined() ? generator.to(dtype) : generator;
  const at::Tensor r = reverser.defined() ? reverser.to(dtype) : reverser;
  const auto from_g = [&](double share) {
    return ops::NetworkUpdate<T>{pointer<T>(g), pointer<T>(p.g_m), pointer<T>(p.g_v), T(share)};
  };
  const auto from_r = [&](double share) {
    return ops::NetworkUpdate<T>{pointer<T>(r), pointer<T>(p.r_m), pointer<T>(p.r_v), T(share)};
  };
  if (p.owner == Owner::shared)
    ops::shared_step(params, from_g(row.lambda), from_r(1 - row.lambda));
  else
    ops::own_step(params, p.owner == Owner::generator ? from_g(1) : from_r(1));
}

/// Steps with a schedule, of which one is spoilt by a gradient and one by a loss.
template <typename T, typename G>
void compare(at::ScalarType gradient_type, double tolerance) {
  const std::string what = std::string("update on the device, ") +
                           at::toString(c10::CppTypeToScalarType<T>::value) + " by " +
                           at::toString(gradient_type) + ", ";
  const Model<T> model = make_model<T>();
  std::vector<Parameter<T>> expected;
  for (const Parameter<T>& p : model.parameters) expected.push_back(p.clone());
  const std::vector<ops::StepRow> rows = {
      {1e-2, 0.3, 0.9}, {2e-2, 0.4, 0.8}, {3e-2, 0.5, 0.7}, {4e-2, 1, 0.6}};
  std::vector<ops::StepRecord> records(5);
  std::vector<int32_t> faults(model.chunks.size());
  ops::StepState state{};
  state.updates = 2;
  const at::Tensor losses = at::arange(1, ops::kStepLosses + 1, at::kDouble);
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  int64_t updates = 2;
  for (int step = 0; step < 5; ++step) {
    Gradients<G> gradients(model, gradient_type);
    at::Tensor seen = losses.clone();
    int32_t fault = ops::kAllFinite;
    if (step == 1) {
      // The reverser's only, in the tail of a chunk; then the generator's of a later parameter, which counts
      // first.
      gradients.reverser[3].fill_(infinity);
      gradients.generator[8][ops::kStepChunk * 2 + 1029] = nan;
      fault = ops::kStepLosses + 8;
    } else if (step == 2) {
      gradients.reverser[14][0] = -infinity;
      fault = 1000 + 14;
    } else if (step == 3) {
      seen[4] = nan;
      gradients.generator[0].fill_(nan);
      fault = 4;
    }
    const auto pointers = gradients.pointers();
    ops::launch_check_gradients(model.table(), pointers, faults.data(), nullptr);
    ops::launch_begin_step(
        {&state, faults.data(), static_cast<int64_t>(faults.size()), seen.const_data_ptr<double>(),
         rows.data(), static_cast<int64_t>(rows.size()), records.data(), kBeta1, kBeta2, kDecay},
        nullptr);
    ops::launch_update_parameters(model.table(), pointers, {T(kBeta1), T(kBeta2), T(kEpsilon)}, &state,
                                  nullptr);
    const ops::StepRecord& record = records[static_cast<size_t>(step)];
    expect(record.fault == fault, what + "what is not finite in step " + std::to_string(step));
    expect(record.losses[5] == 6, what + "losses are kept");
    if (fault != ops::kAllFinite) continue;
    ++updates;
    for (size_t i = 0; i < expected.size(); ++i)
      expected_step<T, G>(expected[i], gradients.generator[i], gradients.reverser[i],
                          static_cast<double>(updates), rows[static_cast<size_t>(std::min(step, 3))]);
  }
  expect(state.updates == updates && state.taken == 5, what + "steps are counted");
  const char* names[] = {"value",
                         "moving average",
                         "generator's first moment",
                         "generator's second moment",
                         "reverser's first moment",
                         "reverser's second moment"};
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto found = model.parameters[i].tensors(), wanted = expected[i].tensors();
    for (size_t k = 0; k < found.size(); ++k)
      if (wanted[k].defined())
        expect_close(found[k], wanted[k], tolerance, what + names[k] + " of parameter " + std::to_string(i));
    const Parameter<T>& p = model.parameters[i];
    if (p.copy.defined())
      expect(p.copy.equal(p.value.to(at::kFloat).to(at::kBFloat16)),
             what + "copy of parameter " + std::to_string(i));
  }
}

}  // namespace

void shared_step_cuda_tests() {
  emulation::in_both_orders("shared step", [] {
    compare<double, double>(at::kDouble, 1e-13);
    compare<float, float>(at::kFloat, 1e-6);
    compare<float, ops::cuda::Bf16>(at::kBFloat16, 1e-6);
  });
}

}  // namespace san::test
