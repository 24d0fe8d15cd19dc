// Gate gradients of some hundred rows at a time, and the products that are made of them while they are in the cache.
//
// Gradients lie as the packed weights do, [block][row][sum][unit vector][lane]: a tile of the weights' gradient is then
// a product of the same form as a tile of gates, with the rows for its depth.
#pragma once

#include "packing.h"

namespace LONGSPAN_ISA {

template <class T, class Cell>
class GateGradients {
 public:
  static constexpr int lanes = kLanes<T>, vectors = Cell::sums * Cell::units;
  static constexpr int64_t width = vectors * lanes;

  GateGradients(int64_t hidden, int64_t capacity)
      : hidden_(hidden), blocks_(blocks_of<Cell, T>(hidden)), capacity_(capacity), values_(blocks_ * capacity * width) {}

  int64_t blocks() const { return blocks_; }
  int64_t capacity() const { return capacity_; }
  const T* at(int64_t block, int64_t row) const { return values_.data() + (block * capacity_ + row) * width; }

  // Where the gradients of a vector of units begin; those of the next sum are Cell::units * lanes further.
  T* at_unit(int64_t row, int64_t unit) {
    const int64_t vector = unit / lanes;
    return values_.data() + (vector / Cell::units * capacity_ + row) * width + vector % Cell::units * lanes;
  }

  // Add the product of the rows [row, row + Rows) and weights of `pack_columns`. `Which` says which sums take part.
  template <class Which, int Rows, int Columns>
  void multiply_rows(Tile<T, Rows, Columns>& tile, int64_t row, const T* weights) const {
    const T* rows[Rows];
    for (int64_t block = 0; block < blocks_; ++block) {
      for (int r = 0; r < Rows; ++r) rows[r] = at(block, row + r);
      const int64_t units = hidden_ - block * Cell::units * lanes;
      if (leading<Which>() == Which::count && units >= Cell::units * lanes) {
        multiply<Ascending<Columns>>(tile, rows, weights, Which::count * lanes);
      } else {
        multiply_vectors<Which>(tile, rows, weights, units);
      }
      weights += Which::count * lanes * Columns * lanes;
    }
  }

  // Multiply the rows [first, last) by weights of `pack_columns` with one vector a block, (G H, width), and leave each
  // where `to` says.
  template <class Which>
  void multiply_to(T* const* to, const Buffer<T>& weights, int64_t width, int64_t first, int64_t last) const {
    const int64_t of_a_block = weights.size() / divide_up(width, lanes);
    for_tiles<kTileRows<T>>(last - first, [&](auto height, int64_t place) {
      const int64_t row = first + place;
      const T* block = weights.data();
      for (int64_t at = 0; at < width; at += lanes, block += of_a_block) {
        Tile<T, height.value, 1> tile;
        tile.clear();
        multiply_rows<Which>(tile, row, block);
        const int count = static_cast<int>(std::min<int64_t>(lanes, width - at));
        for (int r = 0; r < height.value; ++r) store(to[row + r] + at, tile.sums[r][0], count);
      }
    });
  }

 private:
  // How many of the vectors come one after the other from the first on.
  template <class Which>
  static constexpr int leading() {
    int count = 0;
    while (count < Which::count && Which::column[count] == count) ++count;
    return count;
  }

  template <class Which, int Rows, int Columns>
  static void multiply_vectors(Tile<T, Rows, Columns>& tile, const T* const* rows, const T* weights, int64_t units) {
    for (int j = 0; j < Which::count; ++j) {
      const T* part[Rows];
      for (int r = 0; r < Rows; ++r) part[r] = rows[r] + Which::column[j] * lanes;
      const int64_t depth = std::min<int64_t>(lanes, units - j % Cell::units * lanes);
      multiply<Ascending<Columns>>(tile, part, weights + j * lanes * Columns * lanes, depth);
    }
  }

  int64_t hidden_, blocks_, capacity_;
  Buffer<T> values_;
};

// What the gates were computed from, (row, depth), as [group of a tile's height][row][place in the group].
template <class T>
class Sources {
 public:
  static constexpr int height = kTileRows<T>;

  Sources(int64_t depth, int64_t capacity)
      : depth_(depth), capacity_(capacity), values_(divide_up(depth, height) * capacity * height) {}

  void put(int64_t row, const T* from) {
    T* to = values_.data() + row * height;
    int64_t first = 0;
    for (; first + height <= depth_; first += height, to += capacity_ * height) {
      std::memcpy(to, from + first, height * sizeof(T));
    }
    std::copy_n(from + first, depth_ - first, to);
  }

  const T* group(int64_t first) const { return values_.data() + first / height * capacity_ * height; }
  int64_t depth() const { return depth_; }

 private:
  int64_t depth_, capacity_;
  Buffer<T> values_;
};

// Gradient of packed weights, [block][depth][vector of `Which`][lane].
template <class T, class Cell, class Which>
class WeightGradient {
 public:
  static constexpr int lanes = kLanes<T>;
  static constexpr int64_t width = Which::count * lanes;

  WeightGradient(int64_t hidden, int64_t depth)
      : hidden_(hidden), depth_(depth), values_(blocks_of<Cell, T>(hidden) * depth * width, T(0)) {}

