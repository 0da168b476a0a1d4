// Kernels of stride 2 without checkerboards: the projection, its reference, and the kernel's bits.
#include "ops/polyphase/polyphase.h"

#include <limits>

#include "check.h"
#include "ops/polyphase/launch.h"

#if defined(SAN_NATIVE_CUDA)
#include <c10/cuda/CUDAStream.h>
#endif

namespace san::test {
namespace {

using at::Tensor;

Tensor kernels(int64_t inputs, int64_t outputs, at::ScalarType dtype) {
  return at::randn({inputs, outputs, 3, 3}, at::kDouble).to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
}

Tensor projected(const Tensor& k) {
  Tensor out = k.clone();
  ops::equalise_polyphase(out);
  return out;
}

/// What a transposed convolution of stride 2 makes of a flat input, without its border.
Tensor flat_output(const Tensor& k) {
  const Tensor x = at::ones({1, k.size(0), 4, 4}, k.options());
  const Tensor y = at::conv_transpose2d(x, k, {}, /*stride=*/2, /*padding=*/1, /*output_padding=*/1);
  return y.narrow(2, 1, 6).narrow(3, 1, 6);
}

void host() {
  for (const auto dtype : {at::kDouble, at::kFloat}) {
    const double tolerance = dtype == at::kDouble ? 1e-14 : 1e-6;
    const std::string what = std::string("polyphase in ") + c10::toString(dtype);
    for (const int64_t outputs : {1, 3, 16, 37}) {
      const Tensor k = kernels(5, outputs, dtype), p = projected(k), reference = k.clone();
      ops::equalise_polyphase_reference(reference);
      expect_close(p, reference, tolerance, what + " against the reference");
      expect_close(projected(p), p, tolerance, what + ", again");
      // An orthogonal projection: what it takes away is at right angles to what it leaves.
      const double scale = (k * k).sum().item<double>();
      expect(std::abs(((k - p) * p).sum().item<double>()) < 10 * tolerance * scale, what + " is the nearest");
      const Tensor y = flat_output(p), free = flat_output(k);
      const auto spread = [](const Tensor& t) {
        return (t - t.mean({2, 3}, /*keepdim=*/true)).abs().max().item<double>();
      };
      expect(spread(y) < 30 * tolerance && spread(free) > 0.1, what + " leaves flat what is flat");
    }
  }
}

void refusals() {
  bool refused = false;
  try {
    ops::equalise_polyphase(at::zeros({2, 2, 1, 1}));
  } catch (const c10::Error&) {
    refused = true;
  }
  expect(refused, "polyphase refuses a kernel of 1x1");
}

}  // namespace

void polyphase_tests() {
  host();
  refusals();
}

namespace {

cudaStream_t stream() {
#if defined(SAN_NATIVE_CUDA)
  return c10::cuda::getCurrentCUDAStream();
#else
  return nullptr;
#endif
}

template <typename T>
void launch_like_host(int64_t inputs, int64_t outputs, bool whole, bool fault) {
  const auto dtype = c10::CppTypeToScalarType<T>::value;
  const Tensor value = kernels(inputs, outputs, dtype), average = kernels(inputs, outputs, dtype);
  const std::string what =
      "polyphase on the device, " + std::to_string(inputs) + " by " + std::to_string(outputs);
  ops::StepState state{};
  state.fault = fault ? 3 : ops::kAllFinite;
  const Tensor bytes = at::from_blob(&state, {static_cast<int64_t>(sizeof state)}, at::kByte).clone();
  const auto run = [&]() -> std::vector<Tensor> {
    const Tensor v = on_device(value), a = whole ? on_device(average) : Tensor(), s = on_device(bytes);
    const Tensor c = whole ? on_device(value.to(at::kBFloat16)) : Tensor();
    ops::launch_polyphase(
        ops::Polyphase<T>{v.mutable_data_ptr<T>(), a.defined() ? a.mutable_data_ptr<T>() : nullptr,
                          c.defined() ? reinterpret_cast<ops::cuda::Bf16*>(c.mutable_data_ptr()) : nullptr,
                          inputs, outputs},
        static_cast<const ops::StepState*>(s.const_data_ptr()), stream());
    return {v, a, c};
  };
  const auto wanted = [&](const Tensor& t) { return fault ? t : projected(t); };
  with_kernels(
      run,
      [&](const std::vector<Tensor>& out) {
        const double tolerance = dtype == at::kDouble ? 1e-15 : 1e-6;
        expect_close(out[0], wanted(value), tolerance, what);
        if (!whole) return;
        expect_close(out[1], wanted(average), tolerance, what + ", average");
        expect(out[2].equal((fault ? value : out[0]).to(at::kBFloat16)), what + ", copy");
      },
      what);
}

}  // namespace

void polyphase_cuda_tests() {
  for (const bool whole : {true, false})
    for (const bool fault : {false, true}) {
      launch_like_host<float>(7, 33, whole, fault);
      launch_like_host<double>(1, 1, whole, fault);
      launch_like_host<float>(64, 32, whole, fault);
    }
}

}  // namespace san::test
