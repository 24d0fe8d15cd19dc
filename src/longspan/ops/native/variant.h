// Forward of the LSTM's variants: peepholes, coupled gates, projection, layer normalisation, zoneout, and one mask on h'
// a sequence. Equations: `lstm_step` in longspan/ops/reference.py.
//
// A step runs in passes over the rows of the slice: the sums of the gates with the cell behind them, in registers where
// nothing has to be normalised; then the projection and zoneout.
#pragma once

#include <cmath>

#include "forward.h"
#include "product.h"

namespace LONGSPAN_ISA {

template <int Gates>
struct VariantCell {
  using Shape = VariantCell;
  static constexpr int gates = Gates, sums = Gates, units = 1;
  static constexpr bool narrows = false;
  static constexpr bool coupled = Gates == 3;
  static constexpr int f = coupled ? 0 : 1, g = f + 1, o = f + 2;  // i is the first, where there is one
  using FromInput = std::conditional_t<coupled, To<0, 1, 2>, To<0, 1, 2, 3>>;
  using FromHidden = FromInput;
};

// Call `work(height, first)`, with the height as a type, for the highest tiles there are, and then for single rows.
template <class T, class Work>
inline void for_few_tiles(int64_t rows, Work work) {
  int64_t first = 0;
  for (; first + kTileRows<T> <= rows; first += kTileRows<T>) work(std::integral_constant<int, kTileRows<T>>{}, first);
  for (; first + 2 <= rows; first += 2) work(std::integral_constant<int, 2>{}, first);
  for (; first < rows; ++first) work(std::integral_constant<int, 1>{}, first);
}

// Not by an initialiser: see `Tile::clear`.
template <class T, int Height>
inline void clear(T (&values)[Height]) {
#pragma GCC unroll 16
  for (int r = 0; r < Height; ++r) values[r] = T{};
}

// Means of the values of some rows, and what makes their variances one, but for 1e-5: (value - mean) * scale.
template <class T, int Height>
struct Normals {
  // `value(row, unit, count)` are the values of a row, from some unit on.
  template <class Values>
  Normals(int64_t size, Values value) {
    Vector<T> sums[Height], squares[Height];
    clear(sums);
    clear(squares);
    for_units<T>(0, size, [&](int64_t unit, int count) {
#pragma GCC unroll 16
      for (int r = 0; r < Height; ++r) sums[r] += value(r, unit, count);
    });
    for (int r = 0; r < Height; ++r) mean[r] = total<T>(sums[r]) / size;
    for_units<T>(0, size, [&](int64_t unit, int count) {
#pragma GCC unroll 16
      for (int r = 0; r < Height; ++r) {
        const Vector<T> centred = first_lanes<T>(value(r, unit, count) - mean[r], count);
        squares[r] += centred * centred;
      }
    });
    for (int r = 0; r < Height; ++r) scale[r] = 1 / std::sqrt(total<T>(squares[r]) / size + T(1e-5));
  }

  T mean[Height], scale[Height];
};

// Share of the old state that a row keeps, from some unit on.
template <class T>
inline Vector<T> share_of(const uint8_t* mask, T share, int64_t unit, int count) {
  return mask == nullptr ? broadcast(share) : load_flags<T>(mask + unit, count);
}

template <class T>
struct VariantWeights {
  template <class Cell>
  static VariantWeights pack(const longspan::VariantForward<T>& problem) {
    const longspan::Forward<T>& p = problem.plain;
    const longspan::Variant<T>& v = problem.variant;
    return {pack_forward<Cell, T>(p.w_ih, p.hidden, p.input), pack_forward<Cell, T>(p.w_hh, p.hidden, v.output),
            pack_bias<Cell, T>(p.b_ih, p.b_hh, p.hidden), pack_bias<Cell, T>(nullptr, nullptr, p.hidden),
            v.w_hr == nullptr ? Buffer<T>{} : pack_rows(v.w_hr, v.output, p.hidden)};
  }

