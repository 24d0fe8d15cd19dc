// Gate gradients of some hundred rows, and the products that are made of them.
//
// Gradients lie as the packed weights do, [block][row][sum][unit]: a tile of the weights' gradient is then a product of
// the same form as a tile of gates, with the rows for its depth.
#pragma once

#include "packing.h"

namespace LONGSPAN_ISA {

template <class T, class Cell>
class GateGradients {
 public:
  static constexpr int lanes = kLanes<T>;

  GateGradients(int64_t hidden, int64_t capacity)
      : hidden_(hidden), blocks_(hidden), capacity_(capacity), values_(Cell::sums * blocks_.places() * capacity) {}

  int64_t hidden() const { return hidden_; }
  const Blocks<Cell, T>& blocks() const { return blocks_; }
  int64_t capacity() const { return capacity_; }

  const T* at(int64_t block, int64_t row) const {
    return values_.data() + Cell::sums * (blocks_.begin(block) * capacity_ + row * blocks_.width(block));
  }

  // Where the gradients of a unit begin; those of the next sum are the width of the unit's block further.
  T* at_unit(int64_t row, int64_t unit) {
    const int64_t block = blocks_.of(unit);
    return const_cast<T*>(at(block, row)) + unit - blocks_.begin(block);
  }

  // Multiply the rows [first, last) by the blocks [begin, end) of weights of `pack_columns`, (G H, width): calls
  // `take(row, column, sums, count, begun)`, where `begun` says that the sums are to be added to what there is. `Which`
  // says which sums take part.
  //
  // Of large weights all rows use a part, which stays in the cache meanwhile, before the next is read.
  template <class Which, int Columns, class Take>
  void multiply_rows(int64_t first, int64_t last, const Buffer<T>& weights, int64_t width, int64_t begin, int64_t end,
                     Take take) const {
    constexpr int64_t across = Columns * lanes;
    const int64_t of_a_block = across * Cell::gates * blocks_.places();
    const bool far = (end - begin) * of_a_block * static_cast<int64_t>(sizeof(T)) > kCachedBytes;
    const T* from = weights.data() + begin * of_a_block;
    for (int64_t column = begin * across; column < std::min(end * across, width); column += across) {
      for (int64_t part = 0; part < blocks_.count(); part += kPart<Columns>) {
        const int64_t part_end = std::min(part + kPart<Columns>, blocks_.count());
        const int64_t depth = Cell::gates * (std::min(blocks_.begin(part_end), blocks_.places()) - blocks_.begin(part));
        for_tiles<kTileRows<T>>(last - first, [&](auto height, int64_t place) {
          with_lookahead<height.value == kTileRows<T> && Columns == 4>(far, [&](auto looks) {
            Next<looks.value> next(from + depth * across, depth * across * sizeof(T), depth, place / kTileRows<T>);
            Tile<T, height.value, Columns> tile;
            tile.clear();
            multiply_part<Which>(tile, first + place, from, part, part_end, next);
            for (int r = 0; r < height.value; ++r) {
              for_units<T>(column, std::min(column + across, width), [&](int64_t at, int count) {
                take(first + place + r, at, tile.sums[r][(at - column) / lanes], count, part > 0);
              });
            }
          });
        });
        from += depth * across;
      }
    }
  }

 private:
  // Blocks of units whose weights, in vectors of so many columns, take 128 KB.
  template <int Columns>
  static constexpr int64_t kPart =
      (128 << 10) / (Cell::gates * Blocks<Cell, T>::full * Columns * lanes * static_cast<int64_t>(sizeof(T)));

  // Add the product of the rows [row, row + Rows) and the weights of the blocks [begin, end) of units.
  template <class Which, int Rows, int Columns, class Next>
  void multiply_part(Tile<T, Rows, Columns>& tile, int64_t row, const T* weights, int64_t begin, int64_t end,
                     Next& next) const {
    const T* rows[Rows];
    for (int64_t block = begin; block < end; ++block) {
      for (int r = 0; r < Rows; ++r) rows[r] = at(block, row + r);
      const int64_t width = blocks_.width(block), units = blocks_.units(block);
      if (leading<Which>() == Which::count && units == width) {
        multiply<Ascending<Columns>>(tile, rows, weights, Cell::gates * width, next);
      } else {
        multiply_gates<Which>(tile, rows, weights, width, units);
      }
      weights += Cell::gates * width * Columns * lanes;
    }
  }

