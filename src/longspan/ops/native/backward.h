// Backward: at each step the gradients of the gates, one unit at a time, then those of h' through the weights; and when
// some hundred rows of gate gradients are there, the products that give the gradients of x and of the weights.
#pragma once

#include <deque>

#include "directions.h"
#include "products.h"
#include "recompute.h"

namespace LONGSPAN_ISA {

// Where the numbers of one row lie, from some unit on.
template <class T>
struct RowBack {
  const T* c_before = nullptr;
  const T* c = nullptr;
  const T* h_before = nullptr;
  const T* h = nullptr;
  const T* gates = nullptr;
  const T* grad_h = nullptr;  // or null
  T* carried_h = nullptr;     // in: gradient of h by later steps; out: what reaches h' beside the weights
  T* carried_c = nullptr;     // the same of c
};

template <class T>
inline Vector<T> gradient_of_h(const RowBack<T>& row, int count) {
  const Vector<T> carried = load(row.carried_h, count);
  return row.grad_h == nullptr ? carried : carried + load(row.grad_h, count);
}

// The gradients of a cell's sums, for a vector of units: the first `wide` lanes go to `to`, of the next sum to
// `to + apart`, and so on.
template <class Cell>
struct Gradient;

template <>
struct Gradient<Lstm> {
  template <class T>
  static void gates(const RowBack<T>& row, int64_t hidden, int count, T* to, int64_t apart, int wide) {
    using V = Vector<T>;
    const V i = load(row.gates, count), f = load(row.gates + hidden, count);
    const V g = load(row.gates + 2 * hidden, count), o = load(row.gates + 3 * hidden, count);
    const V dh = gradient_of_h(row, count), tanh_c = hyperbolic_tangent(load(row.c, count));
    const V dc = load(row.carried_c, count) + dh * o * (1 - tanh_c * tanh_c);
    store(to, dc * g * i * (1 - i), wide);
    store(to + apart, dc * load(row.c_before, count) * f * (1 - f), wide);
    store(to + 2 * apart, dc * i * (1 - g * g), wide);
    store(to + 3 * apart, dh * tanh_c * o * (1 - o), wide);
    store(row.carried_c, dc * f, count);
    store(row.carried_h, V{}, count);
  }
};

template <>
struct Gradient<Gru> {
  template <class T>
  static void gates(const RowBack<T>& row, int64_t hidden, int count, T* to, int64_t apart, int) {
    using V = Vector<T>;
    const V r = load(row.gates, count), z = load(row.gates + hidden, count);
    const V n = load(row.gates + 2 * hidden, count), recurrent = load(row.gates + 3 * hidden, count);
    const V dh = gradient_of_h(row, count);
    const V dn = dh * (1 - z) * (1 - n * n);
    store(to, dn * recurrent * r * (1 - r));
    store(to + apart, dh * (load(row.h_before, count) - n) * z * (1 - z));
    store(to + 2 * apart, dn);
    store(to + 3 * apart, dn * r);
    store(row.carried_h, dh * z, count);
  }
};

template <>
struct Gradient<RnnTanh> {
  template <class T>
  static void gates(const RowBack<T>& row, int64_t, int count, T* to, int64_t, int) {
    const Vector<T> h = load(row.h, count);
    store(to, gradient_of_h(row, count) * (1 - h * h));
    store(row.carried_h, Vector<T>{}, count);
  }
};

template <>
struct Gradient<RnnRelu> {
  template <class T>
  static void gates(const RowBack<T>& row, int64_t, int count, T* to, int64_t, int) {
    const Vector<T> h = load(row.h, count);
    // A unit that is NaN has no slope of zero: its gradient is NaN.
    store(to, h <= 0 ? Vector<T>{} : gradient_of_h(row, count) + (h - h));
    store(row.carried_h, Vector<T>{}, count);
  }
};

// The weights, as the backward pass multiplies by them.
template <class T, class Cell, int Columns>
struct BackwardWeights {
  explicit BackwardWeights(const longspan::Backward<T>& p)
      : w_hh(pack_columns<T, typename Cell::Shape, Columns>(p.w_hh, p.hidden, p.hidden, p.hidden, p.threads)), w_ih(p),
        forward(recomputes<T, Cell>(p) ? Forward(p.w_ih, p.w_hh, p.b_ih, p.b_hh, p.input, p.hidden, p.threads)
                                       : Forward(nullptr, nullptr, 0)) {}

