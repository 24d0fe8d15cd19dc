// Forward: each thread walks its slice of the batch through time alone.
#pragma once

#include "packing.h"
#include "team.h"

namespace LONGSPAN_ISA {

// The weights of one layer and direction, in the order of the micro-kernel.
template <class T, class Cell, class Kind = Exact<T>>
struct PackedWeights {
  using Number = typename Kind::Number;

  PackedWeights(const T* w_ih, const T* w_hh, const T* b_ih, const T* b_hh, int64_t input, int64_t hidden)
      : w_ih(pack_for<Cell, Kind>(w_ih, hidden, input)),
        w_hh(pack_for<Cell, Kind>(w_hh, hidden, hidden)),
        bias(pack_bias<Cell, T>(b_ih, b_hh, hidden)) {}

  Buffer<Number> w_ih, w_hh;
  Buffer<T> bias;
};

// A slice of the batch, and the threads that compute it.
struct ForwardSlice {
  Team team;
  int64_t first, last;
};

// One thread's part of a slice: its blocks of units.
template <class T, class Cell, class Kind>
class ForwardWalk {
 public:
  using Number = typename Kind::Number;

  ForwardWalk(const longspan::Forward<T>& problem, const Rows& rows, const PackedWeights<T, Cell, Kind>& weights,
              const ForwardSlice& slice, Member member)
      : p_(problem), rows_(rows), w_ih_(weights.w_ih.data()), w_hh_(weights.w_hh.data()), bias_(weights.bias.data()),
        first_(slice.first), last_(slice.last), member_(member), out_(last_ - first_), x_(last_ - first_),
        h_(last_ - first_), inputs_(last_ - first_, p_.input), states_(last_ - first_, p_.hidden) {}

  void walk() {
    for (int64_t step = 0; step < p_.walk.steps; ++step) {
      const int64_t running = rows_.running(step, first_, last_);
      if (running == 0) break;
      point_at(step, running);
      const int64_t blocks = blocks_of<Cell, T>(p_.hidden);
      for (int64_t block = member_.begin(blocks); block < member_.end(blocks); ++block) {
        for_tiles<kTileRows<T>>(running, [&](auto height, int64_t row) { tile<height.value>(block, row); });
      }
      member_.meet();
      if (member_.is_first()) keep_last(step, running);
    }
  }

 private:
  void point_at(int64_t step, int64_t running) {
    const int64_t hidden = p_.hidden, kept = longspan::kept_gates(Cell::cell) * hidden;
    for (int64_t n = 0; n < running; ++n) {
      const int64_t sequence = first_ + n, row = rows_(step, sequence);
      RowOut<T>& out = out_[n];
      out.h_before = step == 0 ? p_.h0 + sequence * hidden : out.h;
      x_[n] = inputs_.see(p_.x + row * p_.input, n);
      h_[n] = states_.see(out.h_before, n);
      out.h = p_.h + row * hidden;
      out.gates = p_.gates == nullptr ? nullptr : p_.gates + row * kept;
      if (Cell::cell == longspan::Cell::lstm) {
        out.c_before = step == 0 ? p_.c0 + sequence * hidden : out.c;
        out.c = p_.c == nullptr ? p_.c_last + sequence * hidden : p_.c + row * hidden;
      }
    }
  }

  template <int Height>
  void tile(int64_t block, int64_t first) {
    constexpr int lanes = kLanes<T>, columns = Cell::sums * Cell::units;
    constexpr int64_t per_depth = Cell::gates * Cell::units * lanes;
    const int64_t input = Kind::deep(p_.input), hidden = Kind::deep(p_.hidden);
    Tile<T, Height, columns> tile;
    for (int r = 0; r < Height; ++r) {
#pragma GCC unroll 16
      for (int j = 0; j < columns; ++j) tile.sums[r][j] = load(bias_ + (block * columns + j) * lanes);
    }
    multiply<typename Cell::FromInput>(tile, &x_[first], w_ih_ + block * input * per_depth, input);
    multiply<typename Cell::FromHidden>(tile, &h_[first], w_hh_ + block * hidden * per_depth, hidden);
#pragma GCC unroll 16
    for (int r = 0; r < Height; ++r) {
#pragma GCC unroll 16
      for (int u = 0; u < Cell::units; ++u) Cell::template activate<T>(tile.sums[r] + u * Cell::sums);
    }
    for (int r = 0; r < Height; ++r) finish(tile.sums[r], block, out_[first + r]);
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
  const Number *w_ih_, *w_hh_;
  const T* bias_;
  int64_t first_, last_;
  Member member_;
  Buffer<RowOut<T>> out_;
  Buffer<const Number*> x_, h_;
  Kind inputs_, states_;
};

template <class T, class Cell, class Kind>
void forward(const longspan::Forward<T>& problem, const PackedWeights<T, Cell, Kind>& weights) {
  const Rows rows(problem.walk);
  const int64_t hidden = problem.hidden;
  const Plan chosen = plan<T>(problem.walk.batch, blocks_of<Cell, T>(hidden),
                              Cell::gates * hidden * (problem.input + hidden), problem.threads);
  const auto cuts = rows.slices(chosen.slices);
  std::vector<ForwardSlice> slices;
  for (size_t part = 0; part + 1 < cuts.size(); ++part) {
    slices.push_back({Team(chosen.members), cuts[part], cuts[part + 1]});
  }
  for_teams(slices, [&](const ForwardSlice& slice, Member member) {
    ForwardWalk<T, Cell, Kind>(problem, rows, weights, slice, member).walk();
  });
}

template <class T, class Cell, class Kind = Exact<T>>
void forward(const longspan::Forward<T>& problem) {
  forward(problem, PackedWeights<T, Cell, Kind>(problem.w_ih, problem.w_hh, problem.b_ih, problem.b_hh, problem.input,
                                                problem.hidden));
}

}  // namespace LONGSPAN_ISA