  // How many of the vectors come one after the other from the first on.
  template <class Which>
  static constexpr int leading() {
    int count = 0;
    while (count < Which::count && Which::column[count] == count) ++count;
    return count;
  }

  template <class Which, int Rows, int Columns>
  static void multiply_gates(Tile<T, Rows, Columns>& tile, const T* const* rows, const T* weights, int64_t width,
                             int64_t units) {
    for (int gate = 0; gate < Cell::gates; ++gate, weights += width * Columns * lanes) {
      const T* part[Rows];
      for (int r = 0; r < Rows; ++r) part[r] = rows[r] + sum_of<Cell, Which>(gate) * width;
      multiply<Ascending<Columns>>(tile, part, weights, units);
    }
  }

  int64_t hidden_;
  Blocks<Cell, T> blocks_;
  int64_t capacity_;
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

// Gradient of packed weights, [block][depth][gate][unit], all of them or some blocks.
template <class T, class Cell, class Which>
class WeightGradient {
 public:
  static constexpr int lanes = kLanes<T>;

  WeightGradient(int64_t hidden, int64_t depth) : WeightGradient(hidden, depth, 0, Blocks<Cell, T>(hidden).count()) {}

  WeightGradient(int64_t hidden, int64_t depth, int64_t first, int64_t last)
      : hidden_(hidden), blocks_(hidden), begin_(blocks_.begin(first)), depth_(depth),
        values_(Cell::gates * (std::min(blocks_.begin(last), blocks_.places()) - begin_) * depth) {}

  // The products of the first `count` rows, for one block: added to what there is, unless it is the first time.
  void add(int64_t block, const GateGradients<T, Cell>& grads, const Sources<T>& sources, int64_t count,
           bool first_time) {
    blocks_.with_columns(block, [&](auto columns) {
      using Of = Into<Which, Cell, columns.value>;
      for_tiles<kTileRows<T>>(depth_, [&](auto height, int64_t first) {
        Tile<T, height.value, Of::count> tile;
        sum<Of, columns.value>(tile, grads.at(block, 0), sources.group(first), count, at(block, first));
        first_time ? put(tile, at(block, first)) : add(tile, at(block, first));
      });
    });
  }

  // The sum of several, (G H, depth) as torch has it.
  static void unpack(const std::vector<const WeightGradient*>& parts, T* to, int threads) {
    const WeightGradient& one = *parts.front();
    for_shares(one.blocks_.count(), one.values_.size() * parts.size(), threads,
               [&](int64_t block) { unpack(parts, block, to); });
  }

  static void unpack(const std::vector<const WeightGradient*>& parts, int64_t block, T* to) {
    const WeightGradient& one = *parts.front();
    for (int64_t gate = 0; gate < Cell::gates; ++gate) {
      for_units<T>(0, one.blocks_.units(block), [&](int64_t unit, int count) {
        T* const rows = to + (gate * one.hidden_ + one.blocks_.begin(block) + unit) * one.depth_;
        const int64_t place = gate * one.blocks_.width(block) + unit;
        for (int64_t first = 0; first < one.depth_; first += lanes) {
          unpack(parts, block, first, place, rows + first, count);
        }
      });
    }
  }

 private:
  const T* at(int64_t block, int64_t first) const {
    return values_.data() + Cell::gates * ((blocks_.begin(block) - begin_) * depth_ + first * blocks_.width(block));
  }
  T* at(int64_t block, int64_t first) { return const_cast<T*>(std::as_const(*this).at(block, first)); }

