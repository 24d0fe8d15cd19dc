// Forward: each slice of the batch is walked through time alone, by one thread or by a team.
#pragma once

#include "ahead.h"
#include "directions.h"
#include "packing.h"

namespace LONGSPAN_ISA {

// The weights of one layer and direction, in the order of the micro-kernel.
template <class T, class Cell, class Kind = Exact<T>>
struct PackedWeights {
  using Number = typename Kind::Number;

  PackedWeights(const T* w_ih, const T* w_hh, const T* b_ih, const T* b_hh, int64_t input, int64_t hidden,
                int threads = 1)
      : w_ih(pack_for<typename Cell::Shape, Kind>(w_ih, hidden, input, threads)),
        w_hh(pack_for<typename Cell::Shape, Kind>(w_hh, hidden, hidden, threads)),
        bias(pack_bias<typename Cell::Shape, T>(b_ih, b_hh, hidden)) {}

  // The biases alone: the other weights are packed block by block as they are used.
  PackedWeights(const T* b_ih, const T* b_hh, int64_t hidden)
      : bias(pack_bias<typename Cell::Shape, T>(b_ih, b_hh, hidden)) {}

  Buffer<Number> w_ih, w_hh;
  Buffer<T> bias;
};

// Each sum of a block begins with its bias.
template <class Cell, class T, int Height, int Columns>
inline void begin_sums(Tile<T, Height, Columns>& tile, const T* bias, int64_t block) {
  bias += Cell::sums * Blocks<Cell, T>::begin(block);
#pragma GCC unroll 16
  for (int r = 0; r < Height; ++r) {
#pragma GCC unroll 16
    for (int j = 0; j < Columns; ++j) tile.sums[r][j] = load(bias + j * kLanes<T>);
  }
}

template <class Cell, class T, int Height, int Columns>
inline void activate(Tile<T, Height, Columns>& tile) {
#pragma GCC unroll 16
  for (int r = 0; r < Height; ++r) {
#pragma GCC unroll 16
    for (int u = 0; u < Cell::units; ++u) Cell::template activate<T>(tile.sums[r] + u * Cell::sums);
  }
}

// Up to so many steps it costs less to pack a block each time than to write all of them to memory and read them again.
inline constexpr int64_t kFewSteps = 3;

// One direction of a layer.
template <class T, class Cell, class Kind>
struct ForwardDirection {
  using Weights = PackedWeights<T, Cell, Kind>;

  explicit ForwardDirection(const longspan::Forward<T>& p) : problem(p), rows(p.walk), weights(pack(p)) {}

  static Weights pack(const longspan::Forward<T>& p) {
    if constexpr (std::is_same_v<Kind, Exact<T>>) {
      if (p.walk.steps <= kFewSteps) return Weights(p.b_ih, p.b_hh, p.hidden);
    }
    return Weights(p.w_ih, p.w_hh, p.b_ih, p.b_hh, p.input, p.hidden, p.threads);
  }

  const longspan::Forward<T>& problem;
  Rows rows;
  Weights weights;
};

// One thread's part of a slice: its blocks of units.
template <class T, class Cell, class Kind>
class ForwardWalk {
 public:
  using Number = typename Kind::Number;

  ForwardWalk(const longspan::Forward<T>& problem, const Rows& rows, const PackedWeights<T, Cell, Kind>& weights,
              const Slice& slice, Member member)
      : p_(problem), rows_(rows), weights_(weights), bias_(weights.bias.data()), first_(slice.first),
        last_(slice.last), member_(member), blocks_(p_.hidden), out_(last_ - first_), x_(last_ - first_),
        h_(last_ - first_),
        inputs_(last_ - first_, p_.input), states_(last_ - first_, p_.hidden),
        ahead_(member.begin(blocks_.count()), member.end(blocks_.count()), last_ - first_,
               kExact && !weights_.w_hh.empty() ? p_.input : 0),
        far_(!weights.w_hh.empty() && bytes() > kCachedBytes) {}

