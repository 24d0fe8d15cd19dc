// Arrays that begin on a cache line, from memory that is kept between calls.
#pragma once

#include <cstdint>
#include <new>
#include <vector>

#include "memory.h"

namespace LONGSPAN_ISA {

// What std::vector takes its memory from. Elements are left as they are, not set to zero, unless a value is given.
//
// A type of each instruction set: the linker keeps one copy of a function of std::vector<int64_t>, whichever set it was
// compiled for.
template <class T>
struct Pooled {
  using value_type = T;

  Pooled() = default;
  template <class U>
  Pooled(const Pooled<U>&) {}

  T* allocate(size_t count) { return static_cast<T*>(longspan::take_memory(count * sizeof(T))); }
  void deallocate(T* block, size_t count) noexcept { longspan::give_memory(block, count * sizeof(T)); }

  template <class U>
  void construct(U* at) noexcept {
    ::new (static_cast<void*>(at)) U;
  }
  template <class U, class... Arguments>
  void construct(U* at, Arguments&&... arguments) {
    ::new (static_cast<void*>(at)) U(static_cast<Arguments&&>(arguments)...);
  }

  friend bool operator==(const Pooled&, const Pooled&) { return true; }
  friend bool operator!=(const Pooled&, const Pooled&) { return false; }
};

template <class T>
using Buffer = std::vector<T, Pooled<T>>;

}  // namespace LONGSPAN_ISA
