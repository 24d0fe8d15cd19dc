// Backward of the LSTM's variants. A step goes through the passes of the forward walk in the opposite order.
#pragma once

#include "variant.h"
#include "variant_products.h"

namespace LONGSPAN_ISA {

template <class T>
struct VariantBack {
  const T* c_before;
  const T* gates;
  const T* grad_h;
  T* carried_h;       // in: gradient of h by later steps; out: what reaches h' beside the weights
  T* carried_c;       // the same of c
  T* grad_output;     // gradient of the output before zoneout
  const T* grad_cell; // gradient of o * tanh(c): grad_output, or that sent back through the projection
  T* unprojected;
  T* grad_sums;       // of the gates' summands; with layer normalisation
  const T* normal;
  T scale;
  const T* mask;
  const T* zone_h;
  const T* zone_c;
};

// Where a thread sums up the gradients of the weights that are as long as a row.
template <class T>
struct SmallGradients {
  T *w_ch, *ln_hh, *ln_c, *bias_ln_c;
};

template <class T>
inline void add(T* to, Vector<T> values, int count) {
  store(to, load(to, count) + values, count);
}

// Turn the gradients of normalised values into those of what was normalised, given their sum and their product with
// the values: `take(unit, gradients, count)`.
template <class T, class Take>
void denormalise(const T* grads, const T* normal, Vector<T> sums, Vector<T> products, T scale, int64_t size, Take take) {
  const T mean = total<T>(sums) / size, along = total<T>(products) / size;
  for_units<T>(size, [&](int64_t unit, int count) {
    const Vector<T> centred = load(grads + unit, count) - mean - load(normal + unit, count) * along;
    take(unit, centred * scale, count);
  });
}

template <class T, class Cell>
class VariantBackwardSlice {
 public:
  VariantBackwardSlice(const longspan::VariantBackward<T>& problem, const Rows& rows,
                       const VariantBackwardWeights<T, Cell>& weights, VariantProducts<T, Cell>& products, int part,
                       int64_t first, int64_t last)
      : p_(problem.plain), v_(problem.variant), problem_(problem), rows_(rows), weights_(weights), products_(products),
        small_(small_of(part)), first_(first), last_(last), back_(last - first), sources_(last - first),
        zoned_(v_.zone_h != nullptr || v_.share_h != 0),
        outputs_(v_.w_hr == nullptr ? (last - first) * v_.output : 0),
        cells_(v_.w_hr == nullptr ? 0 : (last - first) * p_.hidden), c_new_(v_.ln_c == nullptr ? 0 : p_.hidden),
        grad_c_(c_new_.size()), grad_o_(c_new_.size()), normal_c_(c_new_.size()),
        recurrent_(v_.ln_hh == nullptr ? 0 : Cell::gates * p_.hidden), masked_(v_.mask == nullptr ? 0 : v_.output) {}

  void walk() {
    begin();
    int64_t used = 0;
    for (int64_t step = p_.walk.steps - 1; step >= 0; --step) {
      const int64_t running = rows_.running(step, first_, last_);
      if (running == 0) continue;
      if (used + running > products_.grads.capacity()) {
        products_.finish(used);
        used = 0;
      }
      point_at(step, running, used);
      for (int64_t n = 0; n < running; ++n) unzone(back_[n]);
      if (v_.w_hr != nullptr) unproject(running);
      for (int64_t n = 0; n < running; ++n) cell(back_[n], used + n);
      for (int64_t n = 0; n < running && v_.ln_hh != nullptr; ++n) recurrent(back_[n], used + n);
      send_back(running, used);
      used += running;
    }
    products_.finish(used);
  }

 private:
  SmallGradients<T> small_of(int part) const {
    const int64_t peepholes = (Cell::gates - 1) * p_.hidden, gains = Cell::gates * p_.hidden;
    T* start = problem_.grad_small + part * (peepholes + gains + 2 * p_.hidden);
    return {start, start + peepholes, start + peepholes + gains, start + peepholes + gains + p_.hidden};
  }

  // The carried gradients lie where those of the initial state will: a sequence that has ended is left alone.
  void begin() {
    const int64_t count = last_ - first_;
    set(p_.grad_h0, p_.grad_h_last, count * v_.output, first_ * v_.output);
    set(p_.grad_c0, p_.grad_c_last, count * p_.hidden, first_ * p_.hidden);
  }