  void walk() {
    for (int64_t step = 0; step < p_.walk.steps; ++step) {
      const int64_t running = rows_.running(step, first_, last_);
      if (running == 0) break;
      point_at(step, running);
      if (p_.c_starts != nullptr && rows_.starts_segment(step)) keep_start(step, running);
      if (ahead_.lacks(step)) project(step);
      for (int64_t block = member_.begin(blocks_.count()); block < member_.end(blocks_.count()); ++block) {
        take_weights(block);
        blocks_.with_columns(block, [&](auto columns) {
          for_tiles<kTileRows<T>>(running, [&](auto height, int64_t row) {
            with_lookahead<height.value == kTileRows<T> && columns.value == kColumns>(far_, [&](auto looks) {
              tile<height.value, columns.value, looks.value>(block, row);
            });
          });
        });
      }
      member_.meet();
      if (member_.is_first()) keep_last(step, running);
      ahead_.pass(running);
    }
  }

 private:
  static constexpr int kColumns = Blocks<Cell, T>::columns;
  static constexpr bool kExact = std::is_same_v<Number, T>;

  // Of this member's part of the weights.
  int64_t bytes() const {
    const int64_t units = (member_.end(blocks_.count()) - member_.begin(blocks_.count())) * blocks_.full;
    return Cell::gates * units * (Kind::deep(p_.input) + Kind::deep(p_.hidden)) * static_cast<int64_t>(sizeof(Number));
  }

  void point_at(int64_t step, int64_t running) {
    const int64_t hidden = p_.hidden, kept = longspan::kept_gates(Cell::cell) * hidden;
    for (int64_t n = 0; n < running; ++n) {
      const int64_t sequence = first_ + n, row = rows_(step, sequence);
      RowOut<T>& out = out_[n];
      out.h_before = step == 0 ? p_.h0 + sequence * hidden : out.h;
      x_[n] = inputs_.see(p_.x + row * p_.input, n);
      h_[n] = states_.see(out.h_before, n);
      out.h = p_.h + row * p_.h_stride;
      out.gates = p_.gates == nullptr ? nullptr : p_.gates + row * kept;
      if (Cell::cell == longspan::Cell::lstm) {
        out.c_before = step == 0 ? p_.c0 + sequence * hidden : out.c;
        out.c = p_.c == nullptr ? p_.c_last + sequence * hidden : p_.c + row * hidden;
      }
    }
  }

  // Keep c as it is before a step, of this member's units.
  void keep_start(int64_t step, int64_t running) {
    const int64_t begin = blocks_.begin(member_.begin(blocks_.count()));
    const int64_t end = std::min(blocks_.begin(member_.end(blocks_.count())), p_.hidden);
    for (int64_t n = 0; n < running; ++n) {
      const T* const c = out_[n].c_before;
      std::copy(c + begin, c + end, p_.c_starts + rows_.start(step, first_ + n) * p_.hidden + begin);
    }
  }

  // Point at the weights of a block, packed now where they have not been before.
  void take_weights(int64_t block) {
    const int64_t before = Cell::gates * blocks_.begin(block);
    w_ih_ = weights_.w_ih.data() + before * Kind::deep(p_.input);
    w_hh_ = weights_.w_hh.data() + before * Kind::deep(p_.hidden);
    if (far_) {
      const int64_t following = block + 1 < member_.end(blocks_.count()) ? block + 1 : member_.begin(blocks_.count());
      next_ = Cell::gates * blocks_.begin(following);
    }
    if constexpr (kExact) {
      if (!weights_.w_hh.empty()) return;
      const int64_t gates = Cell::gates * blocks_.full;
      packed_.resize(gates * (p_.input + p_.hidden));
      w_ih_ = packed_.data();
      w_hh_ = packed_.data() + gates * p_.input;
      pack_block<typename Cell::Shape>(p_.w_ih, p_.hidden, p_.input, block, packed_.data());
      pack_block<typename Cell::Shape>(p_.w_hh, p_.hidden, p_.hidden, block, packed_.data() + gates * p_.input);
    }
  }

  void project(int64_t step) {
    const auto running = [&](int64_t at) { return rows_.running(at, first_, last_); };
    const auto see = [&](int64_t at, int64_t n) {
      return inputs_.see(p_.x + rows_(at, first_ + n) * p_.input, n);
    };
    const auto x = ahead_.gather(step, p_.walk.steps, running, see);
    for (int64_t block = member_.begin(blocks_.count()); block < member_.end(blocks_.count()); ++block) {
      take_weights(block);
      blocks_.with_columns(block, [&](auto columns) {
        for_tiles<kTileRows<T>>(static_cast<int64_t>(x.size()), [&](auto height, int64_t row) {
          Tile<T, height.value, columns.value> tile;
          from_input(tile, block, &x[row], Nowhere());
          ahead_.put(tile, block, row);
        });
      });
    }
  }

