// Backward of the LSTM's variants. A step goes through the passes of the forward walk in the opposite order.
#pragma once

#include "backward.h"
#include "variant.h"

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
  T* grad_gates;
  T* grad_recurrent;  // of U h' before it was normalised; with layer normalisation
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
// the values.
template <class T>
void denormalise(T* grads, const T* normal, Vector<T> sums, Vector<T> products, T scale, int64_t size) {
  const T mean = total<T>(sums) / size, along = total<T>(products) / size;
  for_units<T>(size, [&](int64_t unit, int count) {
    const Vector<T> centred = load(grads + unit, count) - mean - load(normal + unit, count) * along;
    store(grads + unit, centred * scale, count);
  });
}

template <class T, class Cell>
class VariantBackwardSlice {
 public:
  VariantBackwardSlice(const longspan::VariantBackward<T>& problem, const Rows& rows, const T* w_hh, const T* w_hr,
                       int part, int64_t first, int64_t last)
      : p_(problem.plain), v_(problem.variant), problem_(problem), rows_(rows), w_hh_(w_hh), w_hr_(w_hr),
        small_(small_of(part)), first_(first), last_(last), back_(last - first), sources_(last - first),
        zoned_(v_.zone_h != nullptr || v_.share_h != 0),
        outputs_(v_.w_hr == nullptr ? (last - first) * v_.output : 0),
        cells_(v_.w_hr == nullptr ? 0 : (last - first) * p_.hidden), c_new_(v_.ln_c == nullptr ? 0 : p_.hidden),
        grad_c_(c_new_.size()), normal_c_(c_new_.size()) {}

