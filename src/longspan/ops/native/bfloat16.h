// Products of numbers rounded to bfloat16, two at a time, with their sums in float: AVX-512's own instruction for it.
#pragma once

#include "forward.h"

namespace LONGSPAN_ISA {

// The upper half of a float, to the nearest, ties to even; a NaN stays one.
inline uint32_t rounded(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  if (value != value) return bits >> 16 | 0x40;
  return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}

// Rows as pairs of rounded numbers; the last has a zero where their count is odd.
class Rounded {
 public:
  using Number = uint32_t;

  Rounded(int64_t rows, int64_t depth) : depth_(depth), rows_(rows * deep(depth)) {}

  static int64_t deep(int64_t depth) { return (depth + 1) / 2; }

  const uint32_t* see(const float* row, int64_t number) {
    uint32_t* to = rows_.data() + number * deep(depth_);
    for (int64_t k = 0; k + 1 < depth_; k += 2) to[k / 2] = rounded(row[k]) | rounded(row[k + 1]) << 16;
    if (depth_ % 2 != 0) to[depth_ / 2] = rounded(row[depth_ - 1]);
    return to;
  }

  // [block][depth][number of the block] becomes [block][pair][number of the block].
  template <class Cell>
  static Buffer<uint32_t> pack(const Buffer<float>& weights, int64_t hidden, int64_t depth) {
    const Blocks<Cell, float> blocks(hidden);
    Buffer<uint32_t> packed(Cell::gates * blocks.places() * deep(depth), 0u);
    for (int64_t block = 0; block < blocks.count(); ++block) {
      const int64_t before = Cell::gates * blocks.begin(block), width = Cell::gates * blocks.width(block);
      for (int64_t k = 0; k < depth; ++k) {
        const float* from = weights.data() + before * depth + k * width;
        uint32_t* to = packed.data() + before * deep(depth) + k / 2 * width;
        for (int64_t n = 0; n < width; ++n) to[n] |= rounded(from[n]) << (k % 2 == 0 ? 0 : 16);
      }
    }
    return packed;
  }

 private:
  int64_t depth_;
  Buffer<uint32_t> rows_;
};

template <class Into, int Rows, int Columns, class Next>
inline __attribute__((always_inline)) void multiply(Tile<float, Rows, Columns>& tile, const uint32_t* const* rows,
                                                    const uint32_t* weights, int64_t depth, Next& next) {
  for (int64_t k = 0; k < depth; ++k, weights += Into::count * kLanes<float>) {
    next.look();
    __m512i weight[Into::count];
#pragma GCC unroll 16
    for (int j = 0; j < Into::count; ++j) weight[j] = _mm512_loadu_si512(weights + j * kLanes<float>);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const __m512i value = _mm512_set1_epi32(static_cast<int>(rows[r][k]));
#pragma GCC unroll 16
      for (int j = 0; j < Into::count; ++j) {
        Vector<float>& sum = tile.sums[r][Into::column[j]];
        sum = (Vector<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)value, (__m512bh)weight[j]);
      }
    }
  }
}

}  // namespace LONGSPAN_ISA