  static void set(T* to, const T* from, int64_t count, int64_t at) {
    if (from == nullptr) {
      std::fill_n(to + at, count, T(0));
    } else {
      std::copy_n(from + at, count, to + at);
    }
  }

  void point_at(int64_t step, int64_t running, int64_t used) {
    const int64_t hidden = p_.hidden, output = v_.output, all = Cell::gates * hidden;
    for (int64_t n = 0; n < running; ++n) {
      const int64_t sequence = first_ + n, row = rows_(step, sequence), walked = rows_.walked(step, sequence);
      const int64_t before = step == 0 ? 0 : rows_(step - 1, sequence);
      VariantBack<T>& at = back_[n];
      at.c_before = step == 0 ? p_.c0 + sequence * hidden : p_.c + before * hidden;
      at.gates = p_.gates + row * all;
      at.grad_h = p_.grad_h == nullptr ? nullptr : p_.grad_h + row * output;
      at.carried_h = p_.grad_h0 + sequence * output;
      at.carried_c = p_.grad_c0 + sequence * hidden;
      at.grad_output = v_.w_hr == nullptr ? outputs_.data() + n * output : problem_.grad_output + row * output;
      at.grad_cell = v_.w_hr == nullptr ? at.grad_output : cells_.data() + n * hidden;
      at.unprojected = v_.w_hr == nullptr ? nullptr : problem_.unprojected + row * hidden;
      at.grad_sums = v_.ln_hh == nullptr ? nullptr : problem_.grad_sums + row * all;
      at.normal = v_.ln_hh == nullptr ? nullptr : problem_.normal + row * all;
      at.scale = v_.ln_hh == nullptr ? T(1) : problem_.scale[row];
      at.mask = v_.mask == nullptr ? nullptr : v_.mask + sequence * output;
      at.zone_h = v_.zone_h == nullptr ? nullptr : v_.zone_h + walked * output;
      at.zone_c = v_.zone_c == nullptr ? nullptr : v_.zone_c + walked * hidden;
      products_.h_before.put(used + n, recalled(step == 0 ? p_.h0 + sequence * output : p_.h + before * output, at.mask));
      if (p_.grad_w_ih != nullptr) products_.x.put(used + n, p_.x + row * p_.input);
      if (p_.grad_x != nullptr) products_.grad_x[used + n] = p_.grad_x + row * p_.input;
    }
  }

  // h' as the weights saw it.
  const T* recalled(const T* h, const T* mask) {
    if (mask == nullptr) return h;
    for (int64_t u = 0; u < v_.output; ++u) masked_[u] = h[u] * mask[u];
    return masked_.data();
  }

  void unzone(const VariantBack<T>& row) {
    for_units<T>(v_.output, [&](int64_t unit, int count) {
      Vector<T> dh = load(row.carried_h + unit, count);
      if (row.grad_h != nullptr) dh += load(row.grad_h + unit, count);
      const Vector<T> kept = share_of(row.zone_h, v_.share_h, unit, count);
      store(row.grad_output + unit, zoned_ ? (1 - kept) * dh : dh, count);
      store(row.carried_h + unit, zoned_ ? kept * dh : Vector<T>{}, count);
    });
  }

  void cell(const VariantBack<T>& row, int64_t number) {
    if (v_.ln_c != nullptr) normalised_output(row);
    for_units<T>(p_.hidden, [&](int64_t unit, int count) {
      if (v_.ln_hh == nullptr) {
        gates(row, unit, count, products_.grads.at_unit(number, unit), kLanes<T>, kLanes<T>);
      } else {
        gates(row, unit, count, row.grad_sums + unit, p_.hidden, count);
      }
    });
  }

  // The gates of a row, from some unit on.
  struct Gates {
    Vector<T> i, f, g, o;
  };

  Gates gates_of(const VariantBack<T>& row, int64_t unit, int count) const {
    const T* gates = row.gates + unit;
    const Vector<T> f = load(gates + Cell::f * p_.hidden, count);
    return {Cell::coupled ? 1 - f : load(gates, count), f, load(gates + Cell::g * p_.hidden, count),
            load(gates + Cell::o * p_.hidden, count)};
  }

  // Gradients of a_o and of c by the output, o * tanh(c).
  struct OutputGradient {
    Vector<T> a_o, c;
  };

  OutputGradient by_output(const VariantBack<T>& row, Vector<T> o, Vector<T> c, int64_t unit, int count) {
    const Vector<T> tanh_c = hyperbolic_tangent(c), dm = load(row.grad_cell + unit, count);
    if (v_.w_hr != nullptr) store(row.unprojected + unit, o * tanh_c, count);
    return {dm * tanh_c * o * (1 - o), dm * o * (1 - tanh_c * tanh_c)};
  }

