// Weights in the order in which the micro-kernel reads them.
#pragma once

#include "blocks.h"
#include "buffer.h"
#include "cells.h"
#include "failure.h"

namespace LONGSPAN_ISA {

// Packing and its like takes threads from this many numbers on.
inline constexpr size_t kWorthThreads = 1 << 18;

// Call `work(share)` for each share of a work on `size` numbers.
template <class Work>
void for_shares(int64_t shares, size_t size, int threads, Work work) {
  const int parts = size < kWorthThreads ? 1 : static_cast<int>(std::min<int64_t>(threads, shares));
  Failure failure;
#ifdef _OPENMP
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
#endif
  for (int64_t share = 0; share < shares; ++share) failure.guard([&] { work(share); });
  failure.rethrow();
}

// `count` rows of `width` numbers, `from_apart` from each other, become columns: number k of each row goes to
// `to + k * to_apart`, where there are `places`, and zero to those of missing rows.
template <class T>
void turn(const T* from, int64_t from_apart, int count, int64_t width, T* to, int64_t to_apart, int places) {
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
    if (size == lanes && places == lanes) {
#pragma GCC unroll 16
      for (int i = 0; i < lanes; ++i) store(to + (k + i) * to_apart, square[i]);
    } else {
      for (int i = 0; i < size; ++i) store(to + (k + i) * to_apart, square[i], places);
    }
  }
}

// One block of (G H, depth) becomes [depth][gate][unit].
template <class Cell, class T>
void pack_block(const T* weights, int64_t hidden, int64_t depth, int64_t block, T* packed) {
  const Blocks<Cell, T> blocks(hidden);
  const int64_t width = blocks.width(block), units = blocks.units(block);
  for (int64_t gate = 0; gate < Cell::gates; ++gate) {
    for (int64_t unit = 0; unit < width; unit += kLanes<T>) {
      const int places = static_cast<int>(std::min<int64_t>(kLanes<T>, width - unit));
      const int count = static_cast<int>(std::max<int64_t>(0, std::min<int64_t>(places, units - unit)));
      turn(weights + (gate * hidden + blocks.begin(block) + unit) * depth, depth, count, depth,
           packed + gate * width + unit, Cell::gates * width, places);
    }
  }
}

// (G H, depth) becomes [block][depth][gate][unit].
template <class Cell, class T>
Buffer<T> pack_forward(const T* weights, int64_t hidden, int64_t depth, int threads = 1) {
  const Blocks<Cell, T> blocks(hidden);
  Buffer<T> packed(Cell::gates * blocks.places() * depth);
  for_shares(blocks.count(), packed.size(), threads, [&](int64_t block) {
    pack_block<Cell>(weights, hidden, depth, block, packed.data() + Cell::gates * blocks.begin(block) * depth);
  });
  return packed;
}

// The same as the numbers that a kind of product reads.
template <class Cell, class Kind, class T>
Buffer<typename Kind::Number> pack_for(const T* weights, int64_t hidden, int64_t depth, int threads = 1) {
  if constexpr (std::is_same_v<typename Kind::Number, T>) {
    return pack_forward<Cell, T>(weights, hidden, depth, threads);
  } else {
    return Kind::template pack<Cell>(pack_forward<Cell, T>(weights, hidden, depth, threads), hidden, depth);
  }
}

// The sums that a block begins with: [block][sum][unit].
template <class Cell, class T>
Buffer<T> pack_bias(const T* b_ih, const T* b_hh, int64_t hidden) {
  const Blocks<Cell, T> blocks(hidden);
  Buffer<T> packed(Cell::sums * blocks.places(), T(0));
  for (int64_t u = 0; u < hidden; ++u) {
    const int64_t block = blocks.of(u), width = blocks.width(block);
    T* to = packed.data() + Cell::sums * blocks.begin(block) + u - blocks.begin(block);
    for (int gate = 0; gate < Cell::gates; ++gate) {
      if (b_ih != nullptr) to[sum_of<Cell, typename Cell::FromInput>(gate) * width] += b_ih[gate * hidden + u];
      if (b_hh != nullptr) to[sum_of<Cell, typename Cell::FromHidden>(gate) * width] += b_hh[gate * hidden + u];
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

// `width` columns of (G H, apart), as it is, become [block of `Columns` vectors][block of units][gate][unit][vector][lane]:
// the weights by which gate gradients are multiplied, in the order in which `GateGradients` keeps these.
template <class T, class Cell, int Columns>
Buffer<T> pack_columns(const T* weights, int64_t hidden, int64_t apart, int64_t width, int threads = 1) {
  constexpr int64_t lanes = kLanes<T>, across = Columns * lanes;
  const Blocks<Cell, T> blocks(hidden);
  const int64_t deep = Cell::gates * blocks.places(), columns = divide_up(width, across) * across;
  Buffer<T> packed(columns * deep);
  for_shares(blocks.count(), packed.size(), threads, [&](int64_t block) {
    for (int64_t gate = 0; gate < Cell::gates; ++gate) {
      for (int64_t unit = 0; unit < blocks.units(block); ++unit) {
        const T* const from = weights + (gate * hidden + blocks.begin(block) + unit) * apart;
        const int64_t depth = Cell::gates * blocks.begin(block) + gate * blocks.width(block) + unit;
        for (int64_t column = 0; column < columns; column += lanes) {
          const int count = static_cast<int>(std::min(lanes, std::max<int64_t>(0, width - column)));
          store(packed.data() + (column / across * deep + depth) * across + column % across, load(from + column, count));
        }
      }
    }
  });
  return packed;
}

}  // namespace LONGSPAN_ISA