  Buffer<T> w_ih, w_hh, bias, zeros, w_hr;
};

// Places in what layer normalisation keeps of a row.
enum Kept { kScaleOfX, kScaleOfH, kMeanOfC, kScaleOfC, kKept };

template <class T>
struct VariantRow {
  const T* x;
  const T* h_before;
  const T* recalled;  // h' as the weights see it: masked, or h_before
  const T* c_before;
  T* h;
  T* c;
  T* c_new;           // before zoneout
  T* gates;           // or null
  T* output;          // o * tanh(c): h itself where nothing follows
  T* from_x;          // W x, layer normalisation alone
  T* from_h;          // U h', the same
  T* norms;           // the same, by `Kept`
  const uint8_t* zone_h;
  const uint8_t* zone_c;
};

// How the work is shared: layer normalisation, which needs whole rows of sums, has one thread for its slice.
template <class T>
Plan plan_of(const longspan::Walk& walk, const longspan::Variant<T>& v, int64_t input, int64_t hidden, int threads) {
  const bool by_units = v.ln_hh == nullptr && v.ln_c == nullptr;
  const int64_t shares = divide_up(hidden, kUnitsOfAShare<T>);
  return plan<T>(walk.batch, by_units ? shares : 1, v.gates * hidden * (input + v.output), threads);
}

// One thread's part of a slice: its share of the units.
template <class T, class Cell>
class VariantWalk {
 public:
  VariantWalk(const longspan::VariantForward<T>& problem, const Rows& rows, const VariantWeights<T>& weights,
              Buffer<T>& unprojected, const Slice& slice, Member member)
      : p_(problem.plain), v_(problem.variant), problem_(problem), rows_(rows), weights_(weights),
        first_(slice.first), last_(slice.last), member_(member), units_(member, p_.hidden),
        outputs_(member, v_.output), count_(last_ - first_), row_(count_), x_(count_),
        recalled_(count_), output_(count_), zoned_(longspan::zoned(v_)), normalised_(v_.ln_hh != nullptr),
        begins_(normalised_ ? weights.zeros.data() : weights.bias.data()),
        ahead_(units_.begin / kLanes<T>, divide_up(units_.end, kLanes<T>), count_, p_.input),
        masked_(v_.mask == nullptr ? 0 : count_ * v_.output),
        sums_(normalised_ && problem.normal == nullptr ? count_ * 2 * Cell::gates * p_.hidden : 0),
        c_new_(zoned_ ? count_ * p_.hidden : 0),
        unprojected_(unprojected), unzoned_(v_.w_hr == nullptr && zoned_ ? count_ * v_.output : 0),
        projected_(v_.w_hr != nullptr && zoned_ ? count_ * v_.output : 0) {}

  void walk() {
    for (int64_t step = 0; step < p_.walk.steps; ++step) {
      const int64_t running = rows_.running(step, first_, last_);
      if (running == 0) break;
      point_at(step, running);
      if (ahead_.lacks(step)) make_ahead(step);
      for (int64_t unit = units_.begin; unit < units_.end; unit += kLanes<T>) {
        for_tiles<kTileRows<T>>(running, [&](auto height, int64_t row) { gates<height.value>(unit, row); });
      }
      for_few_tiles<T>(running, [&](auto height, int64_t row) {
        if (normalised_) gates_normalised<height.value>(&row_[row]);
        if (v_.ln_c != nullptr) output_normalised<height.value>(&row_[row]);
      });
      if (v_.w_hr != nullptr) {
        member_.meet();
        project(running);
      }
      for (int64_t n = 0; n < running && zoned_; ++n) zone_out(n);
      member_.meet();
      if (member_.is_first()) keep_last(step, running);
      ahead_.pass(running);
    }
  }

 private:
  void point_at(int64_t step, int64_t running) {
    const int64_t hidden = p_.hidden, output = v_.output, all = Cell::gates * hidden;
    for (int64_t n = 0; n < running; ++n) {
      const int64_t sequence = first_ + n, row = rows_(step, sequence), walked = rows_.walked(step, sequence);
      VariantRow<T>& at = row_[n];
      x_[n] = at.x = p_.x + row * p_.input;
      at.h_before = step == 0 ? p_.h0 + sequence * output : at.h;
      at.c_before = step == 0 ? p_.c0 + sequence * hidden : at.c;
      at.h = p_.h + row * output;
      at.c = p_.c == nullptr ? p_.c_last + sequence * hidden : p_.c + row * hidden;
      at.c_new = zoned_ ? c_new_.data() + n * hidden : at.c;
      at.gates = p_.gates == nullptr ? nullptr : p_.gates + row * all;
      at.from_x = problem_.normal == nullptr ? sums_.data() + n * 2 * all : problem_.normal + row * 2 * all;
      at.from_h = at.from_x + all;
      at.norms = problem_.norms == nullptr ? unused_ : problem_.norms + row * kKept;
      at.zone_h = v_.zone_h == nullptr ? nullptr : v_.zone_h + walked * output;
      at.zone_c = v_.zone_c == nullptr ? nullptr : v_.zone_c + walked * hidden;
      at.output = v_.w_hr != nullptr ? unprojected_.data() + sequence * hidden
                  : zoned_           ? unzoned_.data() + n * output
                                     : at.h;
      at.recalled = v_.mask == nullptr ? at.h_before : recall(n, sequence, at.h_before);
      recalled_[n] = at.recalled;
      output_[n] = at.output;
    }
  }

