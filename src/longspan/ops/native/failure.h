// What goes wrong in a thread, kept for the thread that has asked for the work: no exception may leave a parallel region.
#pragma once

#include <exception>
#include <mutex>

namespace LONGSPAN_ISA {

class Failure {
 public:
  // Do the work; return whether it came to its end.
  template <class Work>
  bool guard(Work work) noexcept {
    try {
      work();
      return true;
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!first_) first_ = std::current_exception();
      return false;
    }
  }

  // Throw what was thrown first, if anything was.
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr first_;
};

}  // namespace LONGSPAN_ISA
