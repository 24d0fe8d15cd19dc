// The units of a layer in blocks. Of each row a block has [sum][unit], or [gate][unit], in whole vectors.
//
// A full block has a vector or more of units for each sum. The last one may be half or a quarter as wide: then there are
// fewer vectors, or a vector holds several sums, and less is computed for units that are not there.
#pragma once

#include <algorithm>
#include <type_traits>

#include "tile.h"

namespace LONGSPAN_ISA {

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class Cell, class T>
class Blocks {
 public:
  static constexpr int columns = Cell::sums * Cell::units;        // vectors of a full block's sums
  static constexpr int64_t full = Cell::units * kLanes<T>;        // units of a full block

  explicit Blocks(int64_t hidden) : hidden_(hidden) {}

  int64_t count() const { return divide_up(hidden_, full); }
  static int64_t of(int64_t unit) { return unit / full; }
  static int64_t begin(int64_t block) { return block * full; }

  // The units of a block, and the places for units that each of its sums has.
  int64_t units(int64_t block) const { return std::min(full, hidden_ - begin(block)); }
  int64_t width(int64_t block) const {
    int64_t places = full;
    while (Cell::narrows && places / 2 >= units(block) && columns * places / 2 % full == 0) places /= 2;
    return places;
  }

  // Places of all blocks together.
  int64_t places() const { return hidden_ == 0 ? 0 : begin(count() - 1) + width(count() - 1); }

  // Call `work(columns)`, with the vectors of the block's sums as a type.
  template <class Work>
  void with_columns(int64_t block, Work work) const {
    if constexpr (Cell::narrows) {
      switch (columns * width(block) / full) {
        case 1: return work(std::integral_constant<int, 1>{});
        case 2: return work(std::integral_constant<int, 2>{});
      }
    }
    work(std::integral_constant<int, columns>{});
  }

 private:
  int64_t hidden_;
};

// Which of a cell's sums a gate's product belongs to.
template <class Cell, class Which>
constexpr int sum_of(int gate) {
  return Which::column[gate * Cell::units] / Cell::units;
}

// Where weights are added to in a tile of `Columns` vectors: as the cell says in a full block, one after the other in a
// narrow one.
template <class Which, class Cell, int Columns>
using Into = std::conditional_t<Columns == Cell::sums * Cell::units, Which, Ascending<Columns>>;

// Call `work(tile)` with the sums as in a full block. Those of a narrow one are moved, each to the beginning of its
// vectors; behind it lies anything.
template <class Cell, class T, int Height, int Columns, class Work>
inline __attribute__((always_inline)) void widened(Tile<T, Height, Columns>& tile, Work work) {
  constexpr int full = Cell::sums * Cell::units;
  if constexpr (Columns == full) {
    work(tile);
  } else {
    constexpr int lanes = kLanes<T>, width = Columns * lanes / Cell::sums;
    Tile<T, Height, full> wide;
    T sums[(Columns + Cell::units) * lanes]{};
    for (int r = 0; r < Height; ++r) {
      for (int j = 0; j < Columns; ++j) store(sums + j * lanes, tile.sums[r][j]);
      for (int j = 0; j < full; ++j) wide.sums[r][j] = load(sums + j / Cell::units * width + j % Cell::units * lanes);
    }
    work(wide);
  }
}

}  // namespace LONGSPAN_ISA
