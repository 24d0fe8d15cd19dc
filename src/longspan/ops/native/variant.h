// Forward of the LSTM's variants: peepholes, coupled gates, projection, layer normalisation, zoneout, and one mask on h'
// a sequence. Equations: `lstm_step` in longspan/ops/reference.py.
//
// A step runs in passes over the rows of the slice: the sums of the gates with the cell behind them, in registers where
// nothing has to be normalised; then the output gate, the projection and zoneout.
#pragma once

#include <cmath>

#include "forward.h"
#include "product.h"

namespace LONGSPAN_ISA {

template <int Gates>
struct VariantCell {
  static constexpr int gates = Gates, sums = Gates, units = 1;
  static constexpr bool coupled = Gates == 3;
  static constexpr int f = coupled ? 0 : 1, g = f + 1, o = f + 2;  // i is the first, where there is one
  using FromInput = std::conditional_t<coupled, To<0, 1, 2>, To<0, 1, 2, 3>>;
  using FromHidden = FromInput;
};

// Call `work(unit, count)` for each vector of `size` units.
template <class T, class Work>
inline void for_units(int64_t size, Work work) {
  for (int64_t unit = 0; unit < size; unit += kLanes<T>) {
    work(unit, static_cast<int>(std::min<int64_t>(kLanes<T>, size - unit)));
  }
}

// The sum of the lanes, in pairs.
template <class T>
inline T total(Vector<T> values) {
  T lanes[kLanes<T>];
  std::memcpy(lanes, &values, sizeof(lanes));
  for (int half = kLanes<T> / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

template <class T>
inline Vector<T> first_lanes(Vector<T> values, int count) {
  for (int lane = count; lane < kLanes<T>; ++lane) values[lane] = 0;
  return values;
}

// What makes the mean of some values zero and their variance one, but for 1e-5: (value - mean) * scale.
template <class T>
struct Normal {
  Normal(const T* values, int64_t size) {
    Vector<T> sums{}, squares{};
    for_units<T>(size, [&](int64_t unit, int count) { sums += load(values + unit, count); });
    mean = total<T>(sums) / size;
    for_units<T>(size, [&](int64_t unit, int count) {
      const Vector<T> centred = first_lanes<T>(load(values + unit, count) - mean, count);
      squares += centred * centred;
    });
    scale = 1 / std::sqrt(total<T>(squares) / size + T(1e-5));
  }

  Vector<T> operator()(Vector<T> value) const { return (value - mean) * scale; }

  T mean, scale;
};

// Share of the old state that a row keeps, from some unit on.
template <class T>
inline Vector<T> share_of(const T* mask, T share, int64_t unit, int count) {
  return mask == nullptr ? broadcast(share) : load(mask + unit, count);
}

template <class T>
struct VariantWeights {
  template <class Cell>
  static VariantWeights pack(const longspan::VariantForward<T>& problem) {
    const longspan::Forward<T>& p = problem.plain;
    const bool fed_sums = problem.variant.ln_hh != nullptr;
    return {fed_sums ? Buffer<T>{} : pack_forward<Cell, T>(p.w_ih, p.hidden, p.input),
            pack_forward<Cell, T>(p.w_hh, p.hidden, problem.variant.output),
            pack_bias<Cell, T>(p.b_ih, p.b_hh, p.hidden),
            problem.variant.w_hr == nullptr ? Buffer<T>{} : pack_rows(problem.variant.w_hr, problem.variant.output, p.hidden)};
  }

  Buffer<T> w_ih, w_hh, bias, w_hr;
};

template <class T>
struct VariantRow {
  const T* x;
  const T* h_before;
  const T* recalled;  // h' as the weights see it: masked, or h_before
  const T* c_before;
  T* h;
  T* c;
  T* c_new;           // before zoneout; kept for layer normalisation alone
  T* gates;
  T* output;          // o * tanh(c): h itself where nothing follows
  T* normal;          // U h', layer normalisation alone
  T* scale;
  const T* zone_h;
  const T* zone_c;
};

template <class T, class Cell>
class VariantSlice {
 public:
  VariantSlice(const longspan::VariantForward<T>& problem, const Rows& rows, const VariantWeights<T>& weights,
               int64_t first, int64_t last)
      : p_(problem.plain), v_(problem.variant), problem_(problem), rows_(rows), weights_(weights), first_(first),
        last_(last), row_(last - first), x_(last - first), recalled_(last - first), output_(last - first),
        zoned_(v_.zone_h != nullptr || v_.share_h != 0),
        masked_(v_.mask == nullptr ? 0 : (last - first) * v_.output),
        gates_(p_.gates != nullptr ? 0 : (last - first) * Cell::gates * p_.hidden),
        normal_(v_.ln_hh == nullptr || problem.normal != nullptr ? 0 : (last - first) * Cell::gates * p_.hidden),
        c_new_(v_.ln_c == nullptr ? 0 : (last - first) * p_.hidden),
        unprojected_(v_.w_hr != nullptr ? (last - first) * p_.hidden : zoned_ ? (last - first) * v_.output : 0),
        projected_(v_.w_hr != nullptr && zoned_ ? (last - first) * v_.output : 0) {}

  void walk() {
    for (int64_t step = 0; step < p_.walk.steps; ++step) {
      const int64_t running = rows_.running(step, first_, last_);
      if (running == 0) break;
      point_at(step, running);
      for (int64_t block = 0; block < blocks_of<Cell, T>(p_.hidden); ++block) {
        for_tiles<kTileRows<T>>(running, [&](auto height, int64_t row) { gates<height.value>(block, row); });
      }
      for (int64_t n = 0; n < running && v_.ln_hh != nullptr; ++n) finish_normalised(row_[n]);
      for (int64_t n = 0; n < running && v_.ln_c != nullptr; ++n) output_normalised(row_[n]);
      if (v_.w_hr != nullptr) project(running);
      for (int64_t n = 0; n < running && zoned_; ++n) zone_out(n);
      keep_last(step, running);
    }
  }

 private:
  void point_at(int64_t step, int64_t running) {
    const int64_t hidden = p_.hidden, output = v_.output, all = Cell::gates * hidden;
    for (int64_t n = 0; n < running; ++n) {
      const int64_t sequence = first_ + n, row = rows_(step, sequence), walked = rows_.walked(step, sequence);
      VariantRow<T>& at = row_[n];
      x_[n] = at.x = p_.x + row * (v_.ln_hh == nullptr ? p_.input : all);
      at.h_before = step == 0 ? p_.h0 + sequence * output : at.h;
      at.c_before = step == 0 ? p_.c0 + sequence * hidden : at.c;
      at.h = p_.h + row * output;
      at.c = p_.c == nullptr ? p_.c_last + sequence * hidden : p_.c + row * hidden;
      at.c_new = c_new_.data() + n * hidden;
      at.gates = p_.gates == nullptr ? gates_.data() + n * all : p_.gates + row * all;
      at.normal = problem_.normal == nullptr ? normal_.data() + n * all : problem_.normal + row * all;
      at.scale = problem_.scale == nullptr ? &unused_ : problem_.scale + row;
      at.zone_h = v_.zone_h == nullptr ? nullptr : v_.zone_h + walked * output;
      at.zone_c = v_.zone_c == nullptr ? nullptr : v_.zone_c + walked * hidden;
      at.output = unprojected_.empty() ? at.h : unprojected_.data() + n * (v_.w_hr == nullptr ? output : hidden);
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

  template <int Height>
  void gates(int64_t block, int64_t first) {
    constexpr int lanes = kLanes<T>;
    constexpr int64_t per_depth = Cell::gates * lanes;
    Tile<T, Height, Cell::sums> tile{};
    if (v_.ln_hh == nullptr) {
      for (int r = 0; r < Height; ++r) {
#pragma GCC unroll 16
        for (int j = 0; j < Cell::sums; ++j) {
          tile.sums[r][j] = load(weights_.bias.data() + (block * Cell::sums + j) * lanes);
        }
      }
      multiply<typename Cell::FromInput>(tile, &x_[first], weights_.w_ih.data() + block * p_.input * per_depth,
                                         p_.input);
    }
    multiply<typename Cell::FromHidden>(tile, &recalled_[first],
                                        weights_.w_hh.data() + block * v_.output * per_depth, v_.output);
    const int64_t unit = block * lanes;
    const int count = static_cast<int>(std::min<int64_t>(lanes, p_.hidden - unit));
    for (int r = 0; r < Height; ++r) {
      const VariantRow<T>& row = row_[first + r];
      if (v_.ln_hh == nullptr) {
        finish(tile.sums[r], row, unit, count);
      } else {
        for (int j = 0; j < Cell::sums; ++j) store(row.normal + j * p_.hidden + unit, tile.sums[r][j], count);
      }
    }
  }

  void finish_normalised(const VariantRow<T>& row) {
    const Normal<T> normal(row.normal, Cell::gates * p_.hidden);
    *row.scale = normal.scale;
    for_units<T>(p_.hidden, [&](int64_t unit, int count) {
      Vector<T> sums[Cell::sums];
      for (int j = 0; j < Cell::sums; ++j) {
        const int64_t at = j * p_.hidden + unit;
        const Vector<T> value = normal(load(row.normal + at, count));
        store(row.normal + at, value, count);
        sums[j] = load(row.x + at, count) + value * load(v_.ln_hh + at, count);
      }
      finish(sums, row, unit, count);
    });
  }

  void finish(const Vector<T>* sums, const VariantRow<T>& row, int64_t unit, int count) {
    using V = Vector<T>;
    const int64_t hidden = p_.hidden;
    const V c_before = load(row.c_before + unit, count);
    V a_i = sums[0], a_f = sums[Cell::f], a_o = sums[Cell::o];
    if (v_.w_ch != nullptr) {
      if (!Cell::coupled) a_i += load(v_.w_ch + unit, count) * c_before;
      a_f += load(v_.w_ch + Cell::f * hidden + unit, count) * c_before;
    }
    const V f = sigmoid(a_f), g = hyperbolic_tangent(sums[Cell::g]);
    const V i = Cell::coupled ? 1 - f : sigmoid(a_i);
    const V c = f * c_before + i * g;
    if (v_.w_ch != nullptr) a_o += load(v_.w_ch + (Cell::f + 1) * hidden + unit, count) * c;
    const V o = sigmoid(a_o);
    if (!Cell::coupled) store(row.gates + unit, i, count);
    store(row.gates + Cell::f * hidden + unit, f, count);
    store(row.gates + Cell::g * hidden + unit, g, count);
    store(row.gates + Cell::o * hidden + unit, o, count);
    const V kept = share_of(row.zone_c, v_.share_c, unit, count);
    store(row.c + unit, kept * c_before + (1 - kept) * c, count);
    if (v_.ln_c != nullptr) {
      store(row.c_new + unit, c, count);
    } else {
      store(row.output + unit, o * hyperbolic_tangent(c), count);
    }
  }

  void output_normalised(const VariantRow<T>& row) {
    const Normal<T> normal(row.c_new, p_.hidden);
    for_units<T>(p_.hidden, [&](int64_t unit, int count) {
      Vector<T> c = normal(load(row.c_new + unit, count)) * load(v_.ln_c + unit, count);
      if (v_.bias_ln_c != nullptr) c += load(v_.bias_ln_c + unit, count);
      const Vector<T> o = load(row.gates + Cell::o * p_.hidden + unit, count);
      store(row.output + unit, o * hyperbolic_tangent(c), count);
    });
  }

  void project(int64_t running) {
    multiply_rows<T, kTileRows<T>>(output_.data(), running, weights_.w_hr.data(), p_.hidden, v_.output,
                                   [&](int64_t n, int64_t unit, Vector<T> sums, int count) {
                                     T* to = projected_.empty() ? row_[n].h : projected_.data() + n * v_.output;
                                     store(to + unit, sums, count);
                                   });
  }

  void zone_out(int64_t n) {
    const VariantRow<T>& row = row_[n];
    const T* from = v_.w_hr == nullptr ? row.output : projected_.data() + n * v_.output;
    for_units<T>(v_.output, [&](int64_t unit, int count) {
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
  Buffer<VariantRow<T>> row_;
  Buffer<const T*> x_, recalled_, output_;
  bool zoned_;
  // One row a sequence of what is not kept: masked h', gates, U h', c, the output before what follows it.
  Buffer<T> masked_, gates_, normal_, c_new_, unprojected_, projected_;
  T unused_ = 0;
};

template <class T, class Cell>
void forward_variant_of(const longspan::VariantForward<T>& problem) {
  const Rows rows(problem.plain.walk);
  const VariantWeights<T> weights = VariantWeights<T>::template pack<Cell>(problem);
  for_slices(rows, problem.plain.walk.batch, problem.plain.threads, [&](int64_t first, int64_t last) {
    VariantSlice<T, Cell>(problem, rows, weights, first, last).walk();
  });
}

template <class T>
void forward_variant(const longspan::VariantForward<T>& problem) {
  if (problem.variant.gates == 3) return forward_variant_of<T, VariantCell<3>>(problem);
  forward_variant_of<T, VariantCell<4>>(problem);
}

}  // namespace LONGSPAN_ISA
