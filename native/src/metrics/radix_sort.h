// Sorting many finite floats by their bits: ten times as fast here as comparing them.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace san::metrics {

/// Sorts values[0..n), ascending, n < 2^32. `a` and `b` are scratch that may be used again. No NaN.
inline void radix_sort(float* values, size_t n, std::vector<uint32_t>& a, std::vector<uint32_t>& b) {
  constexpr uint32_t kSign = 0x80000000u;
  constexpr int kDigit = 11, kPasses = 3;
  constexpr uint32_t kMask = (1u << kDigit) - 1;
  a.resize(n);
  b.resize(n);
  std::array<std::array<uint32_t, kMask + 1>, kPasses> counts{};
  for (size_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<uint32_t>(values[i]);
    // Makes the order of the floats that of unsigned integers.
    const uint32_t key = bits ^ ((bits & kSign) != 0 ? ~0u : kSign);
    a[i] = key;
    for (int pass = 0; pass < kPasses; ++pass) ++counts[pass][(key >> (pass * kDigit)) & kMask];
  }
  for (int pass = 0; pass < kPasses; ++pass) {
    uint32_t before = 0;
    for (uint32_t& count : counts[pass]) {
      const uint32_t here = count;
      count = before;
      before += here;
    }
    for (const uint32_t key : a) b[counts[pass][(key >> (pass * kDigit)) & kMask]++] = key;
    a.swap(b);
  }
  for (size_t i = 0; i < n; ++i) {
    const uint32_t key = a[i];
    values[i] = std::bit_cast<float>(key ^ ((key & kSign) != 0 ? kSign : ~0u));
  }
}

}  // namespace san::metrics
