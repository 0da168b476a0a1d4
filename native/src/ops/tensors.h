// What every operation's host code needs: memory layout and how work is cut up.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>

#include "parallel.h"

namespace san::ops {

/// About this many elements repay a thread.
inline constexpr int64_t kGrain = 16384;

/// (B, C, H, W) with C innermost in memory; 4-D tensors only.
inline at::Tensor channels_last(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

inline at::Tensor empty_channels_last(at::IntArrayRef sizes, const at::Tensor& like) {
  return at::empty(sizes, like.options(), at::MemoryFormat::ChannelsLast);
}

inline at::Tensor empty_channels_last(const at::Tensor& like) {
  return empty_channels_last(like.sizes(), like);
}

/// A bias (C) as something that can be added to (B, C, H, W).
inline at::Tensor per_channel(const at::Tensor& bias) { return bias.view({1, -1, 1, 1}); }

/// Calls f(first, count) over `rows` rows of `width` elements, in parallel.
template <typename F>
void over_rows(int64_t rows, int64_t width, const F& f) {
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)),
                   [&](int64_t begin, int64_t end) { f(begin, end - begin); });
}

/// Rows in pieces whose bounds depend on the shape alone, so that sums over a piece do not depend on the
/// thread count.
struct Pieces {
  Pieces(int64_t rows_, int64_t width)
      : rows(rows_), size(std::max({int64_t{1}, kGrain / std::max<int64_t>(1, width), (rows_ + 63) / 64})) {}

  int64_t count() const { return (rows + size - 1) / size; }

  /// Calls f(piece, first row, row count), in parallel.
  template <typename F>
  void each(const F& f) const {
    at::parallel_for(0, count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) f(p, p * size, std::min(size, rows - p * size));
    });
  }

  const int64_t rows, size;
};

/// What a loop writes and reads again. From the allocator of tensors, whose memory is used over and over: no
/// step but the first asks the system for any.
template <typename T>
class Scratch {
 public:
  /// `size` numbers that are not set.
  explicit Scratch(int64_t size)
      : memory_(c10::GetCPUAllocator()->allocate(static_cast<size_t>(size) * sizeof(T))), size_(size) {}

  T* data() { return static_cast<T*>(memory_.get()); }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  T& operator[](int64_t i) { return data()[i]; }

 private:
  c10::DataPtr memory_;
  int64_t size_;
};

/// Sums of each piece's (pieces, channels) float64 partial sums, in order.
inline at::Tensor join(const at::Tensor& partial, at::ScalarType dtype) {
  return partial.size(0) == 1 ? partial[0].to(dtype) : partial.sum(0).to(dtype);
}

}  // namespace san::ops