  using Forward = PackedWeights<T, Cell>;
  Buffer<T> w_hh;
  InputWeights<T, typename Cell::Shape> w_ih;
  Forward forward;
};

// One direction of a layer.
template <class T, class Cell, int Columns>
struct BackwardDirection {
  explicit BackwardDirection(const longspan::Backward<T>& p) : problem(p), rows(p.walk), weights(p) {}

  const longspan::Backward<T>& problem;
  Rows rows;
  BackwardWeights<T, Cell, Columns> weights;
};

// A slice of the batch in one direction, and what the threads that compute it share.
template <class T, class Cell>
struct BackwardSlice : DirectedSlice {
  BackwardSlice(DirectedSlice slice, const longspan::Backward<T>& p, const Rows& rows, const Plan& plan)
      : DirectedSlice(std::move(slice)), products(p, p.hidden, rows, first, last, plan), segment(p, last - first) {}

  Products<T, typename Cell::Shape> products;
  SegmentRoom<T, Cell> segment;
};

// One thread's part of a slice: for its units the gates' gradients and those of h', for its rows those of x.
template <class T, class Cell, int Columns>
class BackwardWalk {
 public:
  using Direction = BackwardDirection<T, Cell, Columns>;

  BackwardWalk(const Direction& direction, BackwardSlice<T, Cell>& slice, Member member)
      : p_(direction.problem), rows_(direction.rows), weights_(direction.weights), slice_(slice),
        products_(slice.products), member_(member),
        blocks_(divide_up(p_.hidden, kAcross)), begin_(member.begin(blocks_) * kAcross),
        end_(std::min(member.end(blocks_) * kAcross, p_.hidden)), back_(slice.last - slice.first),
        segment_(p_, rows_, weights_.forward, slice.segment, slice.first, slice.last, begin_, end_) {}

  void walk() {
    begin();
    int64_t used = 0;
    for (int64_t step = p_.walk.steps - 1; step >= 0; --step) {
      const int64_t running = rows_.running(step, slice_.first, slice_.last);
      if (running == 0) continue;
      if (used + running > products_.of_h.capacity()) {
        products_.finish(used, weights_.w_ih, member_);
        used = 0;
      }
      if constexpr (kGated) {
        if (recomputes<T, Cell>(p_) && !segment_.has(step)) segment_.compute(step);
      }
      point_at(step, running, used);
      for (int64_t n = 0; n < running; ++n) gates(back_[n], used + n);
      member_.meet();
      carry(running, used);
      used += running;
    }
    products_.finish(used, weights_.w_ih, member_);
  }

 private:
  static constexpr bool kLstm = Cell::cell == longspan::Cell::lstm;
  static constexpr bool kGated = longspan::kept_gates(Cell::cell) > 0;
  static constexpr int64_t kAcross = Columns * kLanes<T>;

  // The carried gradients lie where those of the initial state will: a sequence that has ended is left alone.
  void begin() {
    for (int64_t sequence = slice_.first; sequence < slice_.last; ++sequence) {
      const int64_t at = sequence * p_.hidden;
      set(p_.grad_h0 + at, p_.grad_h_last == nullptr ? nullptr : p_.grad_h_last + at);
      if (kLstm) set(p_.grad_c0 + at, p_.grad_c_last == nullptr ? nullptr : p_.grad_c_last + at);
    }
  }

  void set(T* to, const T* from) {
    if (from == nullptr) {
      std::fill(to + begin_, to + end_, T(0));
    } else {
      std::copy(from + begin_, from + end_, to + begin_);
    }
  }

  void point_at(int64_t step, int64_t running, int64_t used) {
    const int64_t hidden = p_.hidden, kept = longspan::kept_gates(Cell::cell) * hidden;
    for (int64_t n = 0; n < running; ++n) {
      const int64_t sequence = slice_.first + n, row = rows_(step, sequence);
      const int64_t start = sequence * hidden, before = step == 0 ? 0 : rows_(step - 1, sequence);
      RowBack<T>& back = back_[n];
      back.h_before = step == 0 ? p_.h0 + start : p_.h + before * p_.h_stride;
      back.h = p_.h + row * p_.h_stride;
      const bool again = recomputes<T, Cell>(p_);
      if (kLstm) {
        back.c_before = again ? segment_.c_before(step, n) : step == 0 ? p_.c0 + start : p_.c + before * hidden;
        back.c = again ? segment_.c(step, n) : p_.c + row * hidden;
        back.carried_c = p_.grad_c0 + start;
      }
      back.gates = again ? segment_.gates(step, n) : p_.gates + row * kept;
      back.grad_h = p_.grad_h == nullptr ? nullptr : p_.grad_h + row * p_.h_stride;
      back.carried_h = p_.grad_h0 + start;
    }
    for (int64_t n = member_.begin(running); n < member_.end(running); ++n) {
      const int64_t row = rows_(step, slice_.first + n);
      if (p_.grad_w_hh != nullptr) {
        products_.h_before.put(used + n, back_[n].h_before);
        products_.x.put(used + n, p_.x + row * p_.input);
      }
      if (p_.grad_x != nullptr) products_.grad_x[used + n] = p_.grad_x + row * p_.input;
    }
  }

