#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "random/launch.h"
#include "random/random.h"

namespace san::random {
namespace {

FillParams params(at::Tensor& rows, const Key& key, const StepCount& count) {
  TORCH_CHECK(rows.is_cuda() && rows.scalar_type() == at::kFloat && rows.is_contiguous() && rows.dim() == 2,
              "random numbers go to a contiguous float32 (rows, n) on a GPU");
  TORCH_CHECK(!count.step.defined() || count.step.is_cuda(), "steps are counted on the GPU");
  const int64_t* step = count.step.defined() ? count.step.const_data_ptr<int64_t>() : nullptr;
  return {
      rows.mutable_data_ptr<float>(), rows.size(0), rows.size(1), key.seed, static_cast<uint32_t>(key.stream),
      {key.index, step, count.stride}};
}

}  // namespace

at::Tensor fill_normal_rows(at::Tensor rows, const Key& first, const StepCount& count) {
  const c10::cuda::CUDAGuard guard(rows.device());
  launch_normal(params(rows, first, count), c10::cuda::getCurrentCUDAStream());
  return rows;
}

at::Tensor fill_uniform(at::Tensor out, const Key& key, const StepCount& count) {
  const c10::cuda::CUDAGuard guard(out.device());
  at::Tensor row = out.view({1, out.numel()});
  launch_uniform(params(row, key, count), c10::cuda::getCurrentCUDAStream());
  return out;
}

void redraw_beyond_on_device(at::Tensor& rows, uint64_t seed, uint64_t first, double threshold) {
  const c10::cuda::CUDAGuard guard(rows.device());
  launch_redraw({rows.mutable_data_ptr<float>(), rows.size(0), rows.size(1), seed,
                 static_cast<uint32_t>(Stream::redrawn_latent), first, threshold},
                c10::cuda::getCurrentCUDAStream());
}

}  // namespace san::random