  // The same, of the whole row, where the output is o * tanh(LN(c)).
  void normalised_output(const VariantBack<T>& row) {
    for_units<T>(p_.hidden, [&](int64_t unit, int count) {
      const Gates at = gates_of(row, unit, count);
      store(c_new_.data() + unit, at.f * load(row.c_before + unit, count) + at.i * at.g, count);
    });
    const Normal<T> normalised(c_new_.data(), p_.hidden);
    Vector<T> sums{}, products{};
    for_units<T>(p_.hidden, [&](int64_t unit, int count) {
      const Vector<T> gain = load(v_.ln_c + unit, count), normal = normalised(load(c_new_.data() + unit, count));
      const Vector<T> bias = v_.bias_ln_c == nullptr ? Vector<T>{} : load(v_.bias_ln_c + unit, count);
      const Vector<T> o = gates_of(row, unit, count).o, tanh_c = hyperbolic_tangent(normal * gain + bias);
      const Vector<T> dm = load(row.grad_cell + unit, count), da = dm * o * (1 - tanh_c * tanh_c);
      store(grad_o_.data() + unit, dm * tanh_c * o * (1 - o), count);
      add(small_.ln_c + unit, da * normal, count);
      add(small_.bias_ln_c + unit, da, count);
      const Vector<T> grad = first_lanes<T>(da * gain, count);
      sums += grad;
      products += grad * normal;
      store(normal_c_.data() + unit, normal, count);
      store(grad_c_.data() + unit, grad, count);
      if (v_.w_hr != nullptr) store(row.unprojected + unit, o * tanh_c, count);
    });
    denormalise(grad_c_.data(), normal_c_.data(), sums, products, normalised.scale, p_.hidden,
                [&](int64_t unit, Vector<T> grads, int count) { store(grad_c_.data() + unit, grads, count); });
  }

  // The gradients of the gates' sums: the first goes to `to`, the next to `to + apart`, and so on.
  void gates(const VariantBack<T>& row, int64_t unit, int count, T* to, int64_t apart, int stored) {
    using V = Vector<T>;
    const int64_t hidden = p_.hidden;
    const Gates at = gates_of(row, unit, count);
    const V c_before = load(row.c_before + unit, count), c = at.f * c_before + at.i * at.g;
    const OutputGradient by_o =
        v_.ln_c == nullptr ? by_output(row, at.o, c, unit, count)
                           : OutputGradient{load(grad_o_.data() + unit, count), load(grad_c_.data() + unit, count)};
    const V kept = share_of(row.zone_c, v_.share_c, unit, count), dc_kept = load(row.carried_c + unit, count);
    const T* w_ch = v_.w_ch == nullptr ? nullptr : v_.w_ch + unit;
    V dc = by_o.c + (1 - kept) * dc_kept;
    if (w_ch != nullptr) {
      dc += load(w_ch + (Cell::f + 1) * hidden, count) * by_o.a_o;
      add(small_.w_ch + (Cell::f + 1) * hidden + unit, by_o.a_o * c, count);
    }
    const V di = dc * at.g, df = Cell::coupled ? dc * c_before - di : dc * c_before;
    const V da_i = Cell::coupled ? V{} : di * at.i * (1 - at.i), da_f = df * at.f * (1 - at.f);
    V dc_before = kept * dc_kept + dc * at.f;
    if (w_ch != nullptr) {
      if (!Cell::coupled) {
        dc_before += load(w_ch, count) * da_i;
        add(small_.w_ch + unit, da_i * c_before, count);
      }
      dc_before += load(w_ch + Cell::f * hidden, count) * da_f;
      add(small_.w_ch + Cell::f * hidden + unit, da_f * c_before, count);
    }
    if (!Cell::coupled) store(to, da_i, stored);
    store(to + Cell::f * apart, da_f, stored);
    store(to + Cell::g * apart, dc * at.i * (1 - at.g * at.g), stored);
    store(to + Cell::o * apart, by_o.a_o, stored);
    store(row.carried_c + unit, dc_before, count);
  }

