// Kernels of rpa_gate; rpa_gate_kernels.h has their traffic, params.h formulas and gradients.
#pragma once

#include "ops/cuda/rows.cuh"
#include "ops/rpa_gate/rpa_gate_kernels.h"

namespace san::ops::cuda {

/// One direction of the interpolation from `from` to `to`: bilinear_tap of params.h, with its rounding fixed,
/// so that the cells share out the targets whatever the compiler fuses.
template <typename A>
struct Axis {
  int from, to;
  A scale;

  SAN_DEVICE Axis(int64_t from_, int64_t to_)
      : from(static_cast<int>(from_)), to(static_cast<int>(to_)), scale(A(from_) / A(to_)) {}

  SAN_DEVICE A position(int target) const {
    const A at = fma(scale, static_cast<A>(target) + A(0.5), A(-0.5));
    return at < A(0) ? A(0) : at;
  }
  SAN_DEVICE int low(int target) const {
    const int floor = static_cast<int>(position(target));
    return floor < from - 1 ? floor : from - 1;
  }
  /// The first target whose low source is `source` or beyond.
  SAN_DEVICE int first(int source) const {
    if (source <= 0) return 0;
    if (source >= from) return to;
    int target = static_cast<int>((static_cast<A>(source) + A(0.5)) / scale - A(0.5));
    target = target < 0 ? 0 : target > to ? to : target;
    while (target > 0 && low(target - 1) >= source) --target;
    while (target < to && low(target) < source) ++target;
    return target;
  }
};

/// One cell: the targets of rows top ... bottom - 1 and columns left ... right - 1, and the sources around
/// them.
template <typename A>
struct Cell {
  int64_t sample;
  int row, column, next_row, next_column, top, bottom, left, right;

  SAN_DEVICE Cell(int64_t cell, const RpaSize& n, const Axis<A>& rows, const Axis<A>& columns) {
    const auto index = static_cast<unsigned>(cell), width = static_cast<unsigned>(n.low_width),
               height = static_cast<unsigned>(n.low_height);
    const unsigned low_row = index / width;
    sample = low_row / height;
    column = static_cast<int>(index - low_row * width);
    row = static_cast<int>(low_row - static_cast<unsigned>(sample) * height);
    next_row = row + 1 < rows.from ? row + 1 : row;
    next_column = column + 1 < columns.from ? column + 1 : column;
    top = rows.first(row), bottom = rows.first(row + 1);
    left = columns.first(column), right = columns.first(column + 1);
  }
};

/// Between a and b, at weight w of b.
template <int V, typename A>
SAN_DEVICE Pack<A, V> blend(const Pack<A, V>& a, const Pack<A, V>& b, A w) {
  Pack<A, V> out;
  SAN_UNROLL
  for (int e = 0; e < V; ++e) out.at[e] = (A(1) - w) * a.at[e] + w * b.at[e];
  return out;
}

/// s left and right of a cell's targets in row i, between its rows of sources. The four sources are read
/// again for each row, from the nearest cache: kept, they would take half of a thread's registers.
template <int V, typename A>
struct Sides {
  Pack<A, V> left, right;