  const T* recall(int64_t n, int64_t sequence, const T* h) {
    const int64_t size = v_.output;
    const T* mask = v_.mask + sequence * size;
    T* to = masked_.data() + n * size;
    for (int64_t u = 0; u < size; ++u) to[u] = h[u] * mask[u];
    return to;
  }

  void make_ahead(int64_t step) {
    const auto running = [&](int64_t at) { return rows_.running(at, first_, last_); };
    const auto see = [&](int64_t at, int64_t n) { return p_.x + rows_(at, first_ + n) * p_.input; };
    const auto x = ahead_.gather(step, p_.walk.steps, running, see);
    for (int64_t unit = units_.begin; unit < units_.end; unit += kLanes<T>) {
      for_tiles<kTileRows<T>>(static_cast<int64_t>(x.size()), [&](auto height, int64_t row) {
        Tile<T, height.value, Cell::sums> tile;
        from_input(tile, unit / kLanes<T>, &x[row]);
        ahead_.put(tile, unit / kLanes<T>, row);
      });
    }
  }

  // The sums over x. They begin with the bias, but where they are to be normalised with zero.
  template <int Height>
  void from_input(Tile<T, Height, Cell::sums>& tile, int64_t block, const T* const* x) const {
#pragma GCC unroll 16
    for (int r = 0; r < Height; ++r) begin(tile.sums[r], begins_, block);
    multiply<typename Cell::FromInput>(tile, x, weights_of(weights_.w_ih, block, p_.input), p_.input);
  }

  static const T* weights_of(const Buffer<T>& weights, int64_t block, int64_t depth) {
    return weights.data() + block * depth * Cell::gates * kLanes<T>;
  }

  template <int Height>
  void gates(int64_t unit, int64_t first) {
    const int64_t block = unit / kLanes<T>;
    const int count = static_cast<int>(std::min<int64_t>(kLanes<T>, p_.hidden - unit));
    VariantRow<T>* const rows = &row_[first];
    const T* const w_ih = weights_of(weights_.w_ih, block, p_.input);
    const T* const w_hh = weights_of(weights_.w_hh, block, v_.output);
    if (normalised_) {
      const auto x = [&](int r) { return rows[r].from_x + unit; };
      if (ahead_.is_used()) {
        put_ahead<Height>(block, first, x, count);
      } else {
        product<Height>(&x_[first], w_ih, p_.input, x, count);
      }
      return product<Height>(&recalled_[first], w_hh, v_.output, [&](int r) { return rows[r].from_h + unit; }, count);
    }
    Tile<T, Height, Cell::sums> tile;
    if (ahead_.is_used()) {
      ahead_.take(tile, block, first);
    } else {
      from_input(tile, block, &x_[first]);
    }
    multiply<typename Cell::FromHidden>(tile, &recalled_[first], w_hh, v_.output);
    finish(tile, rows, unit, count);
  }

  // The product of some rows and the weights of a block, left where `to(row)` says.
  template <int Height, class To>
  void product(const T* const* from, const T* weights, int64_t depth, To to, int count) const {
    Tile<T, Height, Cell::sums> tile;
    tile.clear();
    multiply<typename Cell::FromHidden>(tile, from, weights, depth);
#pragma GCC unroll 16
    for (int r = 0; r < Height; ++r) put(tile.sums[r], to(r), count);
  }

  // The same of one that was made ahead.
  template <int Height, class To>
  void put_ahead(int64_t block, int64_t first, To to, int count) {
    Tile<T, Height, Cell::sums> tile;
    ahead_.take(tile, block, first);
    for (int r = 0; r < Height; ++r) put(tile.sums[r], to(r), count);
  }

  static void begin(Vector<T>* sums, const T* from, int64_t block) {
#pragma GCC unroll 16
    for (int j = 0; j < Cell::sums; ++j) sums[j] = load(from + (block * Cell::sums + j) * kLanes<T>);
  }

