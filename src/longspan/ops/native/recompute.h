// Gates that were not kept, computed again: those of a segment of the walk at once, for h' of all its steps is known.
#pragma once

#include "forward.h"

namespace LONGSPAN_ISA {

// Whether the backward pass of a problem needs it.
template <class T, class Cell>
bool recomputes(const longspan::Backward<T>& p) {
  return longspan::kept_gates(Cell::cell) > 0 && p.gates == nullptr;
}

// The gates and cell states of the rows of a slice in one segment, written by each thread for its own units.
template <class T, class Cell>
struct SegmentRoom {
  SegmentRoom(const longspan::Backward<T>& p, int64_t sequences)
      : gates(recomputes<T, Cell>(p) ? p.walk.segment * sequences * longspan::kept_gates(Cell::cell) * p.hidden : 0),
        c(recomputes<T, Cell>(p) && Cell::cell == longspan::Cell::lstm ? p.walk.segment * sequences * p.hidden : 0) {}

  Buffer<T> gates, c;
};

// One thread's part of it: the units [begin, end), whole blocks of them.
template <class T, class Cell>
class Segment {
 public:
  Segment(const longspan::Backward<T>& problem, const Rows& rows, const PackedWeights<T, Cell>& weights,
          SegmentRoom<T, Cell>& room, int64_t first, int64_t last, int64_t begin, int64_t end)
      : p_(problem), rows_(rows), weights_(weights), room_(room), first_(first), last_(last), begin_(begin), end_(end) {}

  // Compute those of the segment whose last step, as far as this slice goes, is `step`.
  void compute(int64_t step) {
    first_step_ = step / p_.walk.segment * p_.walk.segment;
    gather(step);
    for (int64_t unit = begin_; unit < end_; unit += kLanes<T>) {
      Blocks<Cell, T>(p_.hidden).with_columns(unit / kLanes<T>, [&](auto columns) {
        for_tiles<kTileRows<T>>(static_cast<int64_t>(x_.size()), [&](auto height, int64_t row) {
          tile<height.value, columns.value>(unit, row);
        });
      });
    }
    if (!kLstm) return;
    for (int64_t s = first_step_; s <= step; ++s) {
      for (int64_t n = 0; n < rows_.running(s, first_, last_); ++n) cell_state(s, n);
    }
  }

  bool has(int64_t step) const { return first_step_ >= 0 && step >= first_step_; }

  // Of the n-th sequence of the slice at a step.
  const T* gates(int64_t step, int64_t n) const { return room_.gates.data() + place(step, n) * kKept * p_.hidden; }
  const T* c(int64_t step, int64_t n) const { return room_.c.data() + place(step, n) * p_.hidden; }

  const T* c_before(int64_t step, int64_t n) const {
    if (step > first_step_) return c(step - 1, n);
    return step == 0 ? p_.c0 + (first_ + n) * p_.hidden : p_.c_starts + rows_.start(step, first_ + n) * p_.hidden;
  }

 private:
  static constexpr bool kLstm = Cell::cell == longspan::Cell::lstm;
  static constexpr int64_t kKept = longspan::kept_gates(Cell::cell);

  int64_t place(int64_t step, int64_t n) const { return places_[step - first_step_] + n; }

  void gather(int64_t last_step) {
    x_.clear();
    h_before_.clear();
    places_.clear();
    for (int64_t step = first_step_; step <= last_step; ++step) {
      places_.push_back(static_cast<int64_t>(x_.size()));
      for (int64_t sequence = first_; sequence < first_ + rows_.running(step, first_, last_); ++sequence) {
        x_.push_back(p_.x + rows_(step, sequence) * p_.input);
        h_before_.push_back(step == 0 ? p_.h0 + sequence * p_.hidden : p_.h + rows_(step - 1, sequence) * p_.h_stride);
      }
    }
  }

  template <int Height, int Columns>
  void tile(int64_t unit, int64_t row) {
    static_assert(Cell::units == 1);
    Tile<T, Height, Columns> tile;
    begin_sums<Cell>(tile, weights_.bias.data(), unit / kLanes<T>);
    const T* const w_ih = weights_.w_ih.data() + Cell::gates * unit * p_.input;
    const T* const w_hh = weights_.w_hh.data() + Cell::gates * unit * p_.hidden;
    multiply<Into<typename Cell::FromInput, Cell, Columns>>(tile, &x_[row], w_ih, p_.input);
    multiply<Into<typename Cell::FromHidden, Cell, Columns>>(tile, &h_before_[row], w_hh, p_.hidden);
    const int count = static_cast<int>(std::min<int64_t>(kLanes<T>, p_.hidden - unit));
    T* to = room_.gates.data() + row * kKept * p_.hidden + unit;
    widened<Cell>(tile, [&](auto& sums) {
      activate<Cell>(sums);
      for (int r = 0; r < Height; ++r, to += kKept * p_.hidden) keep_gates<T>(sums.sums[r], to, p_.hidden, count);
    });
  }

  void cell_state(int64_t step, int64_t n) {
    const T *const gates = this->gates(step, n), *const before = c_before(step, n);
    T* const to = room_.c.data() + place(step, n) * p_.hidden;
    for_units<T>(begin_, end_, [&](int64_t u, int count) {
      const Vector<T> i = load(gates + u, count), f = load(gates + p_.hidden + u, count);
      const Vector<T> g = load(gates + 2 * p_.hidden + u, count);
      store(to + u, Lstm::new_cell_state<T>(i, f, g, load(before + u, count)), count);
    });
  }

  const longspan::Backward<T>& p_;
  const Rows& rows_;
  const PackedWeights<T, Cell>& weights_;
  SegmentRoom<T, Cell>& room_;
  int64_t first_, last_, begin_, end_;
  int64_t first_step_ = -1;
  Buffer<int64_t> places_;  // of each step's first row
  Buffer<const T*> x_, h_before_;
};

}  // namespace LONGSPAN_ISA
