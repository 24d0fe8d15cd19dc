// Sums and largest numbers over the steps of each sequence.
#pragma once

#include <limits>

#include "walk.h"

namespace LONGSPAN_ISA {

// Below so many numbers one thread is quicker.
inline constexpr int64_t kPoolWorthThreads = 1 << 16;

// Sums in pairs of steps, of pairs, and so on from the first step: as exact as they come, and the same in any batch.
template <class T>
class PairwiseSum {
 public:
  void add(Vector<T> value) {
    int level = 0;
    for (; count_ >> level & 1; ++level) value = sums_[level] + value;
    sums_[level] = value;
    ++count_;
  }

  Vector<T> total() const {
    int level = __builtin_ctzll(count_);
    Vector<T> total = sums_[level];
    for (++level; count_ >> level; ++level) {
      if (count_ >> level & 1) total = sums_[level] + total;
    }
    return total;
  }

 private:
  uint64_t count_ = 0;
  Vector<T> sums_[64];  // of 2^level steps
};

template <class T>
void pool_sequence(const longspan::Pool<T>& p, const Rows& rows, int64_t sequence) {
  using Integer = typename Simd<T>::Integer;
  const int64_t length = rows.length(sequence);
  for (int64_t unit = 0; unit < p.features; unit += kLanes<T>) {
    const int count = static_cast<int>(std::min<int64_t>(kLanes<T>, p.features - unit));
    PairwiseSum<T> sum;
    Vector<T> largest = broadcast(-std::numeric_limits<T>::infinity());
    Integer place{};
    for (int64_t step = 0; step < length; ++step) {
      const Vector<T> value = load(p.rows + rows(step, sequence) * p.features + unit, count);
      if (p.sum != nullptr) sum.add(value);
      if (p.largest == nullptr) continue;
      const auto replaced = value > largest || value != value;  // a NaN is the largest
      largest = replaced ? value : largest;
      place = replaced ? static_cast<typename longspan::Place<T>::Number>(step) + Integer{} : place;
    }
    const int64_t at = sequence * p.features + unit;
    if (p.sum != nullptr) store(p.sum + at, sum.total(), count);
    if (p.largest == nullptr) continue;
    store(p.largest + at, largest, count);
    std::memcpy(p.place + at, &place, count * sizeof(*p.place));
  }
}

template <class T>
void pool(const longspan::Pool<T>& p) {
  const Rows rows(p.walk);
  for_slices(rows, p.walk.batch, rows.count() * p.features < kPoolWorthThreads ? 1 : p.threads,
             [&](int64_t first, int64_t last) {
               for (int64_t sequence = first; sequence < last; ++sequence) pool_sequence(p, rows, sequence);
             });
}

template <class T>
void unpool_row(const longspan::Unpool<T>& p, const Rows& rows, int64_t step, int64_t sequence) {
  using Number = typename longspan::Place<T>::Number;
  T* const to = p.grad + rows(step, sequence) * p.features;
  for_units<T>(0, p.features, [&](int64_t unit, int count) {
    const int64_t from = sequence * p.features + unit;
    Vector<T> grad = p.grad_sum == nullptr ? Vector<T>{} : load(p.grad_sum + from, count);
    if (p.grad_largest != nullptr) {
      typename Simd<T>::Integer place{};
      std::memcpy(&place, p.place + from, count * sizeof(Number));
      grad += place == static_cast<Number>(step) ? load(p.grad_largest + from, count) : Vector<T>{};
    }
    store(to + unit, grad, count);
  });
}

// The gradient of the rows: that of the sum, and that of the largest number where it came from.
template <class T>
void unpool(const longspan::Unpool<T>& p) {
  const Rows rows(p.walk);
  const int threads = rows.count() * p.features < kPoolWorthThreads ? 1 : p.threads;
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
#endif
  for (int64_t step = 0; step < p.walk.steps; ++step) {
    for (int64_t sequence = 0; sequence < p.walk.sizes[step]; ++sequence) unpool_row(p, rows, step, sequence);
  }
}

}  // namespace LONGSPAN_ISA
