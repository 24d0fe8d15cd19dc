// Threads: slices of the batch that each run alone, and teams that share the hidden units of one slice.
#pragma once

#include <atomic>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <thread>

#include "tile.h"
#include "walk.h"

namespace LONGSPAN_ISA {

// Threads that compute one slice together, each its share of the units, and wait for each other at every step.
class Team {
 public:
  explicit Team(int members) : places_(members) {}

  int members() const { return static_cast<int>(places_.size()); }

  // Return when every member has come here as often as this one.
  void meet(int member) {
    if (places_.size() == 1) return;
    const uint32_t mine = places_[member].visits.load(std::memory_order_relaxed) + 1;
    places_[member].visits.store(mine, std::memory_order_release);
    for (const Place& other : places_) {
      // A member that has lost its core needs this one: after a while let others run.
      for (int spins = 0; static_cast<int32_t>(other.visits.load(std::memory_order_acquire) - mine) < 0; ++spins) {
        if (spins < kSpins) {
          pause();
        } else if (other.left.load(std::memory_order_acquire)) {
          throw std::runtime_error("a thread of the team has left");
        } else {
          std::this_thread::yield();
        }
      }
    }
  }

  // A member will not come any more: those that wait for it throw.
  void leave(int member) { places_[member].left.store(true, std::memory_order_release); }

 private:
  static constexpr int kSpins = 1000;

  struct alignas(64) Place {
    std::atomic<uint32_t> visits{0};
    std::atomic<bool> left{false};
  };

  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb");
#endif
  }

  std::vector<Place> places_;
};

// One thread of a team.
class Member {
 public:
  Member(Team& team, int number) : team_(team), number_(number) {}

  void meet() { team_.meet(number_); }
  bool is_first() const { return number_ == 0; }

  // The part of `count` things that is this member's.
  int64_t begin(int64_t count) const { return count * number_ / team_.members(); }
  int64_t end(int64_t count) const { return count * (number_ + 1) / team_.members(); }

 private:
  Team& team_;
  int number_;
};

// Nanoseconds in which two threads meet, measured once: 50 or 120 from one processor to another, and far more where the
// two have one core.
inline double meeting_time() {
  using Clock = std::chrono::steady_clock;
  constexpr int kTimes = 5, kMeetings = 100;
  static const double time = [] {
    double best = std::numeric_limits<double>::infinity();
#ifdef _OPENMP
    for (int measured = 0; measured < kTimes; ++measured) {
      Team team(2);
#pragma omp parallel num_threads(2)
      if (omp_get_num_threads() == 2) {
        const int member = omp_get_thread_num();
        team.meet(member);
        const auto begin = Clock::now();
        for (int meeting = 0; meeting < kMeetings; ++meeting) team.meet(member);
        const std::chrono::duration<double, std::nano> taken = Clock::now() - begin;
        if (member == 0) best = std::min(best, taken.count() / kMeetings);
      }
    }
#endif
    return best;
  }();
  return time;
}

// How many slices the batch is cut into, and how many threads share each.
struct Plan {
  int slices, members;
};

// A thread does well with a slice of its own where so many rows use each weight that it loads: from its second cache, and
// from beyond it.
inline constexpr int64_t kRowsNear = 2, kRowsFar = 24;
// A team waits for its slowest member at every step: below this many multiplications a step its threads are quicker
// apart; where there are fewer sequences than threads and the others would idle, below this many.
inline constexpr int64_t kStepWorthwhile = 1 << 16, kStepOfFewWorthwhile = 3 << 12;
// And where a step of one sequence takes fewer bytes of weights than this for each nanosecond of a meeting. How its units
// are shared changes no bit, so that it may hang on a measurement; with more sequences the slices would change too.
inline constexpr double kBytesOfMeeting = 800;

// `divisible`: into how many shares the units can be cut; `per_row`: multiplications of a row and step.
template <class T>
Plan plan(int64_t batch, int64_t divisible, int64_t per_row, int threads) {
  const int64_t wanted = per_row * static_cast<int64_t>(sizeof(T)) <= kCachedBytes ? kRowsNear : kRowsFar;
  const int64_t worthwhile = batch < threads ? kStepOfFewWorthwhile : kStepWorthwhile;
  int64_t members = 1;
  if (batch < wanted * threads && batch * per_row >= worthwhile &&
      (batch > 1 || threads == 1 || divisible == 1 || per_row * sizeof(T) >= kBytesOfMeeting * meeting_time())) {
    members = std::min(divisible, threads / std::max<int64_t>(1, batch / wanted));
  }
  return {static_cast<int>(std::max<int64_t>(1, std::min(threads / members, batch))), static_cast<int>(members)};
}

// A slice of the batch, and the threads that compute it.
struct Slice {
  Team team;
  int64_t first, last;
};

inline std::vector<Slice> cut(const Rows& rows, Plan plan) {
  const auto cuts = rows.slices(plan.slices);
  std::vector<Slice> slices;
  for (size_t part = 0; part + 1 < cuts.size(); ++part) {
    slices.push_back({Team(plan.members), cuts[part], cuts[part + 1]});
  }
  return slices;
}

// Call `work(slice, member)` in a thread for each member of each slice.
template <class Teams, class Work>
void for_teams(Teams& teams, Work work) {
  const int slices = static_cast<int>(teams.size()), members = teams.front().team.members();
#ifdef _OPENMP
  const int threads = slices * members;
  bool refused = false;
  Failure failure;
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    if (omp_get_num_threads() == threads) {
      const int number = omp_get_thread_num() % members;
      auto& slice = teams[omp_get_thread_num() / members];
      if (!failure.guard([&] { work(slice, Member(slice.team, number)); })) slice.team.leave(number);
    } else if (omp_get_thread_num() == 0) {
      refused = true;
    }
  }
  if (!refused) return failure.rethrow();
#endif
  for (auto& slice : teams) {
    Team alone(1);
    work(slice, Member(alone, 0));
  }
}

}  // namespace LONGSPAN_ISA
