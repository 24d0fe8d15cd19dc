// The one micro-kernel: a tile of `Rows` rows by `Columns` vectors of sums, in registers.
#pragma once

#include <algorithm>
#include <type_traits>

#include "simd.h"

namespace LONGSPAN_ISA {

// Rows of the highest tile.
template <class T>
inline constexpr int kTileRows = LONGSPAN_TILE_ROWS;

template <class T, int Rows, int Columns>
struct Tile {
  // In this way, and not by an initialiser, the compiler keeps the sums in registers from the first on.
  void clear() {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
      for (int j = 0; j < Columns; ++j) sums[r][j] = Vector<T>{};
    }
  }

  Vector<T> sums[Rows][Columns];
};

// Which column of the tile each vector of weights is added to.
template <int... Column>
struct To {
  static constexpr int count = sizeof...(Column);
  static constexpr int column[sizeof...(Column)] = {Column...};
};

template <int Columns>
using Ascending = std::conditional_t<Columns == 1, To<0>, std::conditional_t<Columns == 2, To<0, 1>, To<0, 1, 2, 3>>>;

// Weights of this many bytes stay in the second cache of one core.
inline constexpr int64_t kCachedBytes = 768 << 10;

// Where a tile looks ahead while it multiplies, one line of the weights that come next at each number of the depth: of
// what lies beyond the second cache the processor does not foresee enough.
class Lookahead {
 public:
  // Of the bytes that come next, tile after tile of so many numbers looks at its part.
  Lookahead(const void* next, int64_t bytes, int64_t depth, int64_t tile)
      : at_(static_cast<const char*>(next) + std::min(tile * depth * kLine, bytes)) {}

  void look() {
    __builtin_prefetch(at_, 0, 2);
    at_ += kLine;
  }

 private:
  static constexpr int64_t kLine = 64;

  const char* at_;
};

// For weights that are near.
struct Nowhere {
  template <class... Any>
  explicit Nowhere(const Any&...) {}
  void look() {}
};

// Add the product of `Rows` rows of `depth` numbers and packed weights [depth][Columns of To][lanes].
//
// Each sum runs over the depth in the same order whatever the height of the tile, so that a row's result does not
// depend on which other rows are computed with it.
template <class Into, class T, int Rows, int Columns, class Next>
inline __attribute__((always_inline)) void multiply(Tile<T, Rows, Columns>& tile, const T* const* rows, const T* weights,
                                                    int64_t depth, Next& next) {
  for (int64_t k = 0; k < depth; ++k, weights += Into::count * kLanes<T>) {
    next.look();
    Vector<T> weight[Into::count];
#pragma GCC unroll 16
    for (int j = 0; j < Into::count; ++j) weight[j] = load(weights + j * kLanes<T>);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Vector<T> value = broadcast(rows[r][k]);
#pragma GCC unroll 16
      for (int j = 0; j < Into::count; ++j) tile.sums[r][Into::column[j]] += value * weight[j];
    }
  }
}

template <class Into, class T, class Number, int Rows, int Columns>
inline __attribute__((always_inline)) void multiply(Tile<T, Rows, Columns>& tile, const Number* const* rows,
                                                    const Number* weights, int64_t depth) {
  Nowhere next;
  multiply<Into>(tile, rows, weights, depth, next);
}

// Call `work(looks)`, with whether a tile looks ahead as a type: a full one, which has the time, where the weights are far.
template <bool Full, class Work>
inline void with_lookahead(bool far, Work work) {
  if (Full && far) return work(std::bool_constant<Full>{});
  work(std::false_type{});
}

template <bool Looks>
using Next = std::conditional_t<Looks, Lookahead, Nowhere>;

// How a row is seen by the product with the weights: as it is.
template <class T>
struct Exact {
  using Number = T;

  Exact(int64_t, int64_t) {}
  static int64_t deep(int64_t depth) { return depth; }  // how many numbers a row of `depth` has
  const T* see(const T* row, int64_t) { return row; }
};

// Call `work(unit, count)` for the vectors that cover the units [begin, end): as wide as a vector is, but for the last.
// With the width in two places the compiler leaves the masks out of the first.
template <class T, class Work>
inline __attribute__((always_inline)) void for_units(int64_t begin, int64_t end, Work work) {
  int64_t unit = begin;
  for (; unit + kLanes<T> <= end; unit += kLanes<T>) work(unit, kLanes<T>);
  if (unit < end) work(unit, static_cast<int>(end - unit));
}

// Call `work(height, first)`, with the height as a type, for tiles that cover `rows` rows.
template <int Most, class Work>
inline void for_tiles(int64_t rows, Work work) {
  int64_t first = 0;
  for (; first + Most <= rows; first += Most) work(std::integral_constant<int, Most>{}, first);
  switch (rows - first) {
    case 1: return work(std::integral_constant<int, 1>{}, first);
    case 2: return work(std::integral_constant<int, 2>{}, first);
    case 3: return work(std::integral_constant<int, 3>{}, first);
    case 4: return work(std::integral_constant<int, 4>{}, first);
    case 5: return work(std::integral_constant<int, 5>{}, first);
    default: return;
  }
}

}  // namespace LONGSPAN_ISA
