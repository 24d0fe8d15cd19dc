// The products of a backward pass: gate gradients with the weights, and with what the gates were computed from.
#pragma once

#include "gradients.h"
#include "team.h"

namespace LONGSPAN_ISA {

// Rows after which the products of gate gradients are made: enough that a tile of weight gradients, which is loaded and
// stored each time, costs little beside its sums; few enough that the rows stay in the cache.
inline constexpr int64_t kRowsAtOnce = 128;
// Where there are this many weights, slices of so few rows, on average, keep the gate gradients of all of them: to write
// a gradient of all weights for each slice, and to add these up, would take about as long as the products.
inline constexpr int64_t kManyWeights = 1 << 18, kRowsKept = 512;

// The weights of x, as the gradient of x is made: most of them in blocks of four vectors, the others one by one. Nothing
// where it is not asked for.
template <class T, class Shape>
struct InputWeights {
  static constexpr int columns = 4;

  explicit InputWeights(const longspan::Backward<T>& p)
      : split(p.grad_x == nullptr ? 0 : p.input / (columns * kLanes<T>) * columns * kLanes<T>),
        wide(pack_columns<T, Shape, columns>(p.w_ih, p.hidden, p.input, split, p.threads)),
        narrow(pack_columns<T, Shape, 1>(p.w_ih + split, p.hidden, p.input, p.grad_x == nullptr ? 0 : p.input - split,
                                         p.threads)) {}

  int64_t split;  // columns in the first part
  Buffer<T> wide, narrow;
};

// The gate gradients of rows of a slice, and the gradients that are made of them.
template <class T, class Shape>
class Products {
 public:
  // `output`: units of h'. `apart`: whether W x and U h' have gradients of their own.
  Products(const longspan::Backward<T>& problem, int64_t output, const Rows& rows, int64_t first, int64_t last,
           const Plan& plan, bool apart = false)
      : p_(problem), apart_(apart), count_(rows.count(first, last)),
        keeps_(problem.grad_w_hh != nullptr && rows.count() <= kRowsKept * plan.slices &&
               Shape::gates * p_.hidden * (p_.input + output) >= kManyWeights),
        of_h(p_.hidden, (keeps_ ? count_ : std::max(kRowsAtOnce, last - first)) + 1),
        of_normalised_x(apart ? p_.hidden : 0, of_h.capacity()),
        h_before(p_.grad_w_hh == nullptr ? 0 : output, of_h.capacity()),
        x(p_.grad_w_hh == nullptr ? 0 : p_.input, of_h.capacity()), grad_x(p_.grad_x == nullptr ? 0 : of_h.capacity()),
        bias(p_.hidden), w_ih_(p_.hidden, keeps_ ? 0 : x.depth()), w_hh_(p_.hidden, keeps_ ? 0 : h_before.depth()) {}

  // The products of the rows so far. All members have to be there, and to stay until all are done.
  void finish(int64_t count, const InputWeights<T, Shape>& w_ih, Member& member) {
    member.meet();
    const int64_t blocks = of_h.blocks().count();
    for (int64_t block = member.begin(blocks); block < member.end(blocks); ++block) {
      if (p_.grad_w_hh != nullptr && !keeps_) {
        w_ih_.add(block, of_x(), x, count, !filled_);
        w_hh_.add(block, of_h, h_before, count, !filled_);
      }
      if (p_.grad_b_ih != nullptr && !apart_) bias.add(block, of_h, count);
    }
    if (p_.grad_x != nullptr) {
      send_to_x<w_ih.columns>(member.begin(count), member.end(count), w_ih.wide, 0, w_ih.split);
      send_to_x<1>(member.begin(count), member.end(count), w_ih.narrow, w_ih.split, p_.input);
    }
    member.meet();
    if (member.is_first()) filled_ = true;
  }

  using Parts = std::vector<const Products*>;

  // The gradients of all slices together, as torch has them. Compiled once for cells of one shape.
  static __attribute__((noinline)) void unpack(const Parts& parts) {
    const longspan::Backward<T>& p = parts.front()->p_;
    if (p.grad_w_hh != nullptr) {
      unpack_weights(parts, [](const Products& one) { return Of{one.w_ih_, one.of_x(), one.x}; }, p.grad_w_ih);
      unpack_weights(parts, [](const Products& one) { return Of{one.w_hh_, one.of_h, one.h_before}; }, p.grad_w_hh);
    }
    if (p.grad_b_ih != nullptr) unpack_bias<typename Shape::FromInput>(parts, p.grad_b_ih);
    if (p.grad_b_hh != nullptr) unpack_bias<typename Shape::FromHidden>(parts, p.grad_b_hh);
  }

 private:
  // What the gradient of some weights is made of.
  template <class Gradient>
  struct Of {
    const Gradient& gradient;
    const GateGradients<T, Shape>& grads;
    const Sources<T>& sources;
  };
  template <class Gradient>
  Of(const Gradient&, const GateGradients<T, Shape>&, const Sources<T>&) -> Of<Gradient>;

  const GateGradients<T, Shape>& of_x() const { return apart_ ? of_normalised_x : of_h; }

  // The gradients of the rows [first, last) and the columns [begin, end) of x.
  template <int Columns>
  void send_to_x(int64_t first, int64_t last, const Buffer<T>& weights, int64_t begin, int64_t end) {
    const int64_t width = end - begin;
    of_x().template multiply_rows<typename Shape::FromInput, Columns>(
        first, last, weights, width, 0, divide_up(width, Columns * kLanes<T>),
        [&](int64_t row, int64_t column, Vector<T> sums, int count, bool begun) {
          T* const to = grad_x[row] + begin + column;
          store(to, begun ? load(to, count) + sums : sums, count);
        });
  }

  template <class Get>
  static void unpack_weights(const Parts& parts, Get get, T* to) {
    using Gradient = std::decay_t<decltype(get(*parts.front()).gradient)>;
    const int threads = parts.front()->p_.threads;
    if (!parts.front()->keeps_) {
      std::vector<const Gradient*> gradients;
      for (const Products* part : parts) gradients.push_back(&get(*part).gradient);
      return Gradient::unpack(gradients, to, threads);
    }
    for_shares(parts.front()->of_h.blocks().count(), kManyWeights, threads, [&](int64_t block) {
      Gradient gradient(parts.front()->p_.hidden, get(*parts.front()).sources.depth(), block, block + 1);
      for (const Products* part : parts) {
        gradient.add(block, get(*part).grads, get(*part).sources, part->count_, part == parts.front());
      }
      Gradient::unpack({&gradient}, block, to);
    });
  }

  template <class Which>
  static void unpack_bias(const Parts& parts, T* to) {
    std::fill_n(to, Shape::gates * parts.front()->p_.hidden, T(0));
    for (const Products* part : parts) part->bias.template unpack<Which>(to);
  }

  const longspan::Backward<T>& p_;
  bool apart_;
  int64_t count_;  // rows of the slice
  bool keeps_;     // whether the weights' gradients are made at the end, from the rows of all slices
  bool filled_ = false;

 public:
  GateGradients<T, Shape> of_h;             // of U h', and of W x where these have the same
  GateGradients<T, Shape> of_normalised_x;  // of W x, where they have not
  Sources<T> h_before, x;
  Buffer<T*> grad_x;  // where the gradient of x goes, of each row of `of_h`
  BiasGradient<T, Shape> bias;

 private:
  WeightGradient<T, Shape, typename Shape::FromInput> w_ih_;
  WeightGradient<T, Shape, typename Shape::FromHidden> w_hh_;
};

}  // namespace LONGSPAN_ISA