  // The products of `count` rows of `Wide` vectors of gradients, of which `Of` takes some, and sources; they go to `to`.
  template <class Of, int Wide, int Height>
  static inline __attribute__((always_inline)) void sum(Tile<T, Height, Of::count>& tile, const T* grads,
                                                        const T* sources, int64_t count, const T* to) {
    for (int r = 0; r < Height * Of::count; ++r) __builtin_prefetch(to + r * lanes, 1);
    tile.clear();
    for (int64_t row = 0; row < count; ++row, grads += Wide * lanes, sources += kTileRows<T>) {
      Vector<T> grad[Of::count];
#pragma GCC unroll 16
      for (int j = 0; j < Of::count; ++j) grad[j] = load(grads + Of::column[j] * lanes);
#pragma GCC unroll 16
      for (int r = 0; r < Height; ++r) {
        const Vector<T> value = broadcast(sources[r]);
#pragma GCC unroll 16
        for (int j = 0; j < Of::count; ++j) tile.sums[r][j] += value * grad[j];
      }
    }
  }

  template <int Height, int Columns>
  static void put(const Tile<T, Height, Columns>& tile, T* to) {
#pragma GCC unroll 16
    for (int r = 0; r < Height; ++r) {
#pragma GCC unroll 16
      for (int j = 0; j < Columns; ++j, to += lanes) store(to, tile.sums[r][j]);
    }
  }

  template <int Height, int Columns>
  static void add(const Tile<T, Height, Columns>& tile, T* to) {
#pragma GCC unroll 16
    for (int r = 0; r < Height; ++r) {
#pragma GCC unroll 16
      for (int j = 0; j < Columns; ++j, to += lanes) store(to, load(to) + tile.sums[r][j]);
    }
  }

  static void unpack(const std::vector<const WeightGradient*>& parts, int64_t block, int64_t first, int64_t place,
                     T* to, int count) {
    const int64_t depth = parts.front()->depth_;
    const int size = static_cast<int>(std::min<int64_t>(lanes, depth - first));
    Vector<T> square[lanes]{};
    for (const WeightGradient* part : parts) {
      for (int k = 0; k < size; ++k) square[k] += load(part->at(block, first + k) + place, count);
    }
    transpose<T>(square);
    for (int unit = 0; unit < count; ++unit) store(to + unit * depth, square[unit], size);
  }

  int64_t hidden_;
  Blocks<Cell, T> blocks_;
  int64_t begin_, depth_;
  Buffer<T> values_;
};

// Sums of gate gradients over rows, [block][sum][unit].
template <class T, class Cell>
class BiasGradient {
 public:
  static constexpr int lanes = kLanes<T>;

  explicit BiasGradient(int64_t hidden)
      : hidden_(hidden), blocks_(hidden), values_(Cell::sums * blocks_.places(), T(0)) {}

  void add(int64_t block, const GateGradients<T, Cell>& grads, int64_t count) {
    T* to = values_.data() + Cell::sums * blocks_.begin(block);
    blocks_.with_columns(block, [&](auto columns) {
      Vector<T> sums[columns.value];
#pragma GCC unroll 16
      for (int j = 0; j < columns.value; ++j) sums[j] = load(to + j * lanes);
      const T* from = grads.at(block, 0);
      for (int64_t row = 0; row < count; ++row, from += columns.value * lanes) {
#pragma GCC unroll 16
        for (int j = 0; j < columns.value; ++j) sums[j] += load(from + j * lanes);
      }
#pragma GCC unroll 16
      for (int j = 0; j < columns.value; ++j) store(to + j * lanes, sums[j]);
    });
  }

  // Add the gradients of a vector of units, one vector a sum.
  void add(int64_t unit, const Vector<T>* grads) {
    static_assert(Cell::units == 1 && !Cell::narrows);
    T* to = values_.data() + unit * Cell::sums;
    for (int j = 0; j < Cell::sums; ++j) store(to + j * lanes, load(to + j * lanes) + grads[j]);
  }

  // Add to (G H), as torch has it.
  template <class Which>
  void unpack(T* to) const {
    for (int64_t unit = 0; unit < hidden_; ++unit) {
      const int64_t block = blocks_.of(unit), begin = blocks_.begin(block), width = blocks_.width(block);
      for (int gate = 0; gate < Cell::gates; ++gate) {
        to[gate * hidden_ + unit] +=
            values_[Cell::sums * begin + sum_of<Cell, Which>(gate) * width + unit - begin];
      }
    }
  }

 private:
  int64_t hidden_;
  Blocks<Cell, T> blocks_;
  Buffer<T> values_;
};

}  // namespace LONGSPAN_ISA
