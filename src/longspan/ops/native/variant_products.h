// The products of a variant's backward pass: gate gradients with the weights, and with what the weights saw.
#pragma once

#include "backward.h"
#include "variant.h"

namespace LONGSPAN_ISA {

// The weights by which gate gradients are multiplied, and those of the projection.
template <class T, class Cell>
struct VariantBackwardWeights {
  explicit VariantBackwardWeights(const longspan::VariantBackward<T>& problem)
      : w_hh(pack_columns<T, Cell, kAcross>(problem.plain.w_hh, problem.plain.hidden, problem.variant.output)),
        w_ih(problem.plain.grad_x == nullptr
                 ? Buffer<T>{}
                 : pack_columns<T, Cell, 1>(problem.plain.w_ih, problem.plain.hidden, problem.plain.input)),
        w_hr(problem.variant.w_hr == nullptr
                 ? Buffer<T>{}
                 : pack_backward<T, kVectorsOfAShare>(problem.variant.w_hr, problem.plain.hidden, problem.variant.output)) {}

  static constexpr int kAcross = kVectorsOfAShare;  // vectors of a tile of the gradient of h'
  Buffer<T> w_hh, w_ih, w_hr;
};

// Gate gradients of some hundred rows of a slice, and the gradients of the weights that are summed up from them.
template <class T, class Cell>
class VariantProducts {
 public:
  VariantProducts(const longspan::VariantBackward<T>& problem, const VariantBackwardWeights<T, Cell>& weights,
                  int64_t rows)
      : p_(problem.plain), weights_(weights), normalised_(problem.variant.ln_hh != nullptr),
        of_h(p_.hidden, std::max(kRowsAtOnce, rows) + 1), of_normalised_x(normalised_ ? p_.hidden : 0, of_h.capacity()),
        h_before(problem.variant.output, of_h.capacity()), x(p_.input, of_h.capacity()),
        grad_x(p_.grad_x == nullptr ? 0 : of_h.capacity()), w_ih(p_.hidden, x.depth()),
        w_hh(p_.hidden, h_before.depth()), bias(p_.hidden) {}

  // The products of the rows so far. All members have to be there, and to stay until all are done.
  void finish(int64_t count, Member& member) {
    member.meet();
    const int64_t blocks = of_h.blocks();
    for (int64_t block = member.begin(blocks); block < member.end(blocks); ++block) {
      w_ih.add(block, of_x(), x, count);
      w_hh.add(block, of_h, h_before, count);
      if (!normalised_) bias.add(block, of_h, count);
    }
    if (p_.grad_x != nullptr) {
      of_x().template multiply_to<typename Cell::FromInput>(grad_x.data(), weights_.w_ih, p_.input,
                                                            member.begin(count), member.end(count));
    }
    member.meet();
  }

  // The gradients of all slices together, as torch has them.
  template <class Slices>
  static void unpack(const Slices& slices) {
    const longspan::Backward<T>& p = slices.front().products.p_;
    std::vector<const decltype(w_ih)*> of_w_ih;
    std::vector<const decltype(w_hh)*> of_w_hh;
    for (const auto& slice : slices) {
      of_w_ih.push_back(&slice.products.w_ih);
      of_w_hh.push_back(&slice.products.w_hh);
    }
    decltype(w_ih)::unpack(of_w_ih, p.grad_w_ih, p.threads);
    decltype(w_hh)::unpack(of_w_hh, p.grad_w_hh, p.threads);
    if (p.grad_b_ih == nullptr) return;
    std::fill_n(p.grad_b_ih, Cell::gates * p.hidden, T(0));
    for (const auto& slice : slices) slice.products.bias.template unpack<typename Cell::FromInput>(p.grad_b_ih);
  }

 private:
  const longspan::Backward<T>& p_;
  const VariantBackwardWeights<T, Cell>& weights_;
  bool normalised_;

  const GateGradients<T, Cell>& of_x() const { return normalised_ ? of_normalised_x : of_h; }

 public:
  GateGradients<T, Cell> of_h;             // of U h', and of W x where these are not normalised
  GateGradients<T, Cell> of_normalised_x;  // of W x, where they are
  Sources<T> h_before, x;
  Buffer<T*> grad_x;  // where the gradient of x goes, of each row of `of_h`
  WeightGradient<T, Cell, typename Cell::FromInput> w_ih;
  WeightGradient<T, Cell, typename Cell::FromHidden> w_hh;
  BiasGradient<T, Cell> bias;
};

}  // namespace LONGSPAN_ISA
