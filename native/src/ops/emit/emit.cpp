#include "ops/emit/emit.h"

#include <ATen/Dispatch.h>

#include "ops/emit/params.h"
#include "ops/reference.h"
#include "ops/tensors.h"

namespace san::ops {
namespace {

template <typename T>
SAN_CLONES void emit_values(const T* x, uint8_t* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = emit_value(x[i]);
}

}  // namespace

at::Tensor emit_reference(const at::Tensor& images) {
  return ((images.permute({0, 2, 3, 1}) + 1) * 127.5).round().clamp(0, 255).to(at::kByte).contiguous();
}

at::Tensor emit(const at::Tensor& images) {
  if (use_reference()) return emit_reference(images);
#ifdef SAN_NATIVE_CUDA
  if (images.is_cuda()) return emit_on_device(images);
#endif
  const at::Tensor x = channels_last(images);
  at::Tensor y = at::empty({x.size(0), x.size(2), x.size(3), x.size(1)}, x.options().dtype(at::kByte));
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "emit", [&] {
    const auto* xp = x.const_data_ptr<scalar_t>();
    auto* yp = y.mutable_data_ptr<uint8_t>();
    at::parallel_for(0, x.numel(), kGrain,
                     [&](int64_t begin, int64_t end) { emit_values(xp + begin, yp + begin, end - begin); });
  });
  return y;
}

}  // namespace san::ops