  // The gradients of U h' before it was normalised.
  void recurrent(const VariantBack<T>& row, int64_t number) {
    const int64_t hidden = p_.hidden, all = Cell::gates * hidden;
    Vector<T> sums{}, products{};
    for_units<T>(all, [&](int64_t at, int count) {
      const Vector<T> da = load(row.grad_sums + at, count), normal = load(row.normal + at, count);
      const Vector<T> grad = da * load(v_.ln_hh + at, count);
      add(small_.ln_hh + at, da * normal, count);
      sums += grad;
      products += grad * normal;
      store(recurrent_.data() + at, grad, count);
    });
    denormalise(recurrent_.data(), row.normal, sums, products, row.scale, all,
                [&](int64_t at, Vector<T> grads, int count) { store(recurrent_.data() + at, grads, count); });
    for_units<T>(hidden, [&](int64_t unit, int count) {
      T* to = products_.grads.at_unit(number, unit);
      for (int gate = 0; gate < Cell::gates; ++gate) {
        store(to + gate * kLanes<T>, load(recurrent_.data() + gate * hidden + unit, count));
      }
    });
  }

  void unproject(int64_t running) {
    for (int64_t n = 0; n < running; ++n) sources_[n] = back_[n].grad_output;
    multiply_rows<T, kTileRows<T>>(sources_.data(), running, weights_.w_hr.data(), v_.output, p_.hidden,
                                   [&](int64_t n, int64_t unit, Vector<T> sums, int count) {
                                     store(cells_.data() + n * p_.hidden + unit, sums, count);
                                   });
  }

  void send_back(int64_t running, int64_t used) {
    constexpr int across = VariantBackwardWeights<T, Cell>::kAcross;
    const int64_t blocks = divide_up(v_.output, across * kLanes<T>);
    for (int64_t block = 0; block < blocks; ++block) {
      const T* weights = weights_.w_hh.data() + block * (weights_.w_hh.size() / blocks);
      for_tiles<kTileRows<T>>(running, [&](auto height, int64_t first) {
        Tile<T, height.value, across> tile{};
        products_.grads.template multiply_rows<typename Cell::FromHidden>(tile, used + first, weights);
        for (int r = 0; r < height.value; ++r) carry(back_[first + r], tile.sums[r], block * across * kLanes<T>);
      });
    }
  }

  void carry(const VariantBack<T>& row, const Vector<T>* sums, int64_t first) {
    for (int64_t unit = first; unit < v_.output; unit += kLanes<T>, ++sums) {
      if (unit == first + VariantBackwardWeights<T, Cell>::kAcross * kLanes<T>) return;
      const int count = static_cast<int>(std::min<int64_t>(kLanes<T>, v_.output - unit));
      add(row.carried_h + unit, row.mask == nullptr ? *sums : *sums * load(row.mask + unit, count), count);
    }
  }

  const longspan::Backward<T>& p_;
  const longspan::Variant<T>& v_;
  const longspan::VariantBackward<T>& problem_;
  const Rows& rows_;
  const VariantBackwardWeights<T, Cell>& weights_;
  VariantProducts<T, Cell>& products_;
  SmallGradients<T> small_;
  int64_t first_, last_;
  Buffer<VariantBack<T>> back_;
  Buffer<const T*> sources_;
  bool zoned_;
  // Of each row of the slice: gradients of the output and of o * tanh(c). Of one row: c, its gradient and that of o,
  // LN(c), the gradients of U h', and masked h'.
  Buffer<T> outputs_, cells_, c_new_, grad_c_, grad_o_, normal_c_, recurrent_, masked_;
};

template <class T, class Cell>
void backward_variant_of(const longspan::VariantBackward<T>& problem) {
  const longspan::Backward<T>& p = problem.plain;
  const Rows rows(p.walk);
  const VariantBackwardWeights<T, Cell> weights(problem);
  const int parts = static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(p.threads, p.walk.batch)));
  std::deque<VariantProducts<T, Cell>> products;
  for (int part = 0; part < parts; ++part) products.emplace_back(problem, weights, p.walk.batch);
  for_numbered_slices(rows, p.walk.batch, p.threads, [&](int part, int64_t first, int64_t last) {
    VariantBackwardSlice<T, Cell>(problem, rows, weights, products[part], part, first, last).walk();
  });
  VariantProducts<T, Cell>::unpack(products);
}

template <class T>
void backward_variant(const longspan::VariantBackward<T>& problem) {
  if (problem.variant.gates == 3) return backward_variant_of<T, VariantCell<3>>(problem);
  backward_variant_of<T, VariantCell<4>>(problem);
}

}  // namespace LONGSPAN_ISA
