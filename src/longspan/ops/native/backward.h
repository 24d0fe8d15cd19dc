// Backward: at each step the gradients of the gates, one unit at a time, then those of h' through the weights.
#pragma once

#include "forward.h"

namespace LONGSPAN_ISA {

// Where the numbers of one row lie, from some unit on.
template <class T>
struct RowBack {
  const T* c_before;
  const T* c;
  const T* h_before;
  const T* h;
  const T* gates;
  const T* grad_h;
  T* carried_h;        // in: gradient of h by later steps; out: what reaches h' beside the weights
  T* carried_c;        // the same of c
  T* grad_gates;
  T* grad_recurrent;   // gru alone
};

template <class Cell>
struct Gradient;

template <>
struct Gradient<Lstm> {
  template <class T>
  static void gates(const RowBack<T>& row, int64_t hidden, int count) {
    using V = Vector<T>;
    const V i = load(row.gates, count), f = load(row.gates + hidden, count);
    const V g = load(row.gates + 2 * hidden, count), o = load(row.gates + 3 * hidden, count);
    const V dh = load(row.carried_h, count) + load(row.grad_h, count);
    const V tanh_c = hyperbolic_tangent(load(row.c, count));
    const V dc = load(row.carried_c, count) + dh * o * (1 - tanh_c * tanh_c);
    store(row.grad_gates, dc * g * i * (1 - i), count);
    store(row.grad_gates + hidden, dc * load(row.c_before, count) * f * (1 - f), count);
    store(row.grad_gates + 2 * hidden, dc * i * (1 - g * g), count);
    store(row.grad_gates + 3 * hidden, dh * tanh_c * o * (1 - o), count);
    store(row.carried_c, dc * f, count);
    store(row.carried_h, V{}, count);
  }
};

template <>
struct Gradient<Gru> {
  template <class T>
  static void gates(const RowBack<T>& row, int64_t hidden, int count) {
    using V = Vector<T>;
    const V r = load(row.gates, count), z = load(row.gates + hidden, count);
    const V n = load(row.gates + 2 * hidden, count), recurrent = load(row.gates + 3 * hidden, count);
    const V dh = load(row.carried_h, count) + load(row.grad_h, count);
    const V dn = dh * (1 - z) * (1 - n * n);
    const V dz = dh * (load(row.h_before, count) - n) * z * (1 - z);
    const V dr = dn * recurrent * r * (1 - r);
    store(row.grad_gates, dr, count);
    store(row.grad_gates + hidden, dz, count);
    store(row.grad_gates + 2 * hidden, dn, count);
    store(row.grad_recurrent, dr, count);
    store(row.grad_recurrent + hidden, dz, count);
    store(row.grad_recurrent + 2 * hidden, dn * r, count);
    store(row.carried_h, dh * z, count);
  }
};

template <>
struct Gradient<RnnTanh> {
  template <class T>
  static void gates(const RowBack<T>& row, int64_t, int count) {
    const Vector<T> h = load(row.h, count), dh = load(row.carried_h, count) + load(row.grad_h, count);
    store(row.grad_gates, dh * (1 - h * h), count);
    store(row.carried_h, Vector<T>{}, count);
  }
};

template <>
struct Gradient<RnnRelu> {
  template <class T>
  static void gates(const RowBack<T>& row, int64_t, int count) {
    const Vector<T> h = load(row.h, count), dh = load(row.carried_h, count) + load(row.grad_h, count);
    // A unit that is NaN has no slope of zero: its gradient is NaN.
    store(row.grad_gates, h <= 0 ? Vector<T>{} : dh + (h - h), count);
    store(row.carried_h, Vector<T>{}, count);
  }
};

template <class T, class Cell, int Columns>
class BackwardSlice {
 public:
  BackwardSlice(const longspan::Backward<T>& problem, const Rows& rows, const T* w_hh, int64_t first, int64_t last)
      : p_(problem), rows_(rows), w_hh_(w_hh), first_(first), last_(last), back_(last - first) {}

  void walk() {
    begin();
    for (int64_t step = p_.walk.steps - 1; step >= 0; --step) {
      const int64_t running = rows_.running(step, first_, last_);
      if (running == 0) continue;
      point_at(step, running);
      for (int64_t n = 0; n < running; ++n) gates(back_[n]);
      const int64_t blocks = divide_up(p_.hidden, Columns * kLanes<T>);
      for (int64_t block = 0; block < blocks; ++block) {
        for_tiles<kTileRows<T>>(running, [&](auto height, int64_t row) { tile<height.value>(block, row); });
      }
    }
  }

 private:
  static constexpr bool kLstm = Cell::cell == longspan::Cell::lstm;

