// The cells: which products they sum, and what they make of the sums. Equations: longspan/ops/reference.py.
#pragma once

#include "activations.h"
#include "problem.h"
#include "tile.h"

namespace LONGSPAN_ISA {

// Where the numbers of one row lie, from the unit that a block begins with.
template <class T>
struct RowOut {
  const T* c_before;  // lstm alone
  const T* h_before;
  T* h;
  T* c;               // lstm alone
  T* gates;           // or null; the gates of a row lie H apart
};

struct Lstm {
  static constexpr longspan::Cell cell = longspan::Cell::lstm;
  static constexpr int gates = 4, sums = 4, units = 1;  // units: vectors of hidden units in a block
  using FromInput = To<0, 1, 2, 3>;
  using FromHidden = To<0, 1, 2, 3>;

  template <class T>
  static void finish(const Vector<T>* sums, const RowOut<T>& row, int64_t hidden, int count) {
    const Vector<T> i = sigmoid(sums[0]), f = sigmoid(sums[1]), g = hyperbolic_tangent(sums[2]), o = sigmoid(sums[3]);
    const Vector<T> c = f * load(row.c_before, count) + i * g;
    store(row.h, o * hyperbolic_tangent(c), count);
    store(row.c, c, count);
    if (row.gates != nullptr) {
      store(row.gates, i, count);
      store(row.gates + hidden, f, count);
      store(row.gates + 2 * hidden, g, count);
      store(row.gates + 3 * hidden, o, count);
    }
  }
};

struct Gru {
  static constexpr longspan::Cell cell = longspan::Cell::gru;
  static constexpr int gates = 3, sums = 4, units = 1;  // r, z, and the two parts of n
  using FromInput = To<0, 1, 2>;
  using FromHidden = To<0, 1, 3>;

  template <class T>
  static void finish(const Vector<T>* sums, const RowOut<T>& row, int64_t hidden, int count) {
    const Vector<T> r = sigmoid(sums[0]), z = sigmoid(sums[1]);
    const Vector<T> n = hyperbolic_tangent(sums[2] + r * sums[3]);
    store(row.h, n + z * (load(row.h_before, count) - n), count);
    if (row.gates != nullptr) {
      store(row.gates, r, count);
      store(row.gates + hidden, z, count);
      store(row.gates + 2 * hidden, n, count);
      store(row.gates + 3 * hidden, sums[3], count);
    }
  }
};

struct RnnTanh {
  static constexpr longspan::Cell cell = longspan::Cell::rnn_tanh;
  static constexpr int gates = 1, sums = 1, units = 4;
  using FromInput = To<0, 1, 2, 3>;
  using FromHidden = To<0, 1, 2, 3>;

  template <class T>
  static void finish(const Vector<T>* sums, const RowOut<T>& row, int64_t, int count) {
    store(row.h, hyperbolic_tangent(sums[0]), count);
  }
};

struct RnnRelu {
  static constexpr longspan::Cell cell = longspan::Cell::rnn_relu;
  static constexpr int gates = 1, sums = 1, units = 4;
  using FromInput = To<0, 1, 2, 3>;
  using FromHidden = To<0, 1, 2, 3>;

  template <class T>
  static void finish(const Vector<T>* sums, const RowOut<T>& row, int64_t, int count) {
    store(row.h, sums[0] < 0 ? Vector<T>{} : sums[0], count);
  }
};

}  // namespace LONGSPAN_ISA