  void gates(const RowBack<T>& row, int64_t number) {
    const auto& blocks = products_.of_h.blocks();
    for_units<T>(begin_, end_, [&](int64_t u, int count) {
      const int64_t width = count == kLanes<T> ? blocks.full : blocks.width(blocks.of(u));
      const RowBack<T> at{row.c_before + u, row.c + u, row.h_before + u, row.h + u, row.gates + u,
                          row.grad_h == nullptr ? nullptr : row.grad_h + u, row.carried_h + u, row.carried_c + u};
      Gradient<Cell>::template gates<T>(at, p_.hidden, count, products_.of_h.at_unit(number, u), width,
                                        static_cast<int>(std::min<int64_t>(kLanes<T>, width)));
    });
  }

  // The gradients of the gates of a step, the first of which has a number, reach h' through the weights.
  void carry(int64_t running, int64_t number) {
    products_.of_h.template multiply_rows<typename Cell::FromHidden, Columns>(
        number, number + running, weights_.w_hh, p_.hidden, member_.begin(blocks_), member_.end(blocks_),
        [&](int64_t row, int64_t unit, Vector<T> sums, int count, bool) {
          T* const carried = back_[row - number].carried_h + unit;
          store(carried, load(carried, count) + sums, count);
        });
  }

  const longspan::Backward<T>& p_;
  const Rows& rows_;
  const BackwardWeights<T, Cell, Columns>& weights_;
  BackwardSlice<T, Cell>& slice_;
  Products<T, typename Cell::Shape>& products_;
  Member member_;
  int64_t blocks_, begin_, end_;
  Buffer<RowBack<T>> back_;
  Segment<T, Cell> segment_;
};

template <class T, class Cell, int Columns>
void backward_in_blocks(const longspan::Backward<T>* problems, int count, Plan plan) {
  using Direction = BackwardDirection<T, Cell, Columns>;
  using Gradients = Products<T, typename Cell::Shape>;
  const auto directions = make_directions<Direction>(problems, count);
  std::deque<BackwardSlice<T, Cell>> slices;
  std::vector<typename Gradients::Parts> parts(count);
  for (DirectedSlice& slice : cut(directions, plan)) {
    const Direction& of = *directions[slice.direction];
    slices.emplace_back(std::move(slice), of.problem, of.rows, plan);
    parts[slices.back().direction].push_back(&slices.back().products);
  }
  for_teams(slices, [&](BackwardSlice<T, Cell>& slice, Member member) {
    BackwardWalk<T, Cell, Columns>(*directions[slice.direction], slice, member).walk();
  });
  for_each_direction(count, problems->threads, [&](int direction) { Gradients::unpack(parts[direction]); });
}

// The directions of a layer.
template <class T, class Cell>
void backward(const longspan::Backward<T>* problems, int count) {
  const longspan::Backward<T>& p = *problems;
  const int64_t vectors = divide_up(p.hidden, kLanes<T>), weights = Cell::gates * p.hidden * (p.input + p.hidden);
  for_directions<T>(problems, count, weights, [&](const longspan::Backward<T>* group, int together) {
    const Plan chosen = plan<T>(p.walk.batch, vectors, weights, p.threads / together);
    const int64_t share = divide_up(vectors, chosen.members);
    if (share == 1) {
      backward_in_blocks<T, Cell, 1>(group, together, chosen);
    } else if (share <= 3) {
      backward_in_blocks<T, Cell, 2>(group, together, chosen);
    } else {
      backward_in_blocks<T, Cell, 4>(group, together, chosen);
    }
  });
}

}  // namespace LONGSPAN_ISA
