// A few lines of test harness. Own code, since no C++ test library can be had through npm.
#pragma once

#include <ATen/ATen.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace san::test {

/// Prints and counts a failed expectation.
void expect(bool ok, const std::string& what);

/// |a - b| <= tolerance * max |b|, element by element.
void expect_close(const at::Tensor& a, const at::Tensor& b, double tolerance, const std::string& what);

/// Compares d(sum(w f(inputs)))/d(inputs) with central differences, and the gradient of that gradient
/// likewise, in float64. Inputs must keep away from kinks by more than 1e-4. Where there is a GPU and a CUDA
/// build, of f on the GPU as well.
void expect_gradients(const std::function<at::Tensor(const std::vector<at::Tensor>&)>& f,
                      const std::vector<at::Tensor>& inputs, const std::string& what);

/// Runs f, which calls kernels on copies made by on_device, and hands its results, on the CPU, to `check`.
/// Where they run on the CPU (cuda_emulation): between guards, with many and with few blocks where the grid
/// depends on it, and with threads and blocks taking turns in either order; on a GPU twice, in memory that
/// holds NaN before. Bits must not depend on the order or the run.
void with_kernels(const std::function<std::vector<at::Tensor>()>& f,
                  const std::function<void(const std::vector<at::Tensor>&)>& check, const std::string& what);

/// False in a CUDA build on a machine without a GPU.
bool kernels_can_run();

/// A copy of t where this build's kernels run.
at::Tensor on_device(const at::Tensor& t);

/// Of a new tensor where this build's kernels run.
at::TensorOptions device_options(at::ScalarType type);

/// Plain structs as bytes where this build's kernels run.
template <typename S>
at::Tensor bytes_on_device(const std::vector<S>& values) {
  at::Tensor bytes = at::empty({static_cast<int64_t>(values.size() * sizeof(S))}, at::kByte);
  std::memcpy(bytes.mutable_data_ptr(), values.data(), values.size() * sizeof(S));
  return on_device(bytes);
}

/// Plain structs from bytes in main memory.
template <typename S>
std::vector<S> structs_of(const at::Tensor& bytes) {
  std::vector<S> values(static_cast<size_t>(bytes.numel()) / sizeof(S));
  std::memcpy(values.data(), bytes.const_data_ptr(), values.size() * sizeof(S));
  return values;
}

void random_tests();
void assignment_tests();
void ado_gate_tests();
void attention_tests();
void convolution_tests();
void feed_tests();
void finite_tests();
void full_memory_tests();
void gates_cuda_tests();
void large_cuda_tests();
void caching_allocator_tests();
void cuda_emulation_tests();
void emit_cuda_tests();
void feed_cuda_tests();
void random_cuda_tests();
void shared_step_cuda_tests();
void emit_tests();
void norm_act_skip_tests();
void parallel_tests();
void penalty_tests();
void polyphase_tests();
void polyphase_cuda_tests();
void norm_act_skip_cuda_tests();
void rpa_gate_tests();
void shared_step_tests();
void steady_state_tests();
void shift_tests();
void step_tests();

}  // namespace san::test