  SAN_DEVICE Sides(const A* s, const RpaSize& n, const Cell<A>& cell, int64_t c, A down) {
    const int64_t above = cell.sample * n.low_height + cell.row, below = above + cell.next_row - cell.row;
    const auto source = [&](int64_t row, int column) {
      return load<V>(s + (row * n.low_width + column) * n.channels + c);
    };
    left = blend(source(above, cell.column), source(below, cell.column), down);
    right = blend(source(above, cell.next_column), source(below, cell.next_column), down);
  }
};

template <typename T, typename A, int V>
__global__ void __launch_bounds__(kBlock) rpa_sigmoid_kernel(RpaForward<T, A> p, unsigned lanes) {
  const Place at(lanes);
  const int64_t cells = p.size.cells();
  for (int64_t cell = at.first() + at.group; cell < cells; cell += at.step())
    for (int64_t c = int64_t{at.lane} * V; c < p.size.channels; c += int64_t{lanes} * V) {
      Pack<A, V> s = load<V>(p.normal + cell * p.size.channels + c);
      SAN_UNROLL
      for (int e = 0; e < V; ++e) s.at[e] = sigmoid(s.at[e]);
      store<V>(p.s + cell * p.size.channels + c, s);
    }
}

/// Columns whose values are on their way at once; between two sources lie four where the logits have a
/// sixteenth of the pixels.
inline constexpr int kForwardColumns = 4;
template <typename T, int V>
inline constexpr int kBackwardColumns = V * sizeof(T) < 16 ? 4 : 2;

template <typename T, typename A, int V>
__global__ void __launch_bounds__(kBlock, 3) rpa_forward_kernel(RpaForward<T, A> p, unsigned lanes) {
  const Place at(lanes);
  const RpaSize n = p.size;
  const Axis<A> rows(n.low_height, n.height), columns(n.low_width, n.width);
  for (int64_t index = at.first() + at.group; index < n.cells(); index += at.step()) {
    const Cell<A> cell(index, n, rows, columns);
    for (int64_t c = int64_t{at.lane} * V; c < n.channels; c += int64_t{lanes} * V)
      for (int i = cell.top; i < cell.bottom; ++i) {
        const Sides<V, A> sides(p.s, n, cell, c, rows.position(i) - static_cast<A>(cell.row));
        const int64_t row = ((cell.sample * n.height + i) * n.width) * n.channels + c;
        for (int first = cell.left; first < cell.right; first += kForwardColumns) {
          Pack<T, V> stored[kForwardColumns];
          SAN_UNROLL
          for (int k = 0; k < kForwardColumns; ++k)
            if (first + k < cell.right) stored[k] = load_stored<V>(p.x + row + (first + k) * n.channels);
          SAN_UNROLL
          for (int k = 0; k < kForwardColumns; ++k) {
            const int j = first + k;
            if (j >= cell.right) continue;
            const A across = columns.position(j) - static_cast<A>(cell.column);
            const Pack<A, V> gate = blend(sides.left, sides.right, across);
            Pack<A, V> y = widened(stored[k]);
            SAN_UNROLL
            for (int e = 0; e < V; ++e) y.at[e] *= gate.at[e];
            store<V>(p.y + row + j * n.channels, y);
          }
        }
      }
  }
}

/// dx, and each cell's four sums.
template <typename T, typename A, int V>
__global__ void __launch_bounds__(kBlock, 2) rpa_backward_kernel(RpaBackward<T, A> p, unsigned lanes) {
  constexpr int kColumns = kBackwardColumns<T, V>;
  const Place at(lanes);
  const RpaSize n = p.size;
  const Axis<A> rows(n.low_height, n.height), columns(n.low_width, n.width);
  for (int64_t index = at.first() + at.group; index < n.cells(); index += at.step()) {
    const Cell<A> cell(index, n, rows, columns);
    for (int64_t c = int64_t{at.lane} * V; c < n.channels; c += int64_t{lanes} * V) {
      Pack<A, V> sums[2][2] = {};
      for (int i = cell.top; i < cell.bottom; ++i) {
        const A down = rows.position(i) - static_cast<A>(cell.row);
        const Sides<V, A> sides(p.s, n, cell, c, down);
        Pack<A, V> to_left = {}, to_right = {};
        const int64_t row = ((cell.sample * n.height + i) * n.width) * n.channels + c;
        for (int first = cell.left; first < cell.right; first += kColumns) {
          Pack<T, V> stored_g[kColumns], stored_x[kColumns];
          SAN_UNROLL
          for (int k = 0; k < kColumns; ++k)
            if (first + k < cell.right) {
              stored_g[k] = load_stored<V>(p.g + row + (first + k) * n.channels);
              stored_x[k] = load_stored<V>(p.x + row + (first + k) * n.channels);
            }
          SAN_UNROLL
          for (int k = 0; k < kColumns; ++k) {
            const int j = first + k;
            if (j >= cell.right) continue;
            const A across = columns.position(j) - static_cast<A>(cell.column);
            const Pack<A, V> gate = blend(sides.left, sides.right, across), g = widened(stored_g[k]),
                             x = widened(stored_x[k]);
            Pack<A, V> dx;
            SAN_UNROLL
            for (int e = 0; e < V; ++e) {
              const A product = g.at[e] * x.at[e];
              dx.at[e] = g.at[e] * gate.at[e];
              to_left.at[e] += (A(1) - across) * product;
              to_right.at[e] += across * product;
            }
            store<V>(p.dx + row + j * n.channels, dx);
          }
        }
        SAN_UNROLL
        for (int e = 0; e < V; ++e) {
          sums[0][0].at[e] += (A(1) - down) * to_left.at[e];
          sums[0][1].at[e] += (A(1) - down) * to_right.at[e];
          sums[1][0].at[e] += down * to_left.at[e];
          sums[1][1].at[e] += down * to_right.at[e];
        }
      }
      SAN_UNROLL
      for (int q = 0; q < 4; ++q) store<V>(p.partial + (index * 4 + q) * n.channels + c, sums[q / 2][q % 2]);
    }
  }
}

/// dn: what the up to four cells around a source gave for it, and the edge's own second row and column, which
/// lie on the source itself.
template <typename T, typename A, int V>
__global__ void __launch_bounds__(kBlock) rpa_gather_kernel(RpaBackward<T, A> p, unsigned lanes) {
  const Place at(lanes);
  const RpaSize n = p.size;
  for (int64_t index = at.first() + at.group; index < n.cells(); index += at.step()) {
    const auto low_row = static_cast<unsigned>(index) / static_cast<unsigned>(n.low_width);
    const int64_t column = index - int64_t{low_row} * n.low_width,
                  row = low_row % static_cast<unsigned>(n.low_height);
    for (int64_t c = int64_t{at.lane} * V; c < n.channels; c += int64_t{lanes} * V) {
      Pack<A, V> ds = {};
      for (int i = 0; i < 2; ++i)
        for (int up = 0; up <= i; ++up) {
          // Second rows come from the cell above, and at the last row from the cell itself as well.
          if (up == 1 ? row == 0 : i == 1 && row + 1 < n.low_height) continue;
          for (int j = 0; j < 2; ++j)
            for (int back = 0; back <= j; ++back) {
              if (back == 1 ? column == 0 : j == 1 && column + 1 < n.low_width) continue;
              const int64_t cell = index - up * n.low_width - back;
              const Pack<A, V> part = load<V>(p.partial + (cell * 4 + i * 2 + j) * n.channels + c);
              SAN_UNROLL
              for (int e = 0; e < V; ++e) ds.at[e] += part.at[e];
            }
        }
      const Pack<A, V> s = load<V>(p.s + index * n.channels + c);
      SAN_UNROLL
      for (int e = 0; e < V; ++e) ds.at[e] *= s.at[e] * (A(1) - s.at[e]);
      store<V>(p.dn + index * n.channels + c, ds);
    }
  }
}

}  // namespace san::ops::cuda
