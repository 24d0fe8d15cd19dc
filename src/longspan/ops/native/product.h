// The product of rows and weights, whose result for a row does not depend on which other rows there are.
#pragma once

#include "packing.h"
#include "walk.h"

namespace LONGSPAN_ISA {

// Products of `rows` rows and weights (size, depth) packed by `pack_rows`: calls `take(row, unit, sums, count)`.
template <class T, int Most, class Take>
void multiply_rows(const T* const* rows, int64_t count, const T* weights, int64_t depth, int64_t size, Take take) {
  constexpr int64_t columns = RnnTanh::units, width = columns * kLanes<T>;
  for (int64_t block = 0; block < divide_up(size, width); ++block) {
    for_tiles<Most>(count, [&](auto height, int64_t first) {
      Tile<T, height.value, columns> tile;
      tile.clear();
      multiply<RnnTanh::FromHidden>(tile, rows + first, weights + block * depth * width, depth);
      for (int r = 0; r < height.value; ++r) {
        for (int j = 0; j < columns && block * width + j * kLanes<T> < size; ++j) {
          const int64_t unit = block * width + j * kLanes<T>;
          take(first + r, unit, tile.sums[r][j], static_cast<int>(std::min<int64_t>(kLanes<T>, size - unit)));
        }
      }
    });
  }
}

// (size, depth) in the order in which `multiply_rows` reads it: that of a cell with one gate.
template <class T>
Buffer<T> pack_rows(const T* weights, int64_t size, int64_t depth) {
  return pack_forward<RnnTanh, T>(weights, size, depth);
}

}  // namespace LONGSPAN_ISA
