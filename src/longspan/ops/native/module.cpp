// The Python module: kernels over the memory of tensors, given as addresses by longspan/ops/_native.py, which has
// checked types, shapes and strides. The interpreter is let go while a kernel runs.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "memory.h"
#include "problem.h"

namespace nb = nanobind;

#if defined(LONGSPAN_X86)
namespace avx512 {
extern const longspan::Kernels kernels;
}
namespace avx2 {
extern const longspan::Kernels kernels;
}
#endif
namespace portable {
extern const longspan::Kernels kernels;
}
#if defined(LONGSPAN_BFLOAT16)
namespace avx512_bf16 {
void forward_rounded(longspan::Cell cell, const longspan::Forward<float>* directions, int count);
}
#endif

namespace {

using longspan::Kernels;

// The instruction sets of this machine, the fastest first.
std::vector<const Kernels*> usable() {
  std::vector<const Kernels*> found;
#if defined(LONGSPAN_X86)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw")) {
    found.push_back(&avx512::kernels);
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&avx2::kernels);
#endif
  found.push_back(&portable::kernels);
  return found;
}

// Whether the processor multiplies in bfloat16.
bool has_bfloat16() {
#if defined(LONGSPAN_BFLOAT16)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

std::atomic<const Kernels*> chosen{nullptr};

void choose(const std::string& name) {
  std::string known;
  for (const Kernels* kernels : usable()) {
    if (name == kernels->name) {
      chosen = kernels;
      return;
    }
    known += std::string(known.empty() ? "" : ", ") + kernels->name;
  }
  throw std::invalid_argument("this machine has no instruction set '" + name + "'; it has " + known + ".");
}

// OpenMP's threads do not survive a fork, and a child that waits for them waits for ever: it computes alone.
const pid_t born_in = getpid();
int usable_threads(int threads) { return getpid() == born_in ? threads : 1; }

template <class T>
T* at(uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

// Ask for large pages for what a forward pass fills.
template <class T>
void expect_large(longspan::Cell cell, const longspan::Forward<T>& problem) {
  const longspan::Walk& walk = problem.walk;
  const int64_t rows = std::accumulate(walk.sizes, walk.sizes + walk.steps, int64_t{0});
  const int64_t units = rows * problem.hidden;
  longspan::expect_large(problem.h, (rows * problem.h_stride - problem.h_stride + problem.hidden) * sizeof(T));
  if (problem.c != nullptr) longspan::expect_large(problem.c, units * sizeof(T));
  if (problem.gates != nullptr) longspan::expect_large(problem.gates, units * longspan::kept_gates(cell) * sizeof(T));
}

// A walk; its batch sizes say how much memory is read and written.
longspan::Walk walk_of(int64_t steps, int64_t batch, uintptr_t sizes, bool reverse, int64_t segment = 0) {
  if (steps < 1 || batch < 1) throw std::invalid_argument("there are no steps, or no sequences.");
  const longspan::Walk walk{steps, batch, at<const int64_t>(sizes), reverse, segment};
  if (walk.sizes[0] != batch) {
    throw std::invalid_argument("batch_sizes begins with " + std::to_string(walk.sizes[0]) +
                                " sequences, but the initial state has " + std::to_string(batch) + ".");
  }
  return walk;
}

// A layer: one direction or two of one size, of which the second goes the other way, and the tensors of each, in the
// order of the fields of the problem.
template <class T>
void forward(int cell, int64_t steps, int64_t batch, uintptr_t sizes, bool reverse, int64_t segment, int64_t input,
             int64_t hidden, const std::vector<std::array<uintptr_t, 13>>& directions, [[maybe_unused]] bool rounded,
             int threads) {
  const auto which = static_cast<longspan::Cell>(cell);
  const int count = static_cast<int>(directions.size());
  std::vector<longspan::Forward<T>> problems;
  for (const auto& [x, h0, c0, w_ih, w_hh, b_ih, b_hh, h, c, gates, h_last, c_last, c_starts] : directions) {
    problems.push_back({walk_of(steps, batch, sizes, reverse != !problems.empty(), segment), input, hidden,
                        at<const T>(x), at<const T>(h0), at<const T>(c0), at<const T>(w_ih), at<const T>(w_hh),
                        at<const T>(b_ih), at<const T>(b_hh), at<T>(h), at<T>(c), at<T>(gates), at<T>(h_last),
                        at<T>(c_last), at<T>(c_starts), count * hidden, usable_threads(threads)});
    expect_large(which, problems.back());
  }
  if constexpr (sizeof(T) == 4) {
#if defined(LONGSPAN_BFLOAT16)
    if (rounded && has_bfloat16()) return avx512_bf16::forward_rounded(which, problems.data(), count);
#endif
    chosen.load()->forward_float(which, problems.data(), count);
  } else {
    chosen.load()->forward_double(which, problems.data(), count);
  }
}

template <class T>
void backward(int cell, int64_t steps, int64_t batch, uintptr_t sizes, bool reverse, int64_t segment, int64_t input,
              int64_t hidden, const std::vector<std::array<uintptr_t, 21>>& directions, int threads) {
  const auto which = static_cast<longspan::Cell>(cell);
  const int count = static_cast<int>(directions.size());
  std::vector<longspan::Backward<T>> problems;
  for (const auto& [x, h0, c0, w_ih, w_hh, b_ih, b_hh, h, c, c_starts, gates, grad_h, grad_h_last, grad_c_last, grad_x,
                    grad_h0, grad_c0, grad_w_ih, grad_w_hh, grad_b_ih, grad_b_hh] : directions) {
    problems.push_back({walk_of(steps, batch, sizes, reverse != !problems.empty(), segment), input, hidden,
                        at<const T>(x), at<const T>(h0), at<const T>(c0), at<const T>(w_ih), at<const T>(w_hh),
                        at<const T>(b_ih), at<const T>(b_hh), at<const T>(h), at<const T>(c), at<const T>(c_starts),
                        at<const T>(gates), at<const T>(grad_h), at<const T>(grad_h_last), at<const T>(grad_c_last),
                        at<T>(grad_x), at<T>(grad_h0), at<T>(grad_c0), at<T>(grad_w_ih), at<T>(grad_w_hh),
                        at<T>(grad_b_ih), at<T>(grad_b_hh), count * hidden, usable_threads(threads)});
  }
  if constexpr (sizeof(T) == 4) {
    chosen.load()->backward_float(which, problems.data(), count);
  } else {
    chosen.load()->backward_double(which, problems.data(), count);
  }
}

using Places = std::array<uintptr_t, 9>;

template <class T>
longspan::Variant<T> variant_of(int gates, int64_t output, const Places& parts, double share_h, double share_c) {
  const auto& [w_hr, w_ch, ln_ih, ln_hh, ln_c, bias_ln_c, mask, zone_h, zone_c] = parts;
  return {gates, output, at<const T>(w_hr), at<const T>(w_ch), at<const T>(ln_ih), at<const T>(ln_hh),
          at<const T>(ln_c), at<const T>(bias_ln_c), at<const T>(mask), at<const uint8_t>(zone_h),
          at<const uint8_t>(zone_c), static_cast<T>(share_h), static_cast<T>(share_c)};
}

template <class T>
void forward_variant(int gates, int64_t output, const Places& parts, double share_h, double share_c, int64_t steps,
                     int64_t batch, uintptr_t sizes, bool reverse, int64_t input, int64_t hidden,
                     const std::array<uintptr_t, 7>& given, const std::array<uintptr_t, 7>& room, int threads) {
  const auto& [x, h0, c0, w_ih, w_hh, b_ih, b_hh] = given;
  const auto& [h, h_last, c_last, c, kept, normal, norms] = room;
  const longspan::VariantForward<T> problem{
      {walk_of(steps, batch, sizes, reverse), input, hidden, at<const T>(x), at<const T>(h0),
       at<const T>(c0), at<const T>(w_ih), at<const T>(w_hh), at<const T>(b_ih), at<const T>(b_hh), at<T>(h), at<T>(c),
       at<T>(kept), at<T>(h_last), at<T>(c_last), nullptr, output, usable_threads(threads)},
      variant_of<T>(gates, output, parts, share_h, share_c), at<T>(normal), at<T>(norms)};
  if constexpr (sizeof(T) == 4) {
    chosen.load()->forward_variant_float(problem);
  } else {
    chosen.load()->forward_variant_double(problem);
  }
}

template <class T>
void backward_variant(int gates, int64_t output, const Places& parts, double share_h, double share_c, int64_t steps,
                      int64_t batch, uintptr_t sizes, bool reverse, int64_t input, int64_t hidden,
                      const std::array<uintptr_t, 13>& given, const std::array<uintptr_t, 13>& room, int threads) {
  const auto& [x, h0, c0, w_ih, w_hh, h, c, kept, normal, norms, grad_h, grad_h_last, grad_c_last] = given;
  const auto& [grad_x, grad_h0, grad_c0, grad_w_ih, grad_w_hh, grad_bias, grad_w_ch, grad_ln_ih, grad_ln_hh, grad_ln_c,
               grad_bias_ln_c, grad_output, unprojected] = room;
  const longspan::VariantBackward<T> problem{
      {walk_of(steps, batch, sizes, reverse), input, hidden, at<const T>(x), at<const T>(h0),
       at<const T>(c0), at<const T>(w_ih), at<const T>(w_hh), nullptr, nullptr, at<const T>(h), at<const T>(c), nullptr, at<const T>(kept),
       at<const T>(grad_h), at<const T>(grad_h_last), at<const T>(grad_c_last), at<T>(grad_x), at<T>(grad_h0),
       at<T>(grad_c0), at<T>(grad_w_ih), at<T>(grad_w_hh), at<T>(grad_bias), nullptr, output, usable_threads(threads)},
      variant_of<T>(gates, output, parts, share_h, share_c), at<const T>(normal), at<const T>(norms),
      at<T>(grad_output), at<T>(unprojected), at<T>(grad_w_ch), at<T>(grad_ln_ih), at<T>(grad_ln_hh), at<T>(grad_ln_c),
      at<T>(grad_bias_ln_c)};
  if constexpr (sizeof(T) == 4) {
    chosen.load()->backward_variant_float(problem);
  } else {
    chosen.load()->backward_variant_double(problem);
  }
}

template <class T>
void pool(int64_t steps, int64_t batch, uintptr_t sizes, int64_t features, uintptr_t rows, uintptr_t sum,
          uintptr_t largest, uintptr_t place, int threads) {
  const longspan::Pool<T> problem{{steps, batch, at<const int64_t>(sizes), false}, features, at<const T>(rows),
                                  at<T>(sum), at<T>(largest), at<typename longspan::Place<T>::Number>(place),
                                  usable_threads(threads)};
  if constexpr (sizeof(T) == 4) {
    chosen.load()->pool_float(problem);
  } else {
    chosen.load()->pool_double(problem);
  }
}

template <class T>
void unpool(int64_t steps, int64_t batch, uintptr_t sizes, int64_t features, uintptr_t grad_sum,
            uintptr_t grad_largest, uintptr_t place, uintptr_t grad, int threads) {
  const longspan::Unpool<T> problem{{steps, batch, at<const int64_t>(sizes), false}, features, at<const T>(grad_sum),
                                    at<const T>(grad_largest), at<const typename longspan::Place<T>::Number>(place),
                                    at<T>(grad), usable_threads(threads)};
  if constexpr (sizeof(T) == 4) {
    chosen.load()->unpool_float(problem);
  } else {
    chosen.load()->unpool_double(problem);
  }
}

void draw(uint64_t seed, uint32_t last, uintptr_t to, int64_t count, int threads) {
  chosen.load()->draw({seed, last, at<uint8_t>(to), count, usable_threads(threads)});
}

// A tensor (rows, columns) in memory that is kept for the next one when this one is gone.
template <class T>
nb::ndarray<nb::pytorch, T, nb::ndim<2>, nb::c_contig, nb::device::cpu> room(size_t rows, size_t columns) {
  struct Block {
    void* memory;
    size_t bytes;
    ~Block() { longspan::give_memory(memory, bytes); }
  };
  const size_t bytes = rows * columns * sizeof(T);
  auto* const block = new Block{longspan::take_memory(bytes), bytes};
  const nb::capsule owner(block, [](void* gone) noexcept { delete static_cast<Block*>(gone); });
  return {block->memory, {rows, columns}, owner};
}

// A `longspan::Stepper` as Python sees it; arrays are checked by nanobind for type, shape and contiguity.
template <class T>
class PyStepper {
 public:
  using Input = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
  using Output = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

  PyStepper(int cell, const std::vector<std::array<int64_t, 6>>& layers, int64_t streams)
      : input_(layers.front()[0]), hidden_(layers.back()[1]), streams_(streams) {
    std::vector<longspan::LayerWeights<T>> weights;
    for (const auto& [input, hidden, w_ih, w_hh, b_ih, b_hh] : layers) {
      weights.push_back({input, hidden, at<const T>(w_ih), at<const T>(w_hh), at<const T>(b_ih), at<const T>(b_hh)});
    }
    const auto which = static_cast<longspan::Cell>(cell);
    if constexpr (sizeof(T) == 4) {
      stepper_ = chosen.load()->stepper_float(which, weights, streams);
    } else {
      stepper_ = chosen.load()->stepper_double(which, weights, streams);
    }
  }

  void step(const Input& x, const Output& h) {
    if (static_cast<int64_t>(x.shape(0)) != streams_ || static_cast<int64_t>(x.shape(1)) != input_ ||
        static_cast<int64_t>(h.shape(0)) != streams_ || static_cast<int64_t>(h.shape(1)) != hidden_) {
      throw std::invalid_argument("x or h has another shape than the stepper was made for.");
    }
    stepper_->step(x.data(), h.data(), streams_ * hidden_);
  }

  void read_state(int64_t layer, const Output& h, const Output& c) const {
    std::copy_n(stepper_->h(layer), h.size(), h.data());
    std::copy_n(stepper_->c(layer), c.size(), c.data());
  }

  void write_state(int64_t layer, const Input& h, const Input& c) {
    std::copy_n(h.data(), h.size(), stepper_->h(layer));
    std::copy_n(c.data(), c.size(), stepper_->c(layer));
  }

 private:
  int64_t input_, hidden_, streams_;
  std::unique_ptr<longspan::Stepper<T>> stepper_;
};

template <class T>
void define_stepper(nb::module_& m, const char* name) {
  nb::class_<PyStepper<T>>(m, name)
      .def(nb::init<int, const std::vector<std::array<int64_t, 6>>&, int64_t>())
      .def("step", &PyStepper<T>::step)
      .def("read_state", &PyStepper<T>::read_state)
      .def("write_state", &PyStepper<T>::write_state);
}

}  // namespace

NB_MODULE(_kernels_native, m) {
  choose(usable().front()->name);
  m.def("instruction_sets", [] {
    std::vector<std::string> names;
    for (const Kernels* kernels : usable()) names.emplace_back(kernels->name);
    return names;
  });
  m.def("instruction_set", [] { return std::string(chosen.load()->name); });
  m.def("use", &choose);
  m.def("has_bfloat16", &has_bfloat16);
  m.def("forward_float", &forward<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("forward_double", &forward<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("backward_float", &backward<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("backward_double", &backward<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("forward_variant_float", &forward_variant<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("forward_variant_double", &forward_variant<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("backward_variant_float", &backward_variant<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("backward_variant_double", &backward_variant<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("pool_float", &pool<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("pool_double", &pool<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("unpool_float", &unpool<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("unpool_double", &unpool<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("draw", &draw, nb::call_guard<nb::gil_scoped_release>());
  m.def("room_float", &room<float>);
  m.def("room_double", &room<double>);
  define_stepper<float>(m, "StepperFloat");
  define_stepper<double>(m, "StepperDouble");
}
