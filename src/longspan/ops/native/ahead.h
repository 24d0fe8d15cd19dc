// The sums over x, made ahead.
#pragma once

#include "team.h"
#include "tile.h"

namespace LONGSPAN_ISA {

// Where a slice has fewer rows than a tile, the sums over x are made ahead for the rows of many steps together, so that
// each weight that is loaded serves more than them. They are the same sums in the same order.
template <class T, int Columns>
class Ahead {
 public:
  // Of the blocks [begin, end), for a slice of `count` sequences with so many inputs.
  Ahead(int64_t begin, int64_t end, int64_t count, int64_t inputs)
      : begin_(begin), used_(count < kTileRows<T> && inputs >= kInputsWorthwhile) {
    if (used_) sums_.resize((end - begin) * kRows * Columns * kLanes<T>);
  }

  bool is_used() const { return used_; }

  // Whether the sums of a step have yet to be made.
  bool lacks(int64_t step) const { return used_ && step >= until_; }

  // The rows of as many steps as there is room for, from one step on: `running(step)` gives how many a step has, and
  // `see(step, n)` each of them.
  template <class Running, class See>
  auto gather(int64_t step, int64_t steps, Running running, See see) {
    Buffer<decltype(see(step, step))> rows;
    for (until_ = step; until_ < steps && static_cast<int64_t>(rows.size()) + running(until_) <= kRows; ++until_) {
      for (int64_t n = 0; n < running(until_); ++n) rows.push_back(see(until_, n));
    }
    done_ = 0;
    return rows;
  }

  // A tile of sums, from one of the rows that were gathered on.
  template <int Height, int Width>
  void put(const Tile<T, Height, Width>& tile, int64_t block, int64_t row) {
    std::memcpy(at<Width>(block, row), &tile, sizeof(tile));
  }

  // The same back, from one of the rows of the step at hand on.
  template <int Height, int Width>
  void take(Tile<T, Height, Width>& tile, int64_t block, int64_t row) {
    std::memcpy(&tile, at<Width>(block, done_ + row), sizeof(tile));
  }

  // A step with so many rows is over.
  void pass(int64_t running) { done_ += running; }

 private:
  static constexpr int64_t kRows = 48;
  static constexpr int64_t kInputsWorthwhile = 4;

  template <int Width>
  T* at(int64_t block, int64_t row) {
    return sums_.data() + ((block - begin_) * kRows * Columns + row * Width) * kLanes<T>;
  }

  int64_t begin_;
  bool used_;
  int64_t until_ = 0;  // the first step whose sums are not made
  int64_t done_ = 0;   // rows of those that are, in steps that are over
  Buffer<T> sums_;
};

}  // namespace LONGSPAN_ISA
