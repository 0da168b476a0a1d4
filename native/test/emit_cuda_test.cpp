// emit's kernel against the processor's.
#include <limits>

#include "check.h"
#include "ops/emit/emit.h"
#include "ops/emit/launch.h"

namespace san::test {
namespace {

/// Expects the kernel to make `expected` of x from element `offset` on.
template <typename T>
void expect_bytes(const at::Tensor& x, int64_t offset, const at::Tensor& expected, const std::string& what) {
  with_kernels(
      [&]() -> std::vector<at::Tensor> {
        const at::Tensor px = on_device(x);
        at::Tensor y = at::empty({x.numel() - offset}, px.options().dtype(at::kByte));
        ops::launch_emit(static_cast<const T*>(px.const_data_ptr()) + offset, y.mutable_data_ptr<uint8_t>(),
                         y.numel(), nullptr);
        return {y};
      },
      [&](const std::vector<at::Tensor>& found) { expect(found[0].equal(expected), what); }, what);
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
    const at::Tensor x = levels.narrow(0, 0, n).clone();
    expect_bytes<T>(x, 0, expected(x), what + ", " + std::to_string(n) + " values");
  }
  expect_bytes<T>(levels, 1, expected(levels.narrow(0, 1, levels.numel() - 1)),
                  what + ", values that lie unaligned");
  const double infinity = std::numeric_limits<double>::infinity();
  const at::Tensor odd =
      at::tensor({infinity, -infinity, std::numeric_limits<double>::quiet_NaN(), 0.0}, at::kDouble).to(dtype);
  expect_bytes<T>(odd, 0, at::tensor({255, 0, 0, 128}, at::kByte), what + ", no numbers");
}

}  // namespace

void emit_cuda_tests() {
  compare<float>(at::kFloat);
  compare<double>(at::kDouble);
  compare<ops::cuda::Bf16>(at::kBFloat16);
}

}  // namespace san::test
