#include "ops/emit/emit.h"

#include <limits>

#include "check.h"

namespace san::test {

void emit_tests() {
  // Every quarter of a grey level, with the halves between two of them, and beyond both ends.
  const at::Tensor levels = at::arange(-8, 1032, at::kDouble).view({2, 1, 20, 26}) / 4 / 127.5 - 1;
  const at::Tensor colours = at::cat({levels, -levels, levels * 0.5}, 1);
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat})
    for (const at::Tensor& x : {levels.to(dtype), colours.to(dtype)})
      for (const auto layout : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
        const at::Tensor laid = x.contiguous(layout), bytes = ops::emit(laid);
        expect(bytes.is_contiguous() && bytes.equal(ops::emit_reference(laid)),
               std::string("emit, ") + at::toString(dtype) + ", " + std::to_string(x.size(1)) +
                   " channels, " +
                   (layout == at::MemoryFormat::ChannelsLast ? "channels last" : "channels first"));
      }
  const float infinity = std::numeric_limits<float>::infinity();
  const at::Tensor odd =
      at::tensor({infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), 0.0f}).view({1, 4, 1, 1});
  expect(ops::emit(odd).equal(at::tensor({255, 0, 0, 128}, at::kByte).view({1, 1, 1, 4})),
         "emit of no numbers");
}

}  // namespace san::test
