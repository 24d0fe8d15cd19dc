// Weights in the order in which the micro-kernel reads them, zero where a vector reaches past the last unit.
#pragma once

#include <algorithm>

#include "buffer.h"
#include "cells.h"

namespace LONGSPAN_ISA {

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Packing and its like takes threads from this many numbers on.
inline constexpr size_t kWorthThreads = 1 << 18;

// Call `work(share)` for each share of a work on `size` numbers.
template <class Work>
void for_shares(int64_t shares, size_t size, int threads, Work work) {
  const int parts = size < kWorthThreads ? 1 : static_cast<int>(std::min<int64_t>(threads, shares));
#ifdef _OPENMP
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
#endif
  for (int64_t share = 0; share < shares; ++share) work(share);
}

template <class Cell, class T>
int64_t blocks_of(int64_t hidden) {
  return divide_up(hidden, Cell::units * kLanes<T>);
}

// `count` rows of `width` numbers, `from_apart` from each other, become columns: number k of each row goes to
// `to + k * to_apart`, the places of missing rows to zero.
template <class T>
void turn(const T* from, int64_t from_apart, int count, int64_t width, T* to, int64_t to_apart) {
  constexpr int lanes = kLanes<T>;
  for (int64_t k = 0; k < width; k += lanes) {
    const int size = static_cast<int>(std::min<int64_t>(lanes, width - k));
    Vector<T> square[lanes];
    // Rows lie far apart, which the processor does not foresee.
    for (int i = 0; i < count; ++i) __builtin_prefetch(from + i * from_apart + k + 4 * lanes);
    if (count == lanes && size == lanes) {
#pragma GCC unroll 16
      for (int i = 0; i < lanes; ++i) square[i] = load(from + i * from_apart + k);
    } else {
      for (int i = 0; i < lanes; ++i) square[i] = i < count ? load(from + i * from_apart + k, size) : Vector<T>{};
    }
    transpose<T>(square);
    if (size == lanes) {
#pragma GCC unroll 16
      for (int i = 0; i < lanes; ++i) store(to + (k + i) * to_apart, square[i]);
    } else {
      for (int i = 0; i < size; ++i) store(to + (k + i) * to_apart, square[i]);
    }
  }
}

// One block of (G H, depth) becomes [depth][gate][unit vector][lane].
template <class Cell, class T>
void pack_block(const T* weights, int64_t hidden, int64_t depth, int64_t block, T* packed) {
  constexpr int64_t lanes = kLanes<T>, vectors = Cell::gates * Cell::units;
  for (int64_t j = 0; j < vectors; ++j) {
    const int64_t unit = (block * Cell::units + j % Cell::units) * lanes;
    const int count = static_cast<int>(std::max<int64_t>(0, std::min<int64_t>(lanes, hidden - unit)));
    turn(weights + (j / Cell::units * hidden + unit) * depth, depth, count, depth, packed + j * lanes,
         vectors * lanes);
  }
}

// (G H, depth) becomes [block][depth][gate][unit vector][lane].
template <class Cell, class T>
Buffer<T> pack_forward(const T* weights, int64_t hidden, int64_t depth, int threads = 1) {
  const int64_t blocks = blocks_of<Cell, T>(hidden), size = depth * Cell::gates * Cell::units * kLanes<T>;
  Buffer<T> packed(blocks * size);
  for_shares(blocks, packed.size(), threads, [&](int64_t block) {
    pack_block<Cell>(weights, hidden, depth, block, packed.data() + block * size);
  });
  return packed;
}

// The same as the numbers that a kind of product reads.
template <class Cell, class Kind, class T>
Buffer<typename Kind::Number> pack_for(const T* weights, int64_t hidden, int64_t depth, int threads = 1) {
  if constexpr (std::is_same_v<typename Kind::Number, T>) {
    return pack_forward<Cell, T>(weights, hidden, depth, threads);
  } else {
    return Kind::pack(pack_forward<Cell, T>(weights, hidden, depth, threads), blocks_of<Cell, T>(hidden), depth,
                      Cell::gates * Cell::units * kLanes<T>);
  }
}

// The sums that a block begins with: [block][sum][unit vector][lane].
template <class Cell, class T>
Buffer<T> pack_bias(const T* b_ih, const T* b_hh, int64_t hidden) {
  constexpr int lanes = kLanes<T>;
  const int64_t blocks = blocks_of<Cell, T>(hidden), width = Cell::units * lanes;
  Buffer<T> packed(blocks * Cell::sums * width, T(0));
  for (int64_t u = 0; u < hidden; ++u) {
    T* to = packed.data() + u / width * Cell::sums * width + u % width;
    for (int gate = 0; gate < Cell::gates; ++gate) {
      if (b_ih != nullptr) to[Cell::FromInput::column[gate] * width] += b_ih[gate * hidden + u];
      if (b_hh != nullptr) to[Cell::FromHidden::column[gate] * width] += b_hh[gate * hidden + u];
    }
  }
  return packed;
}

// (depth, H), as it is, becomes [block of `Columns` vectors][depth][vector][lane].
template <class T, int Columns>
Buffer<T> pack_backward(const T* weights, int64_t hidden, int64_t depth) {
  constexpr int64_t width = Columns * kLanes<T>;
  const int64_t blocks = divide_up(hidden, width);
  Buffer<T> packed(blocks * depth * width, T(0));
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t count = std::min(width, hidden - block * width);
    for (int64_t k = 0; k < depth; ++k) {
      std::copy_n(weights + k * hidden + block * width, count, packed.data() + (block * depth + k) * width);
    }
  }
  return packed;
}

// (G H, width), as it is, becomes [block of `Columns` vectors][block of units][gate][unit vector][lane][vector][lane]: the
// weights by which gate gradients are multiplied, in the order in which `GateGradients` keeps these.
template <class T, class Cell, int Columns>
Buffer<T> pack_columns(const T* weights, int64_t hidden, int64_t width, int threads = 1) {
  constexpr int64_t lanes = kLanes<T>, across = Columns * lanes;
  const int64_t units = blocks_of<Cell, T>(hidden) * Cell::units * lanes;
  Buffer<T> packed(divide_up(width, across) * Cell::gates * units * across, T(0));
  for_shares(divide_up(width, across), packed.size(), threads, [&](int64_t share) {
    const int64_t first = share * across, count = std::min(across, width - first);
    for (int64_t gate = 0; gate < Cell::gates; ++gate) {
      for (int64_t unit = 0; unit < hidden; ++unit) {
        const int64_t vector = unit / lanes, block = vector / Cell::units, j = gate * Cell::units + vector % Cell::units;
        const int64_t depth = (block * Cell::gates * Cell::units + j) * lanes + unit % lanes;
        std::copy_n(weights + (gate * hidden + unit) * width + first, count,
                    packed.data() + first * Cell::gates * units + depth * across);
      }
    }
  });
  return packed;
}

}  // namespace LONGSPAN_ISA