  // Add the products of the first `count` rows, for one block.
  void add(int64_t block, const GateGradients<T, Cell>& grads, const Sources<T>& sources, int64_t count) {
    for_tiles<kTileRows<T>>(depth_, [&](auto height, int64_t first) {
      add<height.value>(grads.at(block, 0), sources.group(first), count, at(block, first));
    });
  }

  // The sum of several, (G H, depth) as torch has it.
  static void unpack(const std::vector<const WeightGradient*>& parts, T* to, int threads) {
    const WeightGradient& one = *parts.front();
    for_shares(blocks_of<Cell, T>(one.hidden_), one.values_.size() * parts.size(), threads, [&](int64_t block) {
      for (int j = 0; j < Which::count; ++j) {
        const int64_t unit = (block * Cell::units + j % Cell::units) * lanes;
        if (unit >= one.hidden_) continue;
        T* const rows = to + (j / Cell::units * one.hidden_ + unit) * one.depth_;
        const int count = static_cast<int>(std::min<int64_t>(lanes, one.hidden_ - unit));
        for (int64_t first = 0; first < one.depth_; first += lanes) {
          unpack(parts, block, first, j, rows + first, count);
        }
      }
    });
  }

 private:
  T* at(int64_t block, int64_t first) { return values_.data() + (block * depth_ + first) * width; }
  const T* at(int64_t block, int64_t first) const { return values_.data() + (block * depth_ + first) * width; }

  template <int Height>
  static void add(const T* grads, const T* sources, int64_t count, T* to) {
    for (int r = 0; r < Height * Which::count; ++r) __builtin_prefetch(to + r * lanes, 1);
    Tile<T, Height, Which::count> tile;
    tile.clear();
    for (int64_t row = 0; row < count; ++row, grads += GateGradients<T, Cell>::width, sources += kTileRows<T>) {
      Vector<T> grad[Which::count];
#pragma GCC unroll 16
      for (int j = 0; j < Which::count; ++j) grad[j] = load(grads + Which::column[j] * lanes);
#pragma GCC unroll 16
      for (int r = 0; r < Height; ++r) {
        const Vector<T> value = broadcast(sources[r]);
#pragma GCC unroll 16
        for (int j = 0; j < Which::count; ++j) tile.sums[r][j] += value * grad[j];
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < Height; ++r) {
#pragma GCC unroll 16
      for (int j = 0; j < Which::count; ++j, to += lanes) store(to, load(to) + tile.sums[r][j]);
    }
  }

  static void unpack(const std::vector<const WeightGradient*>& parts, int64_t block, int64_t first, int j, T* to,
                     int count) {
    const int64_t depth = parts.front()->depth_;
    const int size = static_cast<int>(std::min<int64_t>(lanes, depth - first));
    Vector<T> square[lanes]{};
    for (const WeightGradient* part : parts) {
      for (int k = 0; k < size; ++k) square[k] += load(part->at(block, first + k) + j * lanes);
    }
    transpose<T>(square);
    for (int unit = 0; unit < count; ++unit) store(to + unit * depth, square[unit], size);
  }

  int64_t hidden_, depth_;
  Buffer<T> values_;
};

// Sums of gate gradients over rows, [block][sum][unit vector][lane].
template <class T, class Cell>
class BiasGradient {
 public:
  static constexpr int lanes = kLanes<T>, vectors = Cell::sums * Cell::units;

  explicit BiasGradient(int64_t hidden)
      : hidden_(hidden), values_(blocks_of<Cell, T>(hidden) * vectors * lanes, T(0)) {}

  void add(int64_t block, const GateGradients<T, Cell>& grads, int64_t count) {
    T* to = values_.data() + block * vectors * lanes;
    Vector<T> sums[vectors];
#pragma GCC unroll 16
    for (int j = 0; j < vectors; ++j) sums[j] = load(to + j * lanes);
    for (int64_t row = 0; row < count; ++row) {
      const T* from = grads.at(block, row);
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j) sums[j] += load(from + j * lanes);
    }
#pragma GCC unroll 16
    for (int j = 0; j < vectors; ++j) store(to + j * lanes, sums[j]);
  }

  // Add the gradients of a vector of units, one vector a sum.
  void add(int64_t unit, const Vector<T>* grads) {
    static_assert(Cell::units == 1);
    T* to = values_.data() + unit * vectors;
    for (int j = 0; j < vectors; ++j) store(to + j * lanes, load(to + j * lanes) + grads[j]);
  }

  // Add to (G H), as torch has it.
  template <class Which>
  void unpack(T* to) const {
    for (int64_t unit = 0; unit < hidden_; ++unit) {
      const int64_t vector = unit / lanes, block = vector / Cell::units, u = vector % Cell::units;
      for (int gate = 0; gate < Cell::gates; ++gate) {
        const int64_t column = Which::column[gate * Cell::units] + u;
        to[gate * hidden_ + unit] += values_[(block * vectors + column) * lanes + unit % lanes];
      }
    }
  }

 private:
  int64_t hidden_;
  Buffer<T> values_;
};

}  // namespace LONGSPAN_ISA