  void walk() {
    begin();
    for (int64_t step = p_.walk.steps - 1; step >= 0; --step) {
      const int64_t running = rows_.running(step, first_, last_);
      if (running == 0) continue;
      point_at(step, running);
      for (int64_t n = 0; n < running; ++n) unzone(back_[n]);
      if (v_.w_hr != nullptr) unproject(running);
      for (int64_t n = 0; n < running; ++n) cell(back_[n]);
      for (int64_t n = 0; n < running && v_.ln_hh != nullptr; ++n) recurrent(back_[n]);
      send_back(running);
    }
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

  void point_at(int64_t step, int64_t running) {
    const int64_t hidden = p_.hidden, output = v_.output, all = Cell::gates * hidden;
    for (int64_t n = 0; n < running; ++n) {
      const int64_t sequence = first_ + n, row = rows_(step, sequence), walked = rows_.walked(step, sequence);
      const int64_t before = step == 0 ? 0 : rows_(step - 1, sequence);
      VariantBack<T>& at = back_[n];
      at.c_before = step == 0 ? p_.c0 + sequence * hidden : p_.c + before * hidden;
      at.gates = p_.gates + row * all;
      at.grad_h = p_.grad_h + row * output;
      at.carried_h = p_.grad_h0 + sequence * output;
      at.carried_c = p_.grad_c0 + sequence * hidden;
      at.grad_output = v_.w_hr == nullptr ? outputs_.data() + n * output : problem_.grad_output + row * output;
      at.grad_cell = v_.w_hr == nullptr ? at.grad_output : cells_.data() + n * hidden;
      at.unprojected = v_.w_hr == nullptr ? nullptr : problem_.unprojected + row * hidden;
      at.grad_gates = p_.grad_gates + row * all;
      at.grad_recurrent = v_.ln_hh == nullptr ? at.grad_gates : p_.grad_recurrent + row * all;
      at.normal = v_.ln_hh == nullptr ? nullptr : problem_.normal + row * all;
      at.scale = v_.ln_hh == nullptr ? T(1) : problem_.scale[row];
      at.mask = v_.mask == nullptr ? nullptr : v_.mask + sequence * output;
      at.zone_h = v_.zone_h == nullptr ? nullptr : v_.zone_h + walked * output;
      at.zone_c = v_.zone_c == nullptr ? nullptr : v_.zone_c + walked * hidden;
      recall(step == 0 ? p_.h0 + sequence * output : p_.h + before * output, at.mask, p_.h_before + row * output);
    }
  }

  void recall(const T* h, const T* mask, T* to) const {
    for (int64_t u = 0; u < v_.output; ++u) to[u] = mask == nullptr ? h[u] : h[u] * mask[u];
  }

  void unzone(const VariantBack<T>& row) {
    for_units<T>(v_.output, [&](int64_t unit, int count) {
      const Vector<T> dh = load(row.carried_h + unit, count) + load(row.grad_h + unit, count);
      const Vector<T> kept = share_of(row.zone_h, v_.share_h, unit, count);
      store(row.grad_output + unit, zoned_ ? (1 - kept) * dh : dh, count);
      store(row.carried_h + unit, zoned_ ? kept * dh : Vector<T>{}, count);
    });
  }

  void cell(const VariantBack<T>& row) {
    if (v_.ln_c != nullptr) normalised_output(row);
    for_units<T>(p_.hidden, [&](int64_t unit, int count) { gates(row, unit, count); });
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
      store(row.grad_gates + Cell::o * p_.hidden + unit, dm * tanh_c * o * (1 - o), count);
      add(small_.ln_c + unit, da * normal, count);
      add(small_.bias_ln_c + unit, da, count);
      const Vector<T> grad = first_lanes<T>(da * gain, count);
      sums += grad;
      products += grad * normal;
      store(normal_c_.data() + unit, normal, count);
      store(grad_c_.data() + unit, grad, count);
      if (v_.w_hr != nullptr) store(row.unprojected + unit, o * tanh_c, count);
    });
    denormalise(grad_c_.data(), normal_c_.data(), sums, products, normalised.scale, p_.hidden);
  }

  void gates(const VariantBack<T>& row, int64_t unit, int count) {
    using V = Vector<T>;
    const int64_t hidden = p_.hidden;
    const Gates at = gates_of(row, unit, count);
    const V c_before = load(row.c_before + unit, count), c = at.f * c_before + at.i * at.g;
    T* of_o = row.grad_gates + Cell::o * hidden + unit;
    const OutputGradient by_o = v_.ln_c == nullptr
                                    ? by_output(row, at.o, c, unit, count)
                                    : OutputGradient{load(of_o, count), load(grad_c_.data() + unit, count)};
    if (v_.ln_c == nullptr) store(of_o, by_o.a_o, count);
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
    if (!Cell::coupled) store(row.grad_gates + unit, da_i, count);
    store(row.grad_gates + Cell::f * hidden + unit, da_f, count);
    store(row.grad_gates + Cell::g * hidden + unit, dc * at.i * (1 - at.g * at.g), count);
    store(row.carried_c + unit, dc_before, count);
  }

  void recurrent(const VariantBack<T>& row) {
    const int64_t all = Cell::gates * p_.hidden;
    Vector<T> sums{}, products{};
    for_units<T>(all, [&](int64_t unit, int count) {
      const Vector<T> da = load(row.grad_gates + unit, count), normal = load(row.normal + unit, count);
      const Vector<T> grad = da * load(v_.ln_hh + unit, count);
      add(small_.ln_hh + unit, da * normal, count);
      sums += grad;
      products += grad * normal;
      store(row.grad_recurrent + unit, grad, count);
    });
    denormalise(row.grad_recurrent, row.normal, sums, products, row.scale, all);
  }

  void unproject(int64_t running) {
    for (int64_t n = 0; n < running; ++n) sources_[n] = back_[n].grad_output;
    multiply_rows<T, kTileRows<T>>(sources_.data(), running, w_hr_, v_.output, p_.hidden,
                                   [&](int64_t n, int64_t unit, Vector<T> sums, int count) {
                                     store(cells_.data() + n * p_.hidden + unit, sums, count);
                                   });
  }

  void send_back(int64_t running) {
    for (int64_t n = 0; n < running; ++n) sources_[n] = back_[n].grad_recurrent;
    multiply_rows<T, kTileRows<T>>(sources_.data(), running, w_hh_, Cell::gates * p_.hidden, v_.output,
                                   [&](int64_t n, int64_t unit, Vector<T> sums, int count) {
                                     if (v_.mask != nullptr) sums *= load(back_[n].mask + unit, count);
                                     add(back_[n].carried_h + unit, sums, count);
                                   });
  }

  const longspan::Backward<T>& p_;
  const longspan::Variant<T>& v_;
  const longspan::VariantBackward<T>& problem_;
  const Rows& rows_;
  const T *w_hh_, *w_hr_;
  SmallGradients<T> small_;
  int64_t first_, last_;
  Buffer<VariantBack<T>> back_;
  Buffer<const T*> sources_;
  bool zoned_;
  // Of each row of the slice: gradients of the output and of o * tanh(c). Of one row: c, its gradient, and LN(c).
  Buffer<T> outputs_, cells_, c_new_, grad_c_, normal_c_;
};

template <class T, class Cell>
void backward_variant_of(const longspan::VariantBackward<T>& problem) {
  const longspan::Backward<T>& p = problem.plain;
  const int64_t output = problem.variant.output;
  const Rows rows(p.walk);
  const Buffer<T> w_hh = pack_backward<T, 4>(p.w_hh, output, Cell::gates * p.hidden);
  const Buffer<T> w_hr = problem.variant.w_hr == nullptr
                                  ? Buffer<T>{}
                                  : pack_backward<T, 4>(problem.variant.w_hr, p.hidden, output);
  for_numbered_slices(rows, p.walk.batch, p.threads, [&](int part, int64_t first, int64_t last) {
    VariantBackwardSlice<T, Cell>(problem, rows, w_hh.data(), w_hr.data(), part, first, last).walk();
  });
}

template <class T>
void backward_variant(const longspan::VariantBackward<T>& problem) {
  if (problem.variant.gates == 3) return backward_variant_of<T, VariantCell<3>>(problem);
  backward_variant_of<T, VariantCell<4>>(problem);
}

}  // namespace LONGSPAN_ISA
