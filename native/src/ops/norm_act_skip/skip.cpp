#include "ops/norm_act_skip/skip.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>

#include <vector>

#include "ops/reference.h"
#include "ops/tensors.h"

#if defined(SAN_NATIVE_CUDA)
#include "ops/norm_act_skip/norm_act_skip_cuda.h"
#endif

namespace san::ops {
namespace {

using at::Tensor;

/// y (to) += x (from) by the channel rule, for `pixels` pixels of x that each serve `repeat` pixels of y.
template <typename T, typename A>
SAN_CLONES void add_matched(const T* x, T* y, int64_t pixels, int64_t repeat, int64_t from, int64_t to) {
  const int64_t group = from > to ? from / to : to / from;
  const A scale = A(1) / static_cast<A>(group);
  for (int64_t p = 0; p < pixels; ++p, x += from)
    for (int64_t k = 0; k < repeat; ++k, y += to) {
      if (from == to) {
#pragma omp simd
        for (int64_t i = 0; i < to; ++i) y[i] = static_cast<T>(static_cast<A>(y[i]) + static_cast<A>(x[i]));
      } else if (from == 2 * to) {
#pragma omp simd
        for (int64_t i = 0; i < to; ++i)
          y[i] = static_cast<T>(static_cast<A>(y[i]) +
                                (static_cast<A>(x[2 * i]) + static_cast<A>(x[2 * i + 1])) * A(0.5));
      } else if (from > to) {
        for (int64_t i = 0; i < to; ++i) {
          A sum = 0;
          for (int64_t j = 0; j < group; ++j) sum += static_cast<A>(x[i * group + j]);
          y[i] = static_cast<T>(static_cast<A>(y[i]) + sum * scale);
        }
      } else {
        for (int64_t i = 0; i < from; ++i)
          for (int64_t j = 0; j < group; ++j)
            y[i * group + j] = static_cast<T>(static_cast<A>(y[i * group + j]) + static_cast<A>(x[i]));
      }
    }
}

/// out += pixels of x in groups of `stride` along a row of `width` of them.
template <typename T, typename A>
SAN_CLONES void add_groups(const T* x, A* out, int64_t width, int64_t stride, int64_t channels) {
  for (int64_t p = 0; p < width; ++p, out += channels)
    for (int64_t k = 0; k < stride; ++k, x += channels) {
#pragma omp simd
      for (int64_t i = 0; i < channels; ++i) out[i] += static_cast<A>(x[i]);
    }
}

/// The channel rule's adjoint: g (from) -> d (to), times scale; computed in A.
template <typename A, typename G, typename T>
SAN_CLONES void match_adjoint(const G* g, T* d, int64_t pixels, int64_t from, int64_t to, A scale) {
  if (from == to) {
#pragma omp simd
    for (int64_t i = 0; i < pixels * to; ++i) d[i] = static_cast<T>(static_cast<A>(g[i]) * scale);
    return;
  }
  const int64_t group = from > to ? from / to : to / from;
  const A share = scale / static_cast<A>(group);
  for (int64_t p = 0; p < pixels; ++p, g += from, d += to) {
    if (from > to) {
      for (int64_t i = 0; i < to; ++i) {
        A sum = 0;
        for (int64_t j = 0; j < group; ++j) sum += static_cast<A>(g[i * group + j]);
        d[i] = static_cast<T>(sum * scale);
      }
    } else {
      for (int64_t i = 0; i < from; ++i)
        for (int64_t j = 0; j < group; ++j) d[i * group + j] = static_cast<T>(static_cast<A>(g[i]) * share);
    }
  }
}

/// Fewer channels: mean over groups of consecutive ones. More: each repeated. NHWC views keep channels-last
/// memory.
Tensor match_channels(const Tensor& x, int64_t channels) {
  const int64_t present = x.size(1);
  if (channels == present) return x;
  const int64_t b = x.size(0), h = x.size(2), w = x.size(3);
  const Tensor last = x.permute({0, 2, 3, 1});
  const Tensor matched =
      channels < present
          ? last.reshape({b, h, w, channels, present / channels}).mean(-1)
          : last.unsqueeze(-1).expand({b, h, w, present, channels / present}).reshape({b, h, w, channels});
  return matched.permute({0, 3, 1, 2});
}

Tensor match_channels_adjoint(const Tensor& g, int64_t channels) {
  // A mean's adjoint repeats and divides, a repetition's sums: either way the rule itself up to a factor.
  const auto scale = static_cast<double>(g.size(1)) / static_cast<double>(channels);
  return channels == g.size(1) ? g : match_channels(g, channels) * scale;
}

}  // namespace

SkipShape skip_shape(const at::Tensor& skip, const at::Tensor& y) {
  const int64_t from = skip.size(2), to = y.size(2);
  const bool up = to >= from;
  const int64_t stride = up ? to / from : from / to;
  TORCH_CHECK(up ? to == from * stride && y.size(3) == skip.size(3) * stride
                 : from == to * stride && skip.size(3) == y.size(3) * stride,
              "a skip of sizes ", skip.sizes(), " does not fit an output of sizes ", y.sizes());
  return {from, skip.size(3), skip.size(1), stride, up};
}

template <typename T>
void add_skip_row(const SkipShape& s, const T* skip, T* y, int64_t row, int64_t width, int64_t channels) {
  using A = at::opmath_type<T>;
  if (s.up) {
    const T* source = skip + row / s.stride * s.width * s.channels;
    add_matched<T, A>(source, y, s.width, s.stride, s.channels, channels);
    return;
  }
  const int64_t size = width * s.channels;
  Scratch<A> pooled(size);
  std::fill(pooled.begin(), pooled.end(), A(0));
  for (int64_t k = 0; k < s.stride; ++k)
    add_groups<T, A>(skip + (row * s.stride + k) * s.width * s.channels, pooled.data(), width, s.stride,
                     s.channels);
  const A share = A(1) / static_cast<A>(s.stride * s.stride);
  Scratch<T> mean(size);
  for (int64_t i = 0; i < size; ++i) mean[i] = static_cast<T>(pooled[i] * share);
  add_matched<T, A>(mean.data(), y, width, 1, s.channels, channels);
}

template void add_skip_row(const SkipShape&, const float*, float*, int64_t, int64_t, int64_t);
template void add_skip_row(const SkipShape&, const double*, double*, int64_t, int64_t, int64_t);
template void add_skip_row(const SkipShape&, const at::BFloat16*, at::BFloat16*, int64_t, int64_t, int64_t);

at::Tensor skip_gradient(const at::Tensor& g, at::IntArrayRef sizes) {
  if (g.sizes() == sizes) return g;
#if defined(SAN_NATIVE_CUDA)
  if (g.is_cuda()) return cuda::skip_gradient(g, sizes);
#endif
  Tensor d = empty_channels_last(sizes, g);
  const SkipShape s = skip_shape(d, g);
  const int64_t channels = g.size(1), width = g.size(3);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, g.scalar_type(), "skip_gradient", [&] {
    using A = at::opmath_type<scalar_t>;
    const auto* gp = g.const_data_ptr<scalar_t>();
    auto* dp = d.mutable_data_ptr<scalar_t>();
    const int64_t row_size = s.width * s.channels;
    over_rows(sizes[0] * s.height, row_size, [&](int64_t first, int64_t count) {
      Scratch<A> sums(s.width * channels);
      for (int64_t row = first; row < first + count; ++row) {
        scalar_t* out = dp + row * row_size;
        if (s.up) {
          std::fill(sums.begin(), sums.end(), A(0));
          for (int64_t k = 0; k < s.stride; ++k)
            add_groups<scalar_t, A>(gp + (row * s.stride + k) * width * channels, sums.data(), s.width,
                                    s.stride, channels);
          match_adjoint<A>(sums.data(), out, s.width, channels, s.channels, A(1));
          continue;
        }
        const A share = A(1) / static_cast<A>(s.stride * s.stride);
        const scalar_t* source = gp + row / s.stride * width * channels;
        for (int64_t x = 0; x < width; ++x, source += channels) {
          match_adjoint<A>(source, out, 1, channels, s.channels, share);
          const scalar_t* made = out;
          out += s.channels;
          for (int64_t k = 1; k < s.stride; ++k, out += s.channels) std::copy_n(made, s.channels, out);
        }
      }
    });
  });
  return d;
}

at::Tensor skip_reference(const at::Tensor& skip, int64_t channels, int64_t height) {
  const int64_t present = skip.size(2);
  if (present > height) {
    const int64_t s = present / height;
    return match_channels(at::avg_pool2d(skip, {s, s}), channels);
  }
  const Tensor matched = match_channels(skip, channels);
  return present == height ? matched
                           : at::upsample_nearest2d(matched, {height, skip.size(3) * (height / present)});
}

at::Tensor skip_gradient_reference(const at::Tensor& g, at::IntArrayRef sizes) {
  const int64_t present = g.size(2), height = sizes[2];
  if (present > height) {
    const int64_t s = present / height;
    return match_channels_adjoint(at::avg_pool2d(g, {s, s}) * static_cast<double>(s * s), sizes[1]);
  }
  const Tensor matched = match_channels_adjoint(g, sizes[1]);
  if (present == height) return matched;
  const auto s = static_cast<double>(height / present);
  return at::upsample_nearest2d(matched, {height, sizes[3]}) / (s * s);
}

}  // namespace san::ops