  // The carried gradients lie where those of the initial state will: a sequence that has ended is left alone.
  void begin() {
    const int64_t hidden = p_.hidden, count = (last_ - first_) * hidden, at = first_ * hidden;
    set(p_.grad_h0 + at, p_.grad_h_last == nullptr ? nullptr : p_.grad_h_last + at, count);
    if (kLstm) set(p_.grad_c0 + at, p_.grad_c_last == nullptr ? nullptr : p_.grad_c_last + at, count);
  }

  static void set(T* to, const T* from, int64_t count) {
    if (from == nullptr) {
      std::fill_n(to, count, T(0));
    } else {
      std::copy_n(from, count, to);
    }
  }

  void point_at(int64_t step, int64_t running) {
    const int64_t hidden = p_.hidden, kept = longspan::kept_gates(Cell::cell) * hidden;
    for (int64_t n = 0; n < running; ++n) {
      const int64_t sequence = first_ + n, row = rows_(step, sequence) * hidden;
      const int64_t start = sequence * hidden, before = step == 0 ? 0 : rows_(step - 1, sequence) * hidden;
      RowBack<T>& back = back_[n];
      back.h_before = step == 0 ? p_.h0 + start : p_.h + before;
      back.h = p_.h + row;
      if (kLstm) {
        back.c_before = step == 0 ? p_.c0 + start : p_.c + before;
        back.c = p_.c + row;
        back.carried_c = p_.grad_c0 + start;
      }
      back.gates = p_.gates + row / hidden * kept;
      back.grad_h = p_.grad_h + row;
      back.carried_h = p_.grad_h0 + start;
      back.grad_gates = p_.grad_gates + row * Cell::gates;
      back.grad_recurrent = p_.grad_recurrent == nullptr ? nullptr : p_.grad_recurrent + row * Cell::gates;
      std::copy_n(back.h_before, hidden, p_.h_before + row);
    }
  }

  void gates(const RowBack<T>& row) {
    for (int64_t u = 0; u < p_.hidden; u += kLanes<T>) {
      const int count = static_cast<int>(std::min<int64_t>(kLanes<T>, p_.hidden - u));
      const RowBack<T> at{row.c_before + u,  row.c + u,         row.h_before + u,   row.h + u,
                          row.gates + u,     row.grad_h + u,    row.carried_h + u,  row.carried_c + u,
                          row.grad_gates + u, row.grad_recurrent == nullptr ? nullptr : row.grad_recurrent + u};
      Gradient<Cell>::gates(at, p_.hidden, count);
    }
  }

  template <int Height>
  void tile(int64_t block, int64_t first) {
    constexpr int64_t width = Columns * kLanes<T>;
    const int64_t depth = Cell::gates * p_.hidden;
    const T* grads[Height];
    Tile<T, Height, Columns> tile{};
    for (int r = 0; r < Height; ++r) {
      const RowBack<T>& row = back_[first + r];
      grads[r] = row.grad_recurrent == nullptr ? row.grad_gates : row.grad_recurrent;
    }
    multiply<Ascending>(tile, grads, w_hh_ + block * depth * width, depth);
    for (int r = 0; r < Height; ++r) {
      for (int j = 0; j < Columns; ++j) {
        const int64_t unit = block * width + j * kLanes<T>;
        if (unit >= p_.hidden) break;
        const int count = static_cast<int>(std::min<int64_t>(kLanes<T>, p_.hidden - unit));
        T* carried = back_[first + r].carried_h + unit;
        store(carried, load(carried, count) + tile.sums[r][j], count);
      }
    }
  }

  using Ascending = std::conditional_t<Columns == 1, To<0>, std::conditional_t<Columns == 2, To<0, 1>, To<0, 1, 2, 3>>>;

  const longspan::Backward<T>& p_;
  const Rows& rows_;
  const T* w_hh_;
  int64_t first_, last_;
  std::vector<RowBack<T>> back_;
};

template <class T, class Cell, int Columns>
void backward_in_blocks(const longspan::Backward<T>& problem) {
  const Rows rows(problem.walk);
  const std::vector<T> w_hh = pack_backward<T, Columns>(problem.w_hh, problem.hidden, Cell::gates * problem.hidden);
  for_slices(rows, problem.walk.batch, problem.threads, [&](int64_t first, int64_t last) {
    BackwardSlice<T, Cell, Columns>(problem, rows, w_hh.data(), first, last).walk();
  });
}

template <class T, class Cell>
void backward(const longspan::Backward<T>& problem) {
  if (problem.hidden <= kLanes<T>) {
    backward_in_blocks<T, Cell, 1>(problem);
  } else if (problem.hidden <= 2 * kLanes<T>) {
    backward_in_blocks<T, Cell, 2>(problem);
  } else {
    backward_in_blocks<T, Cell, 4>(problem);
  }
}

}  // namespace LONGSPAN_ISA
