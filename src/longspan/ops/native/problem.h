// What a kernel is asked for, in plain pointers; the same for every instruction set.
//
// Rows are packed: time-major, sequences by falling length. A walk takes step 0, 1, ... of every sequence; reversed, it
// takes the last step of each sequence first. At step s of the walk the first sizes[s] sequences are still running.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
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
  int64_t segment = 0;     // steps whose gates are computed again together; 0 where gates are kept or not needed
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
  T* h;                    // (R, H): the output, a row of which begins `h_stride` after the last one
  T* c;                    // (R, H) or null where nothing is learned
  T* gates;                // (R, K H) or null where nothing is learned
  T* h_last;               // (B, H)
  T* c_last;               // (B, H), lstm alone
  T* c_starts;             // (rows of the segments' first steps, H) or null: c before these steps, lstm alone
  int64_t h_stride;        // H, or 2 H where the directions of a layer lie side by side; variants have P
  int threads;
};

// The backward pass of a layer with all its products. Gradients that are null are not computed. Where a cell has gates
// and they were not kept, they are computed again, one segment of the walk after the other.
template <class T>
struct Backward {
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
  const T* h;              // (R, H), a row of which begins `h_stride` after the last one
  const T* c;              // (R, H), lstm alone, or null where there are no gates
  const T* c_starts;       // the other way round
  const T* gates;          // (R, K H) or null
  const T* grad_h;         // (R, H), with the same stride, or null where all are zero
  const T* grad_h_last;    // (B, H) or null, the same
  const T* grad_c_last;    // (B, H) or null, the same
  T* grad_x;               // (R, I) or null
  T* grad_h0;              // (B, H)
  T* grad_c0;              // (B, H), lstm alone
  T* grad_w_ih;            // (G H, I), or null with the next
  T* grad_w_hh;            // (G H, H)
  T* grad_b_ih;            // (G H), or null with the next
  T* grad_b_hh;            // (G H)
  int64_t h_stride;
  int threads;
};

// An LSTM with more to it than the plain cell; a part that is null it does not have. With G gate blocks, 4, or 3 where
// the gates are coupled, and P units of h: H, or fewer where the output is projected.
template <class T>
struct Variant {
  int gates;               // G
  int64_t output;          // P
  const T* w_hr;           // (P, H)
  const T* w_ch;           // ((G - 1) H)
  const T* ln_ih;          // (G H): gain of the normalised W x, or null with the next
  const T* ln_hh;          // (G H): of the normalised U h'
  const T* ln_c;           // (H)
  const T* bias_ln_c;      // (H), or null
  const T* mask;           // (B, P), on h'
  const uint8_t* zone_h;   // (R, P), whether the old state stays; rows in the order of the walk
  const uint8_t* zone_c;   // (R, H), the same
  T share_h, share_c;      // what stands for the masks of zoneout where they are null
};

template <class T>
bool zoned(const Variant<T>& variant) {
  return variant.zone_h != nullptr || variant.zone_c != nullptr || variant.share_h != 0 || variant.share_c != 0;
}

template <class T>
struct VariantForward {
  Forward<T> plain;        // h is (R, P), gates (R, G H)
  Variant<T> variant;
  T* normal;               // (R, 2, G H) normalised W x and U h', or null
  T* norms;                // (R, 4) by what they and c were normalised, or null
};

template <class T>
struct VariantBackward {
  Backward<T> plain;       // h, grad_h and grad_h0 are (R, P) and (B, P)
  Variant<T> variant;
  const T* normal;
  const T* norms;
  T* grad_output;          // (R, P): gradient of the projected output before zoneout; with a projection
  T* unprojected;          // (R, H): what was projected; with a projection
  T *grad_w_ch, *grad_ln_ih, *grad_ln_hh, *grad_ln_c, *grad_bias_ln_c;  // each null where it is not wanted
};

// Whole numbers as wide as a number, for the step in which something was.
template <class T>
struct Place {
  using Number = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
};

template <class T>
struct Pool {
  Walk walk;
  int64_t features;        // F
  const T* rows;           // (R, F)
  T* sum;                  // (B, F) or null
  T* largest;              // (B, F) or null
  typename Place<T>::Number* place;  // (B, F): step of the largest, or null
  int threads;
};

template <class T>
struct Unpool {
  Walk walk;
  int64_t features;        // F
  const T* grad_sum;       // (B, F) or null
  const T* grad_largest;   // (B, F) or null
  const typename Place<T>::Number* place;
  T* grad;                 // (R, F)
  int threads;
};

// Booleans, each of which is true if its 32 random bits are at most `last`.
struct Draw {
  uint64_t seed;
  uint32_t last;
  uint8_t* to;
  int64_t count;
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
  virtual T* h(int64_t layer) = 0;                         // (B, H)
  virtual T* c(int64_t layer) = 0;                         // (B, H), of use to lstm alone
};

// The kernels of one instruction set. Forward and backward take the directions of a layer, of one size, and their number.
struct Kernels {
  const char* name;
  void (*forward_float)(Cell, const Forward<float>*, int);
  void (*forward_double)(Cell, const Forward<double>*, int);
  void (*backward_float)(Cell, const Backward<float>*, int);
  void (*backward_double)(Cell, const Backward<double>*, int);
  void (*forward_variant_float)(const VariantForward<float>&);
  void (*forward_variant_double)(const VariantForward<double>&);
  void (*backward_variant_float)(const VariantBackward<float>&);
  void (*backward_variant_double)(const VariantBackward<double>&);
  void (*pool_float)(const Pool<float>&);
  void (*pool_double)(const Pool<double>&);
  void (*unpool_float)(const Unpool<float>&);
  void (*unpool_double)(const Unpool<double>&);
  void (*draw)(const Draw&);
  std::unique_ptr<Stepper<float>> (*stepper_float)(Cell, const std::vector<LayerWeights<float>>&, int64_t streams);
  std::unique_ptr<Stepper<double>> (*stepper_double)(Cell, const std::vector<LayerWeights<double>>&, int64_t streams);
};

}  // namespace longspan
