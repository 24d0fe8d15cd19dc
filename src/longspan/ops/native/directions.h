// The directions of a layer: side by side, each with its share of the threads, or one after the other.
#pragma once

#include <memory>

#include "team.h"

namespace LONGSPAN_ISA {

// Up to so many bytes of weights of each, two directions do not push each other out of the last cache.
inline constexpr int64_t kSideBySideBytes = 8 << 20;

// Call `work(directions, count)` for directions that run together. Side by side, a thread has more rows for each weight
// that it loads, no other to wait for, and a gradient of the weights to itself. An odd number of threads would leave one
// without work.
template <class T, class Problem, class Work>
void for_directions(const Problem* problems, int count, int64_t weights, Work work) {
  const bool together =
      problems->threads % count == 0 && weights * static_cast<int64_t>(sizeof(T)) <= kSideBySideBytes;
  if (together) return work(problems, count);
  for (int direction = 0; direction < count; ++direction) work(problems + direction, 1);
}

// Call `work(direction)` for each, in threads where there is one for each. Elsewhere there must be no parallel region
// around it, not even of one thread: within one, OpenMP starts new threads for the work at each call.
template <class Work>
void for_each_direction(int count, [[maybe_unused]] int threads, Work work) {
#ifdef _OPENMP
  if (count > 1 && threads == count) {
    Failure failure;
#pragma omp parallel for num_threads(count) schedule(static, 1)
    for (int direction = 0; direction < count; ++direction) failure.guard([&] { work(direction); });
    return failure.rethrow();
  }
#endif
  for (int direction = 0; direction < count; ++direction) work(direction);
}

template <class Direction>
using Directions = std::vector<std::unique_ptr<Direction>>;

// Make of each problem what its walk needs.
template <class Direction, class Problem>
Directions<Direction> make_directions(const Problem* problems, int count) {
  Directions<Direction> made(count);
  for_each_direction(count, problems->threads, [&](int direction) {
    made[direction] = std::make_unique<Direction>(problems[direction]);
  });
  return made;
}

// A slice of the batch in one of the directions.
struct DirectedSlice : Slice {
  int direction;
};

// The slices of all directions, each cut as `plan` says.
template <class Direction>
std::vector<DirectedSlice> cut(const Directions<Direction>& directions, Plan plan) {
  std::vector<DirectedSlice> slices;
  for (size_t direction = 0; direction < directions.size(); ++direction) {
    for (Slice& slice : cut(directions[direction]->rows, plan)) {
      slices.push_back({std::move(slice), static_cast<int>(direction)});
    }
  }
  return slices;
}

}  // namespace LONGSPAN_ISA
