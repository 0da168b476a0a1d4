#include "ops/polyphase/polyphase.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include "ops/polyphase/params.h"
#include "ops/reference.h"
#include "ops/tensors.h"

namespace san::ops {
namespace {

/// Taps lie outputs apart; of each input channel its nine rows of outputs.
template <typename T>
SAN_CLONES void equalise_rows(T* k, int64_t inputs, int64_t outputs) {
  for (int64_t i = 0; i < inputs; ++i, k += 9 * outputs) {
#pragma omp simd
    for (int64_t o = 0; o < outputs; ++o) {
      T taps[9];
      for (int t = 0; t < 9; ++t) taps[t] = k[t * outputs + o];
      equalise(taps);
      for (int t = 0; t < 9; ++t) k[t * outputs + o] = taps[t];
    }
  }
}

void check_kernel(const at::Tensor& kernel) {
  TORCH_CHECK(kernel.dim() == 4 && kernel.size(2) == 3 && kernel.size(3) == 3, "a kernel of sizes ",
              kernel.sizes(), "; (inputs, outputs, 3, 3) has polyphase components of stride 2");
}

}  // namespace

void equalise_polyphase_reference(const at::Tensor& kernel) {
  check_kernel(kernel);
  const auto tap = [&](int row, int column) { return kernel.select(2, row).select(2, column); };
  const at::Tensor centre = tap(1, 1).clone(), sides = tap(1, 0) + tap(1, 2), ends = tap(0, 1) + tap(2, 1),
                   corners = tap(0, 0) + tap(0, 2) + tap(2, 0) + tap(2, 2);
  const at::Tensor m = (centre + sides / 2 + ends / 2 + corners / 4) * (4.0 / 9);
  for (int row = 0; row < 3; ++row)
    for (int column = 0; column < 3; ++column) {
      const bool in_row = row == 1, in_column = column == 1;
      const at::Tensor& sum = in_row ? in_column ? centre : sides : in_column ? ends : corners;
      const double taps = (in_row ? 1 : 2) * (in_column ? 1 : 2);
      tap(row, column).sub_((sum - m) / taps);
    }
}

void equalise_polyphase(const at::Tensor& kernel) {
  if (use_reference()) return equalise_polyphase_reference(kernel);
  check_kernel(kernel);
  TORCH_CHECK(kernel.is_cpu() && kernel.is_contiguous(at::MemoryFormat::ChannelsLast),
              "equalise_polyphase takes kernels that lie channels-last in the processor's memory");
  AT_DISPATCH_FLOATING_TYPES(kernel.scalar_type(), "equalise_polyphase", [&] {
    equalise_rows<scalar_t>(kernel.mutable_data_ptr<scalar_t>(), kernel.size(0), kernel.size(1));
  });
}

}  // namespace san::ops
