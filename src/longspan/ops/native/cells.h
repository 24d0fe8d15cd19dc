// The cells: which products they sum, and what they make of the sums. Equations: longspan/ops/reference.py.
#pragma once

#include "activations.h"
#include "problem.h"
#include "tile.h"

namespace LONGSPAN_ISA {

// Where the numbers of one row lie, from the unit that a block begins with.
template <class T>
struct RowOut {
  const T* c_before = nullptr;  // lstm alone
  const T* h_before = nullptr;
  T* h = nullptr;
  T* c = nullptr;               // lstm alone
  T* gates = nullptr;           // or null; the gates of a row lie H apart
};

// A cell makes its new state of the sums in two stages, each for all rows of a tile before the next: `activate` turns the
// sums of a vector of units into gates, `finish` the gates into c and h. A stage of one row is a long chain of
// operations that wait for each other; the rows do not, and so the processor has others to do meanwhile.

// Four vectors a row, which the backward pass needs.
template <class T>
void keep_gates(const Vector<T>* gates, T* to, int64_t hidden, int count) {
  for (int gate = 0; gate < 4; ++gate) store(to + gate * hidden, gates[gate], count);
}

struct Lstm {
  using Shape = Lstm;  // what other cells may share: how products are summed
  static constexpr longspan::Cell cell = longspan::Cell::lstm;
  static constexpr int gates = 4, sums = 4, units = 1;  // units: vectors of hidden units in a block
  static constexpr bool narrows = true;                 // whether the last block may have fewer
  using FromInput = To<0, 1, 2, 3>;
  using FromHidden = To<0, 1, 2, 3>;

  template <class T>
  static void activate(Vector<T>* sums) {
    sums[0] = sigmoid(sums[0]);
    sums[1] = sigmoid(sums[1]);
    sums[2] = hyperbolic_tangent(sums[2]);
    sums[3] = sigmoid(sums[3]);
  }

  template <class T>
  static Vector<T> new_cell_state(Vector<T> i, Vector<T> f, Vector<T> g, Vector<T> c_before) {
    return f * c_before + i * g;
  }

  template <class T>
  static void finish(const Vector<T>* gates, const RowOut<T>& row, int64_t hidden, int count) {
    const Vector<T> c = new_cell_state<T>(gates[0], gates[1], gates[2], load(row.c_before, count));
    store(row.c, c, count);
    store(row.h, gates[3] * hyperbolic_tangent(c), count);
    if (row.gates != nullptr) keep_gates<T>(gates, row.gates, hidden, count);
  }
};

struct Gru {
  using Shape = Gru;
  static constexpr longspan::Cell cell = longspan::Cell::gru;
  static constexpr int gates = 3, sums = 4, units = 1;  // r, z, and the two parts of n
  static constexpr bool narrows = false;                // a part that is not summed from x would be zero times x
  using FromInput = To<0, 1, 2>;
  using FromHidden = To<0, 1, 3>;

  template <class T>
  static void activate(Vector<T>* sums) {
    sums[0] = sigmoid(sums[0]);
    sums[1] = sigmoid(sums[1]);
    sums[2] = hyperbolic_tangent(sums[2] + sums[0] * sums[3]);
  }

  template <class T>
  static void finish(const Vector<T>* gates, const RowOut<T>& row, int64_t hidden, int count) {
    const Vector<T> z = gates[1], n = gates[2];
    store(row.h, n + z * (load(row.h_before, count) - n), count);
    if (row.gates != nullptr) keep_gates<T>(gates, row.gates, hidden, count);
  }
};

struct Rnn {
  using Shape = Rnn;
  static constexpr int gates = 1, sums = 1, units = 4;
  static constexpr bool narrows = true;
  using FromInput = To<0, 1, 2, 3>;
  using FromHidden = To<0, 1, 2, 3>;

  template <class T>
  static void finish(const Vector<T>* h, const RowOut<T>& row, int64_t, int count) {
    store(row.h, h[0], count);
  }
};

struct RnnTanh : Rnn {
  static constexpr longspan::Cell cell = longspan::Cell::rnn_tanh;

  template <class T>
  static void activate(Vector<T>* sums) {
    sums[0] = hyperbolic_tangent(sums[0]);
  }
};

struct RnnRelu : Rnn {
  static constexpr longspan::Cell cell = longspan::Cell::rnn_relu;

  template <class T>
  static void activate(Vector<T>* sums) {
    sums[0] = sums[0] < 0 ? Vector<T>{} : sums[0];
  }
};

}  // namespace LONGSPAN_ISA
