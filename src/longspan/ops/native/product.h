// The product of rows and weights, whose result for a row does not depend on which other rows there are.
#pragma once

#include "packing.h"
#include "team.h"

namespace LONGSPAN_ISA {

// Vectors of a tile, and units: of these each thread of a team has a whole number of times as many.
inline constexpr int kVectorsOfAShare = 2;
template <class T>
inline constexpr int64_t kUnitsOfAShare = kVectorsOfAShare * kLanes<T>;

// A thread's of `size` units.
template <class T>
struct Share {
  Share(const Member& member, int64_t size)
      : begin(member.begin(divide_up(size, kUnitsOfAShare<T>)) * kUnitsOfAShare<T>),
        end(std::min(member.end(divide_up(size, kUnitsOfAShare<T>)) * kUnitsOfAShare<T>, size)) {}

  int64_t begin, end;
};

// A share of the products of some rows and weights (size, depth), packed by `pack_rows` or `pack_backward`: calls
// `take(row, unit, sums, count)`.
template <class T, int Most, class Take>
void multiply_rows(const T* const* rows, int64_t count, const T* weights, int64_t depth, Share<T> share, Take take) {
  for (int64_t begin = share.begin; begin < share.end; begin += kUnitsOfAShare<T>) {
    for_tiles<Most>(count, [&](auto height, int64_t first) {
      Tile<T, height.value, kVectorsOfAShare> tile;
      tile.clear();
      multiply<Ascending<kVectorsOfAShare>>(tile, rows + first, weights + begin * depth, depth);
      for (int r = 0; r < height.value; ++r) {
        for_units<T>(begin, std::min(begin + kUnitsOfAShare<T>, share.end), [&](int64_t unit, int count) {
          take(first + r, unit, tile.sums[r][(unit - begin) / kLanes<T>], count);
        });
      }
    });
  }
}

struct OneGate {
  static constexpr int gates = 1, sums = 1, units = kVectorsOfAShare;
  static constexpr bool narrows = false;
};

// (size, depth) in the order in which `multiply_rows` reads it.
template <class T>
Buffer<T> pack_rows(const T* weights, int64_t size, int64_t depth) {
  return pack_forward<OneGate, T>(weights, size, depth);
}

}  // namespace LONGSPAN_ISA
