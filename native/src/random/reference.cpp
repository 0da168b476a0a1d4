#include "random/reference.h"

#include <ATen/ATen.h>

#include <array>

namespace san::random {
namespace {

using at::Tensor;

constexpr int64_t kWord = 0xFFFFFFFF;
constexpr double kTwoPi = 6.283185307179586;

/// Four random words in each place, as int64 from 0 to 2^32 - 1.
using Words = std::array<Tensor, 4>;

struct Product {
  Tensor high, low;
};

Tensor right(const Tensor& words, int64_t bits) { return words.bitwise_right_shift(bits); }
Tensor left(const Tensor& words, int64_t bits) { return words.bitwise_left_shift(bits); }

/// Both words of a product of words, by halves of one factor, for an int64 holds no more than 63 bits.
Product times(int64_t factor, const Tensor& words) {
  const Tensor upper = right(words, 16) * factor, lower = (words & 0xFFFF) * factor;
  return {right(upper + right(lower, 16), 16), (left(upper & 0xFFFF, 16) + lower) & kWord};
}

/// Blocks `numbers` (1, M) of the rows `first` and on: (rows, M) each.
Words blocks_of(const Key& first, int64_t rows, const Tensor& numbers) {
  const Tensor index = (at::arange(rows, at::kLong) + static_cast<int64_t>(first.index)).unsqueeze(1),
               zeros = at::zeros({rows, numbers.size(1)}, at::kLong);
  Words c{zeros + (numbers & kWord), zeros + static_cast<int64_t>(first.stream), zeros + (index & kWord),
          zeros + (right(index, 32) & kWord)};
  int64_t key0 = static_cast<int64_t>(first.seed & kWord), key1 = static_cast<int64_t>(first.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const Product a = times(0xD2511F53, c[0]), b = times(0xCD9E8D57, c[2]);
    c = {b.high ^ c[1] ^ key0, b.low, a.high ^ c[3] ^ key1, a.low};
    key0 = (key0 + 0x9E3779B9) & kWord;
    key1 = (key1 + 0xBB67AE85) & kWord;
  }
  return c;
}

/// (rows, 4 M) float32: four numbers of each block next to one another.
Tensor normals_of(const Words& words) {
  std::array<Tensor, 4> out;
  for (size_t pair = 0; pair < 4; pair += 2) {
    const Tensor u1 = (right(words[pair], 8) + 1).to(at::kDouble) * 0x1p-24,
                 angle = right(words[pair + 1], 8).to(at::kDouble) * (0x1p-24 * kTwoPi),
                 radius = (u1.log() * -2).sqrt();
    out[pair] = radius * angle.cos();
    out[pair + 1] = radius * angle.sin();
  }
  return at::stack(out, -1).flatten(1).to(at::kFloat);
}

Tensor block_numbers(int64_t n) { return at::arange((n + 3) / 4, at::kLong).unsqueeze(0); }

}  // namespace

Tensor normal_rows_reference(const Key& first, int64_t rows, int64_t n) {
  return normals_of(blocks_of(first, rows, block_numbers(n))).narrow(1, 0, n).contiguous();
}

Tensor uniform_reference(const Key& key, int64_t n) {
  const Words words = blocks_of(key, 1, block_numbers(n));
  return (right(at::stack(words, -1).flatten(), 8).to(at::kFloat) * 0x1p-24f).narrow(0, 0, n).contiguous();
}

void redraw_beyond_reference(Tensor& rows, uint64_t seed, uint64_t first, double threshold) {
  const int64_t count = rows.size(0), n = rows.size(1);
  const auto beyond = [&](const Tensor& values) { return values.to(at::kDouble).abs() > threshold; };
  Tensor open = beyond(rows);
  for (Tensor numbers = at::arange(n, at::kLong).unsqueeze(0); open.any().item<bool>();
       numbers = numbers + n) {
    const Tensor drawn = normals_of(blocks_of({seed, Stream::redrawn_latent, first}, count, numbers)),
                 four = drawn.view({count, n, 4});
    for (int64_t k = 0; k < 4; ++k) {
      const Tensor value = four.select(2, k), taken = open & beyond(value).logical_not();
      rows.copy_(at::where(taken, value, rows));
      open = open & taken.logical_not();
    }
  }
}

}  // namespace san::random
