// Compiled once for each instruction set; the build names it LONGSPAN_ISA, with the width of its vectors.
#include "backward.h"
#include "flags.h"
#include "pool.h"
#include "stepper.h"
#include "variant_backward.h"

namespace LONGSPAN_ISA {

using longspan::Forward;
using longspan::Backward;

template <class T>
void run_forward(longspan::Cell cell, const Forward<T>* directions, int count) {
  switch (cell) {
    case longspan::Cell::lstm: return forward<T, Lstm>(directions, count);
    case longspan::Cell::gru: return forward<T, Gru>(directions, count);
    case longspan::Cell::rnn_tanh: return forward<T, RnnTanh>(directions, count);
    case longspan::Cell::rnn_relu: return forward<T, RnnRelu>(directions, count);
  }
}

template <class T>
void run_backward(longspan::Cell cell, const Backward<T>* directions, int count) {
  switch (cell) {
    case longspan::Cell::lstm: return backward<T, Lstm>(directions, count);
    case longspan::Cell::gru: return backward<T, Gru>(directions, count);
    case longspan::Cell::rnn_tanh: return backward<T, RnnTanh>(directions, count);
    case longspan::Cell::rnn_relu: return backward<T, RnnRelu>(directions, count);
  }
}

template <class T>
std::unique_ptr<longspan::Stepper<T>> make_stepper(longspan::Cell cell,
                                                   const std::vector<longspan::LayerWeights<T>>& layers,
                                                   int64_t streams) {
  switch (cell) {
    case longspan::Cell::lstm: return std::make_unique<Stack<T, Lstm>>(layers, streams);
    case longspan::Cell::gru: return std::make_unique<Stack<T, Gru>>(layers, streams);
    case longspan::Cell::rnn_tanh: return std::make_unique<Stack<T, RnnTanh>>(layers, streams);
    case longspan::Cell::rnn_relu: return std::make_unique<Stack<T, RnnRelu>>(layers, streams);
  }
  return nullptr;
}

#define LONGSPAN_TEXT_OF(name) #name
#define LONGSPAN_TEXT(name) LONGSPAN_TEXT_OF(name)

extern const longspan::Kernels kernels;
const longspan::Kernels kernels = {LONGSPAN_TEXT(LONGSPAN_ISA), run_forward<float>, run_forward<double>,
                                   run_backward<float>, run_backward<double>,
                                   forward_variant<float>, forward_variant<double>,
                                   backward_variant<float>, backward_variant<double>,
                                   pool<float>, pool<double>, unpool<float>, unpool<double>,
                                   draw, make_stepper<float>, make_stepper<double>};

}  // namespace LONGSPAN_ISA