  // The sums of a vector of units, where those of the next gate lie H apart.
  void put(const Vector<T>* sums, T* to, int count) const {
    const int64_t apart = p_.hidden;
#pragma GCC unroll 16
    for (int j = 0; j < Cell::sums; ++j) store(to + j * apart, sums[j], count);
  }

  // Normalise W x and U h' of some rows, each over the sums of all gates, and go on with what they make together.
  template <int Height>
  void gates_normalised(const VariantRow<T>* rows) {
    const int64_t size = Cell::gates * p_.hidden;
    T *from_x[Height], *from_h[Height];
    for (int r = 0; r < Height; ++r) {
      from_x[r] = rows[r].from_x;
      from_h[r] = rows[r].from_h;
    }
    const auto of_x = [&](int r, int64_t at, int count) { return load(from_x[r] + at, count); };
    const auto of_h = [&](int r, int64_t at, int count) { return load(from_h[r] + at, count); };
    const Normals<T, Height> by_x(size, of_x), by_h(size, of_h);
    for (int r = 0; r < Height; ++r) {
      rows[r].norms[kScaleOfX] = by_x.scale[r];
      rows[r].norms[kScaleOfH] = by_h.scale[r];
    }
    for_units<T>(0, p_.hidden, [&](int64_t unit, int count) {
      Tile<T, Height, Cell::sums> tile;
      for (int r = 0; r < Height; ++r) begin(tile.sums[r], weights_.bias.data(), unit / kLanes<T>);
      for (int j = 0; j < Cell::sums; ++j) {
        const int64_t at = j * p_.hidden + unit;
        const Vector<T> gain_x = load(v_.ln_ih + at, count), gain_h = load(v_.ln_hh + at, count);
        for (int r = 0; r < Height; ++r) {
          const Vector<T> x = (of_x(r, at, count) - by_x.mean[r]) * by_x.scale[r];
          const Vector<T> h = (of_h(r, at, count) - by_h.mean[r]) * by_h.scale[r];
          store(from_x[r] + at, x, count);
          store(from_h[r] + at, h, count);
          tile.sums[r][j] += x * gain_x + h * gain_h;
        }
      }
      finish(tile, rows, unit, count);
    });
  }

  // The sums of the gates become c and the output, in two stages as in cells.h.
  template <int Height>
  __attribute__((noinline)) void finish(Tile<T, Height, Cell::sums>& tile, const VariantRow<T>* rows, int64_t unit,
                                        int count) {
#pragma GCC unroll 16
    for (int r = 0; r < Height; ++r) activate(tile.sums[r], rows[r], unit, count);
    for (int r = 0; r < Height; ++r) renew(tile.sums[r], rows[r], unit, count);
  }

  void activate(Vector<T>* gates, const VariantRow<T>& row, int64_t unit, int count) const {
    if (v_.w_ch != nullptr) {
      const Vector<T> c_before = load(row.c_before + unit, count);
      if (!Cell::coupled) gates[0] += load(v_.w_ch + unit, count) * c_before;
      gates[Cell::f] += load(v_.w_ch + Cell::f * p_.hidden + unit, count) * c_before;
    } else {
      gates[Cell::o] = sigmoid(gates[Cell::o]);  // with peepholes it waits for c
    }
    if (!Cell::coupled) gates[0] = sigmoid(gates[0]);
    gates[Cell::f] = sigmoid(gates[Cell::f]);
    gates[Cell::g] = hyperbolic_tangent(gates[Cell::g]);
  }

  void renew(Vector<T>* gates, const VariantRow<T>& row, int64_t unit, int count) const {
    const Vector<T> c_before = load(row.c_before + unit, count), f = gates[Cell::f];
    const Vector<T> c = f * c_before + (Cell::coupled ? 1 - f : gates[0]) * gates[Cell::g];
    if (v_.w_ch != nullptr) {
      gates[Cell::o] = sigmoid(gates[Cell::o] + load(v_.w_ch + (Cell::f + 1) * p_.hidden + unit, count) * c);
    }
    store(row.c_new + unit, c, count);
    if (zoned_) {
      const Vector<T> kept = share_of(row.zone_c, v_.share_c, unit, count);
      store(row.c + unit, kept * c_before + (1 - kept) * c, count);
    }
    // Where c is to be normalised, o waits for it in the place of the output.
    store(row.output + unit, v_.ln_c != nullptr ? gates[Cell::o] : gates[Cell::o] * hyperbolic_tangent(c), count);
    if (row.gates != nullptr) put(gates, row.gates + unit, count);
  }

