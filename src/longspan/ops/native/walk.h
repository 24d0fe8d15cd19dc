// Rows of a walk, and the slices of the batch that threads walk alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "buffer.h"
#include "failure.h"
#include "problem.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace LONGSPAN_ISA {

class Rows {
 public:
  explicit Rows(const longspan::Walk& walk) : walk_(walk), offsets_(walk.steps + 1, 0), lengths_(walk.batch, 0) {
    for (int64_t step = 0; step < walk.steps; ++step) {
      offsets_[step + 1] = offsets_[step] + walk.sizes[step];
      std::fill(lengths_.begin(), lengths_.begin() + walk.sizes[step], step + 1);
      if (starts_segment(step)) starts_.push_back(starts_.back() + walk.sizes[step]);
    }
  }

  // The row of a sequence at a step of the walk.
  int64_t operator()(int64_t step, int64_t sequence) const {
    return offsets_[walk_.reverse ? lengths_[sequence] - 1 - step : step] + sequence;
  }

  // The same, counted in the order in which the walk goes.
  int64_t walked(int64_t step, int64_t sequence) const { return offsets_[step] + sequence; }

  // Whether a segment other than the first begins with a step, and the row that the state before it is kept in.
  bool starts_segment(int64_t step) const { return walk_.segment > 0 && step > 0 && step % walk_.segment == 0; }
  int64_t start(int64_t step, int64_t sequence) const { return starts_[step / walk_.segment - 1] + sequence; }

  int64_t count() const { return offsets_.back(); }

  // How many rows the sequences [first, last) have.
  int64_t count(int64_t first, int64_t last) const {
    return std::accumulate(lengths_.begin() + first, lengths_.begin() + last, int64_t{0});
  }

  int64_t length(int64_t sequence) const { return lengths_[sequence]; }

  // How many of the sequences [first, last) are running at a step.
  int64_t running(int64_t step, int64_t first, int64_t last) const {
    return std::max<int64_t>(0, std::min(walk_.sizes[step], last) - first);
  }

  // Cut the batch into `parts` runs of sequences with about as many steps each: part p is [cut[p], cut[p + 1]).
  Buffer<int64_t> slices(int64_t parts) const {
    Buffer<int64_t> cuts{0};
    const int64_t total = count();
    int64_t steps = 0;
    for (int64_t sequence = 0; sequence < walk_.batch; ++sequence) {
      if (steps * parts >= total * static_cast<int64_t>(cuts.size())) cuts.push_back(sequence);
      steps += lengths_[sequence];
    }
    cuts.push_back(walk_.batch);
    return cuts;
  }

 private:
  longspan::Walk walk_;
  Buffer<int64_t> offsets_;
  Buffer<int64_t> lengths_;
  Buffer<int64_t> starts_{0};
};

// Call `work(first, last)` for slices of the batch, each in a thread.
template <class Work>
void for_slices(const Rows& rows, int64_t batch, int threads, Work work) {
  const Buffer<int64_t> cuts = rows.slices(std::max<int64_t>(1, std::min<int64_t>(threads, batch)));
  const int parts = static_cast<int>(cuts.size()) - 1;
  Failure failure;
#ifdef _OPENMP
#pragma omp parallel for num_threads(parts) schedule(static, 1) if (parts > 1)
#endif
  for (int part = 0; part < parts; ++part) failure.guard([&] { work(cuts[part], cuts[part + 1]); });
  failure.rethrow();
}

}  // namespace LONGSPAN_ISA
