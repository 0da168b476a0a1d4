// The kernels of the update of all parameters against the processor's.
#include <algorithm>
#include <cmath>
#include <limits>

#include "check.h"
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

  std::vector<at::Tensor> tensors() const { return {value, average, g_m, g_v, r_m, r_v, copy}; }
  Parameter clone() const {
    return changed([](const at::Tensor& t) { return t.clone(); });
  }
  /// A copy where the kernels run, as aligned as this one.
  Parameter there() const {
    return changed([](const at::Tensor& t) {
      const int64_t offset = t.storage_offset(), n = t.numel();
      return at::empty({offset + n}, device_options(t.scalar_type())).narrow(0, offset, n).copy_(t);
    });
  }

  template <typename F>
  Parameter changed(const F& f) const {
    Parameter out = *this;
    for (at::Tensor* t : {&out.value, &out.average, &out.g_m, &out.g_v, &out.r_m, &out.r_v, &out.copy})
      if (t->defined()) *t = f(*t);
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

  /// A copy where the kernels run.
  Model there() const {
    Model out;
    for (const Parameter<T>& p : parameters) out.add(p.there());
    return out;
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

  /// Where the kernels run.
  Gradients there() const {
    Gradients out = *this;
    for (auto* all : {&out.generator, &out.reverser})
      for (at::Tensor& t : *all) t = on_device(t);
    return out;
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

/// What a step takes, and the number of what is not finite in it.
template <typename G>
struct Step {
  Gradients<G> gradients;
  at::Tensor losses;
  int32_t fault = ops::kAllFinite;
};

/// Five steps, of which one is spoilt by a gradient of each network, one by one alone, and one by a loss.
template <typename T, typename G>
std::vector<Step<G>> draw_steps(const Model<T>& model, at::ScalarType gradient_type) {
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  std::vector<Step<G>> steps;
  for (int i = 0; i < 5; ++i)
    steps.push_back({Gradients<G>(model, gradient_type), at::arange(1, ops::kStepLosses + 1, at::kDouble)});
  // The reverser's only, in the tail of a chunk; then the generator's of a later parameter, which counts
  // first.
  steps[1].gradients.reverser[3].fill_(infinity);
  steps[1].gradients.generator[8][ops::kStepChunk * 2 + 1029] = nan;
  steps[1].fault = ops::kStepLosses + 8;
  steps[2].gradients.reverser[14][0] = -infinity;
  steps[2].fault = 1000 + 14;
  steps[3].losses[4] = nan;
  steps[3].gradients.generator[0].fill_(nan);
  steps[3].fault = 4;
  return steps;
}

const std::vector<ops::StepRow> kRows = {
    {1e-2, 0.3, 0.9}, {2e-2, 0.4, 0.8}, {3e-2, 0.5, 0.7}, {4e-2, 1, 0.6}};
constexpr int64_t kUpdates = 2;

/// The parameters' tensors after the steps, then StepState and StepRecords as bytes.
template <typename T, typename G>
std::vector<at::Tensor> run_kernels(const Model<T>& model, const std::vector<Step<G>>& steps) {
  const Model<T> there = model.there();
  const at::Tensor segments = bytes_on_device(there.segments), chunks = bytes_on_device(there.chunks),
                   rows = bytes_on_device(kRows);
  const auto count = static_cast<int64_t>(there.chunks.size());
  const ops::StepTable<T> table{static_cast<const ops::StepSegment<T>*>(segments.const_data_ptr()),
                                static_cast<const ops::StepChunk*>(chunks.const_data_ptr()), count};
  // Bytes that were zero before, the structs' padding with them: the runs' bits are compared.
  at::Tensor begin = at::zeros({sizeof(ops::StepState)}, at::kByte);
  static_cast<ops::StepState*>(begin.mutable_data_ptr())->updates = kUpdates;
  const at::Tensor state = on_device(begin),
                   records = at::zeros({static_cast<int64_t>(steps.size() * sizeof(ops::StepRecord))},
                                       device_options(at::kByte));
  const at::Tensor faults = at::empty({count}, device_options(at::kInt));
  auto* const at_state = static_cast<ops::StepState*>(state.mutable_data_ptr());
  for (const Step<G>& step : steps) {
    const Gradients<G> gradients = step.gradients.there();
    const at::Tensor losses = on_device(step.losses);
    const auto pointers = gradients.pointers();
    ops::launch_check_gradients(table, pointers, faults.mutable_data_ptr<int32_t>(), nullptr);
    ops::launch_begin_step(
        {at_state, faults.const_data_ptr<int32_t>(), count, losses.const_data_ptr<double>(),
         static_cast<const ops::StepRow*>(rows.const_data_ptr()), static_cast<int64_t>(kRows.size()),
         static_cast<ops::StepRecord*>(records.mutable_data_ptr()), kBeta1, kBeta2, kDecay},
        nullptr);
    ops::launch_update_parameters(table, pointers, {T(kBeta1), T(kBeta2), T(kEpsilon)}, at_state, nullptr);
  }
  std::vector<at::Tensor> out;
  for (const Parameter<T>& p : there.parameters)
    for (const at::Tensor& t : p.tensors()) out.push_back(t);
  out.push_back(state);
  out.push_back(records);
  return out;
}

template <typename T, typename G>
void compare(at::ScalarType gradient_type, double tolerance) {
  const std::string what = std::string("update on the device, ") +
                           at::toString(c10::CppTypeToScalarType<T>::value) + " by " +
                           at::toString(gradient_type) + ", ";
  const Model<T> model = make_model<T>();
  const auto steps = draw_steps<T, G>(model, gradient_type);
  std::vector<Parameter<T>> expected;
  for (const Parameter<T>& p : model.parameters) expected.push_back(p.clone());
  int64_t updates = kUpdates;
  for (size_t k = 0; k < steps.size(); ++k) {
    if (steps[k].fault != ops::kAllFinite) continue;
    ++updates;
    const auto& [generator, reverser] = steps[k].gradients;
    for (size_t i = 0; i < expected.size(); ++i)
      expected_step<T, G>(expected[i], generator[i], reverser[i], static_cast<double>(updates),
                          kRows[std::min(k, kRows.size() - 1)]);
  }
  const char* names[] = {"value",
                         "moving average",
                         "generator's first moment",
                         "generator's second moment",
                         "reverser's first moment",
                         "reverser's second moment"};
  const auto check = [&](const std::vector<at::Tensor>& found) {
    size_t next = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      const std::string of_parameter = " of parameter " + std::to_string(i);
      const at::Tensor value = found[next];
      for (const auto& wanted : expected[i].tensors()) {
        const size_t k = next++ % (std::size(names) + 1);
        if (!wanted.defined()) continue;
        if (k < std::size(names))
          expect_close(found[next - 1], wanted, tolerance, what + names[k] + of_parameter);
        else
          expect(found[next - 1].equal(value.to(at::kFloat).to(at::kBFloat16)), what + "copy" + of_parameter);
      }
    }
    const auto state = structs_of<ops::StepState>(found[next])[0];
    expect(state.updates == updates && state.taken == 5, what + "steps are counted");
    const auto records = structs_of<ops::StepRecord>(found[next + 1]);
    for (size_t k = 0; k < steps.size(); ++k) {
      expect(records[k].fault == steps[k].fault, what + "what is not finite in step " + std::to_string(k));
      expect(records[k].losses[5] == 6, what + "losses are kept");
    }
  };
  with_kernels([&] { return run_kernels(model, steps); }, check, what + "bits");
}

}  // namespace

void shared_step_cuda_tests() {
  compare<double, double>(at::kDouble, 1e-13);
  compare<float, float>(at::kFloat, 1e-6);
  compare<float, ops::cuda::Bf16>(at::kBFloat16, 1e-6);
}

}  // namespace san::test
