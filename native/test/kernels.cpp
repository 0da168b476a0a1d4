#include <ATen/ATen.h>

#include "check.h"

#if defined(SAN_NATIVE_CUDA)
#include <ATen/Context.h>
#include <c10/cuda/CUDAFunctions.h>
#else
#include "cuda_emulation/cuda.h"
#include "cuda_emulation/guard.h"
#endif

namespace san::test {
namespace {

std::vector<at::Tensor> on_cpu(const std::function<std::vector<at::Tensor>()>& f) {
  std::vector<at::Tensor> out;
  for (const at::Tensor& t : f()) out.push_back(t.defined() ? t.to(at::kCPU).clone() : t);
  return out;
}

void expect_equal(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b,
                  const std::string& what) {
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].defined()) expect(a[i].equal(b[i]), what + ", result " + std::to_string(i));
}

}  // namespace

#if defined(SAN_NATIVE_CUDA)

bool kernels_can_run() { return c10::cuda::device_count() > 0; }

at::Tensor on_device(const at::Tensor& t) { return t.defined() ? t.to(at::kCUDA) : t; }

at::TensorOptions device_options(at::ScalarType type) { return at::TensorOptions(at::kCUDA).dtype(type); }

void with_kernels(const std::function<std::vector<at::Tensor>()>& f,
                  const std::function<void(const std::vector<at::Tensor>&)>& check, const std::string& what) {
  // New tensors hold NaN, or a byte's most, so that what a kernel leaves unwritten comes to light.
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicFillUninitializedMemory(true);
  const auto first = on_cpu(f);
  const auto second = on_cpu(f);
  at::globalContext().setDeterministicAlgorithms(false, /*warn_only=*/false);
  check(first);
  expect_equal(second, first, what + ", a second run");
}

#else

bool kernels_can_run() { return true; }

at::Tensor on_device(const at::Tensor& t) { return t.defined() ? t.clone() : t; }

at::TensorOptions device_options(at::ScalarType type) { return at::TensorOptions(at::kCPU).dtype(type); }

void with_kernels(const std::function<std::vector<at::Tensor>()>& f,
                  const std::function<void(const std::vector<at::Tensor>&)>& check, const std::string& what) {
  const int before = emulation::overruns();
  for (const unsigned blocks : {0u, 2u}) {
    emulation::set_block_limit(blocks);
    std::vector<at::Tensor> forward, backward;
    {
      const emulation::Guard guard;
      forward = on_cpu(f);
      emulation::set_order(emulation::Order::kBackward);
      backward = on_cpu(f);
      emulation::set_order(emulation::Order::kForward);
    }
    check(forward);
    expect_equal(backward, forward, what + ", threads in the other order");
    if (!emulation::block_limit_asked()) break;
  }
  emulation::set_block_limit(0);
  expect(emulation::overruns() == before, what + ", nothing written out of bounds");
}

#endif

}  // namespace san::test
