#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "ops/emit/emit.h"
#include "ops/emit/launch.h"
#include "ops/tensors.h"

namespace san::ops {

at::Tensor emit_on_device(const at::Tensor& images) {
  const c10::cuda::CUDAGuard guard(images.device());
  const at::Tensor x = channels_last(images);
  at::Tensor y = at::empty({x.size(0), x.size(2), x.size(3), x.size(1)}, x.options().dtype(at::kByte));
  const auto run = [&](const auto* values) {
    launch_emit(values, y.mutable_data_ptr<uint8_t>(), x.numel(), c10::cuda::getCurrentCUDAStream());
  };
  if (x.scalar_type() == at::kBFloat16)
    run(static_cast<const cuda::Bf16*>(x.const_data_ptr()));
  else if (x.scalar_type() == at::kDouble)
    run(x.const_data_ptr<double>());
  else
    run(x.const_data_ptr<float>());
  return y;
}

}  // namespace san::ops
