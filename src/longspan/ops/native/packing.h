// Weights in the order in which the micro-kernel reads them, zero where a vector reaches past the last unit.
#pragma once

#include <algorithm>

#include "buffer.h"
#include "cells.h"

namespace LONGSPAN_ISA {

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class Cell, class T>
int64_t blocks_of(int64_t hidden) {
  return divide_up(hidden, Cell::units * kLanes<T>);
}

// (G H, depth) becomes [block][depth][gate][unit vector][lane].
template <class Cell, class T>
Buffer<T> pack_forward(const T* weights, int64_t hidden, int64_t depth) {
  constexpr int lanes = kLanes<T>, columns = Cell::gates * Cell::units;
  const int64_t blocks = blocks_of<Cell, T>(hidden), width = Cell::units * lanes;
  Buffer<T> packed(blocks * depth * columns * lanes, T(0));
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t gate = 0; gate < Cell::gates; ++gate) {
      for (int64_t unit = 0; unit < width && block * width + unit < hidden; ++unit) {
        const T* from = weights + (gate * hidden + block * width + unit) * depth;
        T* to = packed.data() + block * depth * columns * lanes + gate * width + unit;
        for (int64_t k = 0; k < depth; ++k) to[k * columns * lanes] = from[k];
      }
    }
  }
  return packed;
}

// The same as the numbers that a kind of product reads.
template <class Cell, class Kind, class T>
Buffer<typename Kind::Number> pack_for(const T* weights, int64_t hidden, int64_t depth) {
  if constexpr (std::is_same_v<typename Kind::Number, T>) {
    return pack_forward<Cell, T>(weights, hidden, depth);
  } else {
    return Kind::pack(pack_forward<Cell, T>(weights, hidden, depth), blocks_of<Cell, T>(hidden), depth,
                      Cell::gates * Cell::units * kLanes<T>);
  }
}

// The sums that a block begins with: [block][sum][unit vector][lane].
template <class Cell, class T>
Buffer<T> pack_bias(const T* b_ih, const T* b_hh, int64_t hidden) {
  constexpr int lanes = kLanes<T>;
  const int64_t blocks = blocks_of<Cell, T>(hidden), width = Cell::units * lanes;
  Buffer<T> packed(blocks * Cell::sums * width, T(0));
  if (b_ih == nullptr) return packed;
  for (int64_t u = 0; u < hidden; ++u) {
    T* to = packed.data() + u / width * Cell::sums * width + u % width;
    for (int gate = 0; gate < Cell::gates; ++gate) {
      to[Cell::FromInput::column[gate] * width] += b_ih[gate * hidden + u];
      to[Cell::FromHidden::column[gate] * width] += b_hh[gate * hidden + u];
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
Buffer<T> pack_columns(const T* weights, int64_t hidden, int64_t width) {
  constexpr int64_t lanes = kLanes<T>, across = Columns * lanes;
  const int64_t units = blocks_of<Cell, T>(hidden) * Cell::units * lanes;
  Buffer<T> packed(divide_up(width, across) * Cell::gates * units * across, T(0));
  for (int64_t first = 0; first < width; first += across) {
    const int64_t count = std::min(across, width - first);
    for (int64_t gate = 0; gate < Cell::gates; ++gate) {
      for (int64_t unit = 0; unit < hidden; ++unit) {
        const int64_t vector = unit / lanes, block = vector / Cell::units, j = gate * Cell::units + vector % Cell::units;
        const int64_t depth = (block * Cell::gates * Cell::units + j) * lanes + unit % lanes;
        std::copy_n(weights + (gate * hidden + unit) * width + first, count,
                    packed.data() + first * Cell::gates * units + depth * across);
      }
    }
  }
  return packed;
}

}  // namespace LONGSPAN_ISA