  template <int Height>
  void output_normalised(const VariantRow<T>* rows) {
    const auto c = [&](int r, int64_t unit, int count) { return load(rows[r].c_new + unit, count); };
    const Normals<T, Height> normals(p_.hidden, c);
    for (int r = 0; r < Height; ++r) {
      rows[r].norms[kMeanOfC] = normals.mean[r];
      rows[r].norms[kScaleOfC] = normals.scale[r];
    }
    for_units<T>(0, p_.hidden, [&](int64_t unit, int count) {
      const Vector<T> gain = load(v_.ln_c + unit, count);
      const Vector<T> bias = v_.bias_ln_c == nullptr ? Vector<T>{} : load(v_.bias_ln_c + unit, count);
      for (int r = 0; r < Height; ++r) {
        const Vector<T> normal = (c(r, unit, count) - normals.mean[r]) * normals.scale[r];
        const Vector<T> o = load(rows[r].output + unit, count);
        store(rows[r].output + unit, o * hyperbolic_tangent(normal * gain + bias), count);
      }
    });
  }

  void project(int64_t running) {
    multiply_rows<T, kTileRows<T>>(output_.data(), running, weights_.w_hr.data(), p_.hidden, outputs_,
                                   [&](int64_t n, int64_t unit, Vector<T> sums, int count) {
                                     T* to = projected_.empty() ? row_[n].h : projected_.data() + n * v_.output;
                                     store(to + unit, sums, count);
                                   });
  }

  void zone_out(int64_t n) {
    const VariantRow<T>& row = row_[n];
    const T* from = v_.w_hr == nullptr ? row.output : projected_.data() + n * v_.output;
    for_units<T>(outputs_.begin, outputs_.end, [&](int64_t unit, int count) {
      const Vector<T> kept = share_of(row.zone_h, v_.share_h, unit, count);
      store(row.h + unit, kept * load(row.h_before + unit, count) + (1 - kept) * load(from + unit, count), count);
    });
  }

  void keep_last(int64_t step, int64_t running) {
    const int64_t next = step + 1 < p_.walk.steps ? rows_.running(step + 1, first_, last_) : 0;
    for (int64_t n = next; n < running; ++n) {
      std::copy_n(row_[n].h, v_.output, p_.h_last + (first_ + n) * v_.output);
      if (p_.c != nullptr) std::copy_n(row_[n].c, p_.hidden, p_.c_last + (first_ + n) * p_.hidden);
    }
  }

  const longspan::Forward<T>& p_;
  const longspan::Variant<T>& v_;
  const longspan::VariantForward<T>& problem_;
  const Rows& rows_;
  const VariantWeights<T>& weights_;
  int64_t first_, last_;
  Member member_;
  Share<T> units_, outputs_;
  int64_t count_;
  Buffer<VariantRow<T>> row_;
  Buffer<const T*> x_, recalled_, output_;
  bool zoned_, normalised_;
  const T* begins_;  // what the sums over x begin with
  Ahead<T, Cell::sums> ahead_;
  // One row a sequence of what is not kept: masked h', W x and U h', c and the output before what follows them.
  Buffer<T> masked_, sums_, c_new_;
  Buffer<T>& unprojected_;  // of all sequences, for the threads of a team each take all of a row's
  Buffer<T> unzoned_, projected_;
  T unused_[kKept];
};

template <class T, class Cell>
void forward_variant_of(const longspan::VariantForward<T>& problem) {
  const Rows rows(problem.plain.walk);
  const VariantWeights<T> weights = VariantWeights<T>::template pack<Cell>(problem);
  const longspan::Forward<T>& p = problem.plain;
  Buffer<T> unprojected(problem.variant.w_hr == nullptr ? 0 : p.walk.batch * p.hidden);
  std::vector<Slice> slices = cut(rows, plan_of(p.walk, problem.variant, p.input, p.hidden, p.threads));
  for_teams(slices, [&](const Slice& slice, Member member) {
    VariantWalk<T, Cell>(problem, rows, weights, unprojected, slice, member).walk();
  });
}

template <class T>
void forward_variant(const longspan::VariantForward<T>& problem) {
  if (problem.variant.gates == 3) return forward_variant_of<T, VariantCell<3>>(problem);
  forward_variant_of<T, VariantCell<4>>(problem);
}

}  // namespace LONGSPAN_ISA
