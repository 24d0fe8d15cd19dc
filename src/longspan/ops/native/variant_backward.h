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
  const T* from_x;    // normalised W x; with layer normalisation
  const T* from_h;    // normalised U h', the same
  const T* norms;     // by `Kept`, the same
  const T* mask;
  const uint8_t* zone_h;
  const uint8_t* zone_c;
};

// Where a slice sums up the gradients of the weights that are as long as a row.
template <class T>
struct SmallGradients {
  SmallGradients(T* at, int64_t gates, int64_t hidden)
      : w_ch(at), ln_ih(w_ch + (gates - 1) * hidden), ln_hh(ln_ih + gates * hidden), ln_c(ln_hh + gates * hidden),
        bias_ln_c(ln_c + hidden) {}

  static int64_t size(int64_t gates, int64_t hidden) { return (3 * gates + 1) * hidden; }

  T *w_ch, *ln_ih, *ln_hh, *ln_c, *bias_ln_c;
};

// The sums of all slices, for those that are wanted.
template <class T>
void gather_small(const longspan::VariantBackward<T>& problem, const Buffer<T>& small, int64_t gates) {
  const int64_t hidden = problem.plain.hidden, apart = SmallGradients<T>::size(gates, hidden);
  const T* from = small.data();
  const auto take = [&](T* to, int64_t size) {
    for (int64_t at = 0; to != nullptr && at < size; ++at) {
      to[at] = 0;
      for (const T* part = from; part < small.data() + small.size(); part += apart) to[at] += part[at];
    }
    from += size;
  };
  take(problem.grad_w_ch, (gates - 1) * hidden);
  take(problem.grad_ln_ih, gates * hidden);
  take(problem.grad_ln_hh, gates * hidden);
  take(problem.grad_ln_c, hidden);
  take(problem.grad_bias_ln_c, hidden);
}

template <class T>
inline void add(T* to, Vector<T> values, int count) {
  store(to, load(to, count) + values, count);
}

// Turn the gradients of normalised values into those of what was normalised, given their sum and their product with the
// values, over the `size` values of each row.
template <class T, int Height>
struct Denormal {
  Denormal() {
    clear(sums);
    clear(products);
    clear(mean);
    clear(along);
  }

  void finish(int64_t size) {
    for (int r = 0; r < Height; ++r) {
      mean[r] = total<T>(sums[r]) / size;
      along[r] = total<T>(products[r]) / size;
    }
  }

  void add(int r, Vector<T> grad, Vector<T> normal) {
    sums[r] += grad;
    products[r] += grad * normal;
  }

  Vector<T> operator()(int r, Vector<T> grad, Vector<T> normal) const { return grad - mean[r] - normal * along[r]; }

  Vector<T> sums[Height], products[Height];
  T mean[Height], along[Height];
};

// The weights by which gate gradients are multiplied, and those of the projection.
template <class T, class Cell>
struct VariantBackwardWeights {
  explicit VariantBackwardWeights(const longspan::VariantBackward<T>& problem)
      : w_hh(pack_columns<T, Cell, kAcross>(problem.plain.w_hh, problem.plain.hidden, problem.variant.output,
                                            problem.variant.output, problem.plain.threads)),
        w_ih(problem.plain),
        w_hr(problem.variant.w_hr == nullptr
                 ? Buffer<T>{}
                 : pack_backward<T, kVectorsOfAShare>(problem.variant.w_hr, problem.plain.hidden,
                                                      problem.variant.output)) {}

  static constexpr int kAcross = kVectorsOfAShare;  // vectors of a tile of the gradient of h'
  Buffer<T> w_hh;
  InputWeights<T, Cell> w_ih;
  Buffer<T> w_hr;
};

// A slice of the batch, and what the threads that compute it share.
template <class T, class Cell>
struct VariantBackwardSlice {
  Team team;
  int64_t first, last;
  Products<T, Cell> products;
  SmallGradients<T> small;
};

