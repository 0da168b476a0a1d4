// The emulation itself: that it finds what it is there to find.
#include <ATen/ATen.h>

#include <stdexcept>

#include "check.h"
#include "cuda_emulation/guard.h"
#include "ops/cuda/launch.h"

namespace san::test {
namespace {

using namespace ops::cuda;

/// out[block] = sum of the block's part of x; without `barrier`, wrong unless the last thread comes first.
__global__ void block_sums(const float* x, float* out, int64_t n, bool barrier) {
  SAN_SHARED(float, sums, 8);
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const float sum = sum_over_lanes(i < n ? x[i] : 0.0f, kWarp);
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = sum;
  if (barrier) __syncthreads();
  if (threadIdx.x != 0) return;
  float total = 0;
  for (unsigned w = 0; w < blockDim.x / kWarp; ++w) total += sums[w];
  out[blockIdx.x] = total;
}

__global__ void divergent_barrier() {
  if (threadIdx.x < 7) __syncthreads();
}

__global__ void divergent_shuffle(float* out) {
  if (threadIdx.x != 5) out[threadIdx.x] = __shfl_xor_sync(kWholeWarp, 1.0f, 1);
}

__global__ void fill(float* out, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) out[i] = 1;
}

__global__ void misaligned(const float* x, float* out) { store<4>(out, load<4>(x + 1)); }

bool refused(const std::function<void()>& f) {
  try {
    f();
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

}  // namespace

void cuda_emulation_tests() {
  {
    const emulation::Guard guard;
    const at::Tensor x = at::arange(1000, at::kFloat), out = at::empty({4});
    launch(block_sums, 4, 256, nullptr, x.const_data_ptr<float>(), out.mutable_data_ptr<float>(),
           int64_t{1000}, true);
    expect(out.sum().item<float>() == 499500, "the emulation sums a vector");
    launch(block_sums, 4, 256, nullptr, x.const_data_ptr<float>(), out.mutable_data_ptr<float>(),
           int64_t{1000}, false);
    expect(out.isnan().all().item<bool>(), "the emulation shows a missing barrier");
    expect(at::empty({3}).isnan().all().item<bool>(), "a guarded tensor starts as NaN");

    const int before = emulation::overruns();
    {
      const at::Tensor right = at::empty({40});
      launch(fill, 2, 32, nullptr, right.mutable_data_ptr<float>(), int64_t{40});
    }
    expect(emulation::overruns() == before, "the guard leaves writes within bounds alone");
    {
      const at::Tensor wrong = at::empty({40});
      launch(fill, 2, 32, nullptr, wrong.mutable_data_ptr<float>(), int64_t{41});
    }
    expect(emulation::overruns() == before + 1, "the guard sees a write out of bounds");
    expect(refused([&] {
             launch(misaligned, 1, 1, nullptr, x.const_data_ptr<float>(), out.mutable_data_ptr<float>());
           }),
           "the emulation refuses a misaligned access");
    expect(refused([&] { launch(divergent_shuffle, 1, 32, nullptr, out.mutable_data_ptr<float>()); }),
           "the emulation refuses a shuffle that a lane misses");
  }
  expect(refused([] { launch(divergent_barrier, 1, 32, nullptr); }),
         "the emulation refuses a barrier that threads miss");
}

}  // namespace san::test
