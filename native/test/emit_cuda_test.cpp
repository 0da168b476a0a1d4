// emit's kernel, emulated, against the processor's.
#include <limits>

#include "check.h"
#include "cuda_emulation/both_orders.h"
#include "ops/emit/emit.h"
#include "ops/emit/launch.h"

namespace san::test {
namespace {

template <typename T>
at::Tensor bytes_of(const at::Tensor& x) {
  at::Tensor y = at::empty({x.numel()}, at::kByte);
  ops::launch_emit(static_cast<const T*>(x.const_data_ptr()), y.mutable_data_ptr<uint8_t>(), x.numel(),
                   nullptr);
  return y;
}

template <typename T>
void compare(at::ScalarType dtype) {
  const std::string what = std::string("emit on the device, ") + at::toString(dtype);
  const auto expected = [&](const at::Tensor& x) {
    return ops::emit(x.to(dtype == at::kDouble ? at::kDouble : at::kFloat).view({1, 1, 1, -1})).view(-1);
  };
  // Every quarter of a grey level, with the halves between two of them, and beyond both ends.
  const at::Tensor levels = ((at::arange(-8, 1032, at::kDouble) / 4 / 127.5 - 1).repeat({9})).to(dtype);
  // Less than a block's work, all of it for every type, and more.
  for (const int64_t n : {1, 7, 1040, 2048, 4096, 8192, 9001}) {
    const at::Tensor x = levels.narrow(0, 0, n);
    expect(bytes_of<T>(x).equal(expected(x)), what + ", " + std::to_string(n) + " values");
  }
  const at::Tensor unaligned = levels.narrow(0, 1, 9000);
  expect(bytes_of<T>(unaligned).equal(expected(unaligned)), what + ", values that lie unaligned");
  const double infinity = std::numeric_limits<double>::infinity();
  const at::Tensor odd =
      at::tensor({infinity, -infinity, std::numeric_limits<double>::quiet_NaN(), 0.0}, at::kDouble).to(dtype);
  expect(bytes_of<T>(odd).equal(at::tensor({255, 0, 0, 128}, at::kByte)), what + ", no numbers");
}

}  // namespace

void emit_cuda_tests() {
  emulation::in_both_orders("emit", [] {
    compare<float>(at::kFloat);
    compare<double>(at::kDouble);
    compare<ops::cuda::Bf16>(at::kBFloat16);
  });
}

}  // namespace san::test