// One thread's part of a slice: its share of the units.
template <class T, class Cell>
class VariantBackwardWalk {
 public:
  VariantBackwardWalk(const longspan::VariantBackward<T>& problem, const Rows& rows,
                      const VariantBackwardWeights<T, Cell>& weights, VariantBackwardSlice<T, Cell>& slice,
                      Member member)
      : p_(problem.plain), v_(problem.variant), problem_(problem), rows_(rows), weights_(weights),
        products_(slice.products), small_(slice.small), first_(slice.first), last_(slice.last), member_(member),
        units_(member, p_.hidden), output_units_(member, v_.output), back_(last_ - first_), sources_(last_ - first_),
        zoned_(longspan::zoned(v_)),
        outputs_(v_.w_hr == nullptr ? (last_ - first_) * v_.output : 0),
        cells_(v_.w_hr == nullptr ? 0 : (last_ - first_) * p_.hidden),
        grad_c_(v_.ln_c == nullptr ? 0 : kTileRows<T> * p_.hidden), grad_o_(grad_c_.size()),
        grad_sums_(v_.ln_hh == nullptr ? 0 : kTileRows<T> * Cell::gates * p_.hidden),
        masked_(v_.mask == nullptr ? 0 : v_.output) {}

  void walk() {
    if (member_.is_first()) begin();
    member_.meet();
    int64_t used = 0;
    for (int64_t step = p_.walk.steps - 1; step >= 0; --step) {
      const int64_t running = rows_.running(step, first_, last_);
      if (running == 0) continue;
      if (used + running > products_.of_h.capacity()) {
        products_.finish(used, weights_.w_ih, member_);
        used = 0;
      }
      point_at(step, running, used);
      for (int64_t n = 0; n < running; ++n) unzone(back_[n]);
      if (v_.w_hr != nullptr) {
        member_.meet();
        unproject(running);
      }
      for_few_tiles<T>(running, [&](auto height, int64_t n) { cells<height.value>(&back_[n], used + n); });
      member_.meet();
      send_back(running, used);
      used += running;
    }
    products_.finish(used, weights_.w_ih, member_);
  }