  // The sums over x, with the bias that they begin with.
  template <int Height, int Columns, class Next>
  void from_input(Tile<T, Height, Columns>& tile, int64_t block, const Number* const* x, Next next) const {
    begin_sums<Cell>(tile, bias_, block);
    multiply<Into<typename Cell::FromInput, Cell, Columns>>(tile, x, w_ih_, Kind::deep(p_.input), next);
  }

  // Where the tile of the rows from `first` on looks ahead to the block that comes next.
  template <bool Looks>
  Next<Looks> next(const Buffer<Number>& weights, int64_t depth, int64_t first) const {
    const int64_t bytes = Cell::gates * blocks_.full * depth * sizeof(Number);
    return Next<Looks>(weights.data() + next_ * depth, bytes, depth, first / kTileRows<T>);
  }

  template <int Height, int Columns, bool Looks>
  void tile(int64_t block, int64_t first) {
    Tile<T, Height, Columns> tile;
    if (ahead_.is_used()) {
      ahead_.take(tile, block, first);
    } else {
      from_input(tile, block, &x_[first], next<Looks>(weights_.w_ih, Kind::deep(p_.input), first));
    }
    Next<Looks> following = next<Looks>(weights_.w_hh, Kind::deep(p_.hidden), first);
    multiply<Into<typename Cell::FromHidden, Cell, Columns>>(tile, &h_[first], w_hh_, Kind::deep(p_.hidden), following);
    widened<Cell>(tile, [&](auto& sums) {
      activate<Cell>(sums);
      for (int r = 0; r < Height; ++r) finish(sums.sums[r], block, out_[first + r]);
    });
  }

  void finish(const Vector<T>* sums, int64_t block, const RowOut<T>& row) {
    for (int u = 0; u < Cell::units; ++u) {
      const int64_t unit = (block * Cell::units + u) * kLanes<T>;
      if (unit >= p_.hidden) return;
      const int count = static_cast<int>(std::min<int64_t>(kLanes<T>, p_.hidden - unit));
      const RowOut<T> at{row.c_before + unit, row.h_before + unit, row.h + unit, row.c + unit,
                         row.gates == nullptr ? nullptr : row.gates + unit};
      Cell::template finish<T>(sums + u, at, p_.hidden, count);
    }
  }

  void keep_last(int64_t step, int64_t running) {
    const int64_t next = step + 1 < p_.walk.steps ? rows_.running(step + 1, first_, last_) : 0;
    for (int64_t n = next; n < running; ++n) {
      const int64_t at = (first_ + n) * p_.hidden;
      std::copy_n(out_[n].h, p_.hidden, p_.h_last + at);
      if (p_.c != nullptr) std::copy_n(out_[n].c, p_.hidden, p_.c_last + at);
    }
  }

  const longspan::Forward<T>& p_;
  const Rows& rows_;
  const PackedWeights<T, Cell, Kind>& weights_;
  const T* bias_;
  int64_t first_, last_;
  Member member_;
  Blocks<Cell, T> blocks_;
  Buffer<RowOut<T>> out_;
  Buffer<const Number*> x_, h_;
  Kind inputs_, states_;
  Ahead<T, kColumns> ahead_;
  const Number *w_ih_ = nullptr, *w_hh_ = nullptr;  // of the block at hand
  bool far_;                                        // whether this member's take more than the second cache
  int64_t next_ = 0;                                // places of gates before the block that comes next
  Buffer<Number> packed_;
};

// The directions of a layer.
template <class T, class Cell, class Kind = Exact<T>>
void forward(const longspan::Forward<T>* problems, int count) {
  using Direction = ForwardDirection<T, Cell, Kind>;
  const longspan::Forward<T>& p = *problems;
  const int64_t weights = Cell::gates * p.hidden * (p.input + p.hidden);
  for_directions<T>(problems, count, weights, [&](const longspan::Forward<T>* group, int together) {
    const Plan chosen = plan<T>(p.walk.batch, Blocks<Cell, T>(p.hidden).count(), weights, p.threads / together);
    const auto directions = make_directions<Direction>(group, together);
    auto slices = cut(directions, chosen);
    for_teams(slices, [&](const DirectedSlice& slice, Member member) {
      const Direction& of = *directions[slice.direction];
      ForwardWalk<T, Cell, Kind>(of.problem, of.rows, of.weights, slice, member).walk();
    });
  });
}

}  // namespace LONGSPAN_ISA
