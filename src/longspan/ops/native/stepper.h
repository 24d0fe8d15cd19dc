// Step by step: the layers of a stack, packed once, and the state of B streams between calls.
//
// A step runs the same tiles as a whole sequence, so that it gives the same bits.
#pragma once

#include <memory>

#include "forward.h"

namespace LONGSPAN_ISA {

template <class T, class Cell>
class Layer {
 public:
  Layer(const longspan::LayerWeights<T>& w, int64_t streams)
      : input_(w.input), hidden_(w.hidden), streams_(streams),
        weights_(w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.input, w.hidden),
        h_(streams * w.hidden, T(0)), next_(h_), last_(h_), c_(h_) {}

  // Advance by x (B, I); returns h (B, H), which stays until the next step.
  const T* step(const T* x) {
    const int64_t sizes[1] = {streams_};
    const longspan::Forward<T> problem{{1, streams_, sizes, false}, input_, hidden_, x, h_.data(), c_.data(),
                                       nullptr, nullptr, nullptr, nullptr, next_.data(), nullptr, nullptr,
                                       last_.data(), c_.data(), nullptr, hidden_, 1};
    const Rows rows(problem.walk);
    Slice slice{Team(1), 0, streams_};
    ForwardWalk<T, Cell, Exact<T>>(problem, rows, weights_, slice, Member(slice.team, 0)).walk();
    std::swap(h_, next_);
    return h_.data();
  }

  T* h() { return h_.data(); }
  T* c() { return c_.data(); }

 private:
  int64_t input_, hidden_, streams_;
  PackedWeights<T, Cell> weights_;
  Buffer<T> h_, next_, last_, c_;
};

template <class T, class Cell>
class Stack final : public longspan::Stepper<T> {
 public:
  Stack(const std::vector<longspan::LayerWeights<T>>& weights, int64_t streams) {
    for (const auto& of_layer : weights) layers_.emplace_back(of_layer, streams);
  }

  void step(const T* x, T* h, int64_t count) override {
    for (auto& layer : layers_) x = layer.step(x);
    std::copy_n(x, count, h);
  }

  T* h(int64_t layer) override { return layers_.at(layer).h(); }
  T* c(int64_t layer) override { return layers_.at(layer).c(); }

 private:
  std::vector<Layer<T, Cell>> layers_;
};

}  // namespace LONGSPAN_ISA