 private:
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
      at.from_x = v_.ln_hh == nullptr ? nullptr : problem_.normal + row * 2 * all;
      at.from_h = at.from_x + all;
      at.norms = problem_.norms == nullptr ? nullptr : problem_.norms + row * kKept;
      at.mask = v_.mask == nullptr ? nullptr : v_.mask + sequence * output;
      at.zone_h = v_.zone_h == nullptr ? nullptr : v_.zone_h + walked * output;
      at.zone_c = v_.zone_c == nullptr ? nullptr : v_.zone_c + walked * hidden;
      if (n < member_.begin(running) || n >= member_.end(running)) continue;
      const T* h_before = step == 0 ? p_.h0 + sequence * output : p_.h + before * output;
      products_.h_before.put(used + n, recalled(h_before, at.mask));
      products_.x.put(used + n, p_.x + row * p_.input);
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
    for_units<T>(output_units_.begin, output_units_.end, [&](int64_t unit, int count) {
      Vector<T> dh = load(row.carried_h + unit, count);
      if (row.grad_h != nullptr) dh += load(row.grad_h + unit, count);
      const Vector<T> kept = share_of(row.zone_h, v_.share_h, unit, count);
      store(row.grad_output + unit, zoned_ ? (1 - kept) * dh : dh, count);
      store(row.carried_h + unit, zoned_ ? kept * dh : Vector<T>{}, count);
    });
  }

  // The gradients of the sums of some rows, the first of which has a number among the products.
  template <int Height>
  void cells(const VariantBack<T>* rows, int64_t number) {
    Denormal<T, Height> of_c;
    if (v_.ln_c != nullptr) output_normalised(rows, of_c);
    for_units<T>(units_.begin, units_.end, [&](int64_t unit, int count) {
      Vector<T> biases[Cell::sums]{};
      for (int r = 0; r < Height; ++r) {
        Vector<T> grads[Cell::sums];
        gates(rows[r], r, of_c, unit, count, grads);
        if (v_.ln_hh == nullptr) {
          put(grads, products_.of_h.at_unit(number + r, unit));
        } else {
          for (int j = 0; j < Cell::sums; ++j) {
            store(grad_sums_.data() + (r * Cell::sums + j) * p_.hidden + unit, grads[j], count);
            biases[j] += grads[j];
          }
        }
      }
      if (v_.ln_hh != nullptr) products_.bias.add(unit, biases);
    });
    if (v_.ln_hh == nullptr) return;
    using Row = VariantBack<T>;
    denormalise<Height>(rows, number, &Row::from_x, kScaleOfX, v_.ln_ih, small_.ln_ih, products_.of_normalised_x);
    denormalise<Height>(rows, number, &Row::from_h, kScaleOfH, v_.ln_hh, small_.ln_hh, products_.of_h);
  }

  static void put(const Vector<T>* grads, T* to) {
    for (int j = 0; j < Cell::sums; ++j) store(to + j * kLanes<T>, grads[j]);
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

  template <int Height>
  OutputGradient by_output(const VariantBack<T>& row, int r, const Denormal<T, Height>& of_c, Vector<T> o, Vector<T> c,
                           int64_t unit, int count) {
    if (v_.ln_c != nullptr) {
      const int64_t at = r * p_.hidden + unit;
      const Vector<T> normal = (c - row.norms[kMeanOfC]) * row.norms[kScaleOfC];
      const Vector<T> of_normalised = load(grad_c_.data() + at, count);
      return {load(grad_o_.data() + at, count), of_c(r, of_normalised, normal) * row.norms[kScaleOfC]};
    }
    const Vector<T> tanh_c = hyperbolic_tangent(c), dm = load(row.grad_cell + unit, count);
    if (v_.w_hr != nullptr) store(row.unprojected + unit, o * tanh_c, count);
    return {dm * tanh_c * o * (1 - o), dm * o * (1 - tanh_c * tanh_c)};
  }

  // The same of whole rows, where the output is o * tanh(LN(c)): gradients of a_o, and of LN(c).
  template <int Height>
  void output_normalised(const VariantBack<T>* rows, Denormal<T, Height>& of_c) {
    for_units<T>(0, p_.hidden, [&](int64_t unit, int count) {
      const Vector<T> gain = load(v_.ln_c + unit, count);
      const Vector<T> bias = v_.bias_ln_c == nullptr ? Vector<T>{} : load(v_.bias_ln_c + unit, count);
      Vector<T> gains{}, biases{};
      for (int r = 0; r < Height; ++r) {
        const VariantBack<T>& row = rows[r];
        const Gates at = gates_of(row, unit, count);
        const Vector<T> c = at.f * load(row.c_before + unit, count) + at.i * at.g;
        const Vector<T> normal = first_lanes<T>((c - row.norms[kMeanOfC]) * row.norms[kScaleOfC], count);
        const Vector<T> tanh_c = hyperbolic_tangent(normal * gain + bias), dm = load(row.grad_cell + unit, count);
        const Vector<T> da = dm * at.o * (1 - tanh_c * tanh_c), grad = da * gain;
        store(grad_o_.data() + r * p_.hidden + unit, dm * tanh_c * at.o * (1 - at.o), count);
        store(grad_c_.data() + r * p_.hidden + unit, grad, count);
        if (v_.w_hr != nullptr) store(row.unprojected + unit, at.o * tanh_c, count);
        gains += da * normal;
        biases += da;
        of_c.add(r, grad, normal);
      }
      add(small_.ln_c + unit, gains, count);
      add(small_.bias_ln_c + unit, biases, count);
    });
    of_c.finish(p_.hidden);
  }

  // The gradients of the gates' sums of a row, which is row r of a tile, from some unit on.
  template <int Height>
  void gates(const VariantBack<T>& row, int r, const Denormal<T, Height>& of_c, int64_t unit, int count,
             Vector<T>* grads) {
    using V = Vector<T>;
    const int64_t hidden = p_.hidden;
    const Gates at = gates_of(row, unit, count);
    const V c_before = load(row.c_before + unit, count), c = at.f * c_before + at.i * at.g;
    const OutputGradient by_o = by_output(row, r, of_c, at.o, c, unit, count);
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
    if (!Cell::coupled) grads[0] = da_i;
    grads[Cell::f] = da_f;
    grads[Cell::g] = dc * at.i * (1 - at.g * at.g);
    grads[Cell::o] = by_o.a_o;
    store(row.carried_c + unit, dc_before, count);
  }

  // The gradients of W x or U h' before they were normalised, from those of the sums of the gates.
  template <int Height>
  void denormalise(const VariantBack<T>* rows, int64_t number, const T* VariantBack<T>::*normal_of, Kept scale,
                   const T* gains, T* of_gains, GateGradients<T, Cell>& to) {
    const int64_t hidden = p_.hidden, all = Cell::gates * hidden;
    const T* normals[Height];
    T scales[Height];
    for (int r = 0; r < Height; ++r) {
      normals[r] = rows[r].*normal_of;
      scales[r] = rows[r].norms[scale];
    }
    Denormal<T, Height> of_sums;
    for_units<T>(0, all, [&](int64_t at, int count) {
      const Vector<T> gain = load(gains + at, count);
      Vector<T> of_gain{};
      for (int r = 0; r < Height; ++r) {
        const Vector<T> da = load(grad_sums_.data() + r * all + at, count), normal = load(normals[r] + at, count);
        of_gain += da * normal;
        of_sums.add(r, da * gain, normal);
      }
      add(of_gains + at, of_gain, count);
    });
    of_sums.finish(all);
    for_units<T>(0, hidden, [&](int64_t unit, int count) {
      for (int j = 0; j < Cell::sums; ++j) {
        const int64_t at = j * hidden + unit;
        const Vector<T> gain = load(gains + at, count);
        for (int r = 0; r < Height; ++r) {
          const Vector<T> grad = load(grad_sums_.data() + r * all + at, count) * gain;
          const Vector<T> before = of_sums(r, grad, load(normals[r] + at, count)) * scales[r];
          store(to.at_unit(number + r, unit) + j * kLanes<T>, first_lanes<T>(before, count));
        }
      }
    });
  }

  void unproject(int64_t running) {
    for (int64_t n = 0; n < running; ++n) sources_[n] = back_[n].grad_output;
    multiply_rows<T, kTileRows<T>>(sources_.data(), running, weights_.w_hr.data(), v_.output, units_,
                                   [&](int64_t n, int64_t unit, Vector<T> sums, int count) {
                                     store(cells_.data() + n * p_.hidden + unit, sums, count);
                                   });
  }

  void send_back(int64_t running, int64_t used) {
    constexpr int across = VariantBackwardWeights<T, Cell>::kAcross;
    const int64_t blocks = divide_up(v_.output, across * kLanes<T>);
    products_.of_h.template multiply_rows<typename Cell::FromHidden, across>(
        used, used + running, weights_.w_hh, v_.output, member_.begin(blocks), member_.end(blocks),
        [&](int64_t row, int64_t unit, Vector<T> sums, int count, bool) {
          const VariantBack<T>& of = back_[row - used];
          add(of.carried_h + unit, of.mask == nullptr ? sums : sums * load(of.mask + unit, count), count);
        });
  }

  const longspan::Backward<T>& p_;
  const longspan::Variant<T>& v_;
  const longspan::VariantBackward<T>& problem_;
  const Rows& rows_;
  const VariantBackwardWeights<T, Cell>& weights_;
  Products<T, Cell>& products_;
  SmallGradients<T> small_;
  int64_t first_, last_;
  Member member_;
  Share<T> units_, output_units_;
  Buffer<VariantBack<T>> back_;
  Buffer<const T*> sources_;
  bool zoned_;
  // Of each row of the slice: gradients of the output and of o * tanh(c).
  Buffer<T> outputs_, cells_;
  // Of each row of a tile: gradients of LN(c), of a_o, and of the gates' sums. Of one row: masked h'.
  Buffer<T> grad_c_, grad_o_, grad_sums_, masked_;
};

