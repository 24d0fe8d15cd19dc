// What a kernel is asked for, in plain pointers; the same for every instruction set.
//
// Rows are packed: time-major, sequences by falling length. A walk takes step 0, 1, ... of every sequence; reversed, it
// takes the last step of each sequence first. At step s of the walk the first sizes[s] sequences are still running.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace longspan {

enum class Cell { lstm, gru, rnn_tanh, rnn_relu };

// Numbers kept of each row and unit for the backward pass, beside the output: lstm i, f, g, o; gru r, z, n, and the
// recurrent part of n; rnn nothing.
inline constexpr int kept_gates(Cell cell) { return cell == Cell::lstm || cell == Cell::gru ? 4 : 0; }
inline constexpr int weight_gates(Cell cell) { return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1; }

struct Walk {
  int64_t steps;           // T
  int64_t batch;           // B
  const int64_t* sizes;    // (T)
  bool reverse;
};

template <class T>
struct Forward {
  Walk walk;
  int64_t input;           // I
  int64_t hidden;          // H
  const T* x;              // (R, I)
  const T* h0;             // (B, H)
  const T* c0;             // (B, H), lstm alone
  const T* w_ih;           // (G H, I)
  const T* w_hh;           // (G H, H)
  const T* b_ih;           // (G H) or null
  const T* b_hh;           // (G H) or null
  T* h;                    // (R, H): the output
  T* c;                    // (R, H) or null where nothing is learned
  T* gates;                // (R, K H) or null where nothing is learned
  T* h_last;               // (B, H)
  T* c_last;               // (B, H), lstm alone
  int threads;
};

template <class T>
struct Backward {
  Walk walk;
  int64_t hidden;
  const T* h0;
  const T* c0;
  const T* w_hh;
  const T* h;              // (R, H)
  const T* c;              // (R, H), lstm alone
  const T* gates;          // (R, K H)
  const T* grad_h;         // (R, H)
  const T* grad_h_last;    // (B, H) or null
  const T* grad_c_last;    // (B, H) or null
  T* grad_gates;           // (R, G H): gradient of W_ih x + b_ih
  T* grad_recurrent;       // (R, G H): gradient of W_hh h' + b_hh; gru alone, the others have one for both
  T* h_before;             // (R, H): h' of each row
  T* grad_h0;              // (B, H)
  T* grad_c0;              // (B, H), lstm alone
  int threads;
};

// The backward pass of a plain layer with all its products. Gradients that are null are not computed.
template <class T>
struct LayerBackward {
  Walk walk;
  int64_t input;           // I
  int64_t hidden;          // H
  const T* x;              // (R, I)
  const T* h0;             // (B, H)
  const T* c0;             // (B, H), lstm alone
  const T* w_ih;           // (G H, I)
  const T* w_hh;           // (G H, H)
  const T* h;              // (R, H)
  const T* c;              // (R, H), lstm alone
  const T* gates;          // (R, K H)
  const T* grad_h;         // (R, H) or null where all are zero
  const T* grad_h_last;    // (B, H) or null, the same
  const T* grad_c_last;    // (B, H) or null, the same
  T* grad_x;               // (R, I) or null
  T* grad_h0;              // (B, H)
  T* grad_c0;              // (B, H), lstm alone
  T* grad_w_ih;            // (G H, I), or null with the next
  T* grad_w_hh;            // (G H, H)
  T* grad_b_ih;            // (G H), or null with the next
  T* grad_b_hh;            // (G H)
  int threads;
};

template <class T>
struct LayerWeights {
  int64_t input, hidden;
  const T *w_ih, *w_hh, *b_ih, *b_hh;
};

// A stack of layers that is fed one step at a time.
template <class T>
class Stepper {
 public:
  virtual ~Stepper() = default;
  virtual void step(const T* x, T* h, int64_t count) = 0;  // (B, I) to (B, H), count = B H
  virtual std::vector<T>& h(int64_t layer) = 0;            // (B, H)
  virtual std::vector<T>& c(int64_t layer) = 0;            // (B, H), of use to lstm alone
};

// The kernels of one instruction set.
struct Kernels {
  const char* name;
  void (*forward_float)(Cell, const Forward<float>&);
  void (*forward_double)(Cell, const Forward<double>&);
  void (*backward_float)(Cell, const LayerBackward<float>&);
  void (*backward_double)(Cell, const LayerBackward<double>&);
  std::unique_ptr<Stepper<float>> (*stepper_float)(Cell, const std::vector<LayerWeights<float>>&, int64_t streams);
  std::unique_ptr<Stepper<double>> (*stepper_double)(Cell, const std::vector<LayerWeights<double>>&, int64_t streams);
};

}  // namespace longspan