template <class T, class Cell>
void backward_variant_of(const longspan::VariantBackward<T>& problem) {
  const longspan::Backward<T>& p = problem.plain;
  const Rows rows(p.walk);
  const VariantBackwardWeights<T, Cell> weights(problem);
  const Plan chosen = plan_of(p.walk, problem.variant, p.input, p.hidden, p.threads);
  const auto cuts = rows.slices(chosen.slices);
  const int64_t of_a_slice = SmallGradients<T>::size(Cell::gates, p.hidden);
  Buffer<T> small((cuts.size() - 1) * of_a_slice, T(0));
  std::deque<VariantBackwardSlice<T, Cell>> slices;
  for (size_t part = 0; part + 1 < cuts.size(); ++part) {
    slices.push_back({Team(chosen.members), cuts[part], cuts[part + 1],
                      Products<T, Cell>(p, problem.variant.output, rows, cuts[part], cuts[part + 1], chosen,
                                        problem.variant.ln_hh != nullptr),
                      SmallGradients<T>(small.data() + part * of_a_slice, Cell::gates, p.hidden)});
  }
  for_teams(slices, [&](VariantBackwardSlice<T, Cell>& slice, Member member) {
    VariantBackwardWalk<T, Cell>(problem, rows, weights, slice, member).walk();
  });
  typename Products<T, Cell>::Parts parts;
  for (const auto& slice : slices) parts.push_back(&slice.products);
  Products<T, Cell>::unpack(parts);
  gather_small(problem, small, Cell::gates);
}

template <class T>
void backward_variant(const longspan::VariantBackward<T>& problem) {
  if (problem.variant.gates == 3) return backward_variant_of<T, VariantCell<3>>(problem);
  backward_variant_of<T, VariantCell<4>>(problem);
}

}  // namespace LONGSPAN_ISA
