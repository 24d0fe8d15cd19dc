#include "memory.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <mutex>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace longspan {
namespace {

constexpr size_t kLine = 64;
constexpr size_t kPage = size_t{64} << 10;  // a multiple of every machine's
constexpr size_t kLargePage = size_t{2} << 20;
#if defined(LONGSPAN_SANITIZED)
// No byte more than was asked for, nothing kept, and full of NaN: so that reading too far or too early is noticed.
constexpr bool kSanitized = true;
constexpr size_t kMost = 0;
#else
constexpr bool kSanitized = false;
constexpr size_t kMost = size_t{512} << 20;  // of all blocks that are kept
#endif
constexpr size_t kBlocks = 32;

// Sizes are rounded so that a later call of nearly the same size finds a block: eight sizes for each power of two.
size_t rounded(size_t bytes) {
  if (kSanitized) return std::max<size_t>(1, bytes);
  size_t step = kLine;
  while (step * 16 <= bytes) step *= 2;
  return std::max(kLine, (bytes + step - 1) / step * step);
}

struct Kept {
  void* block;
  size_t bytes;
};

struct Pool {
  std::mutex mutex;
  std::vector<Kept> blocks;  // the one that was given back last is last
  size_t bytes = 0;
};

// Never destroyed: other threads may give memory back while the process ends.
Pool& pool() {
  static Pool* const only = new Pool;
  return *only;
}

// Let the system take pages of a large block while it lies idle, should memory run short.
void lend(void* block, size_t bytes) noexcept {
#if defined(__linux__) && defined(MADV_FREE)
  if (bytes < 16 * kLargePage) return;
  const uintptr_t first = (reinterpret_cast<uintptr_t>(block) + kPage - 1) / kPage * kPage;
  const uintptr_t last = (reinterpret_cast<uintptr_t>(block) + bytes) / kPage * kPage;
  madvise(reinterpret_cast<void*>(first), last - first, MADV_FREE);
#else
  (void)block;
  (void)bytes;
#endif
}

void release(void* block) { ::operator delete(block, std::align_val_t{kLine}); }

}  // namespace

void* take_memory(size_t bytes) {
  const size_t size = rounded(bytes);
  {
    // A lock that another thread held when the process was forked is never opened in the child: do not wait for it.
    const std::unique_lock<std::mutex> lock(pool().mutex, std::try_to_lock);
    if (lock.owns_lock()) {
      std::vector<Kept>& blocks = pool().blocks;
      for (auto kept = blocks.rbegin(); kept != blocks.rend(); ++kept) {
        if (kept->bytes != size) continue;
        void* const block = kept->block;
        pool().bytes -= size;
        blocks.erase(std::next(kept).base());
        return block;
      }
    }
  }
  void* const block = ::operator new(size, std::align_val_t{kLine});
  if (kSanitized) std::memset(block, 0xFF, size);
  expect_large(block, size);
  return block;
}

void give_memory(void* block, size_t bytes) noexcept {
  const size_t size = rounded(bytes);
  lend(block, size);
  if (size <= kMost) {
    const std::unique_lock<std::mutex> lock(pool().mutex, std::try_to_lock);
    if (lock.owns_lock()) {
      std::vector<Kept>& blocks = pool().blocks;
      if (blocks.capacity() == 0) blocks.reserve(kBlocks + 1);
      blocks.push_back({block, size});
      pool().bytes += size;
      block = nullptr;
      while (pool().bytes > kMost || blocks.size() > kBlocks) {
        pool().bytes -= blocks.front().bytes;
        release(blocks.front().block);
        blocks.erase(blocks.begin());
      }
    }
  }
  if (block != nullptr) release(block);
}

void expect_large(void* memory, size_t bytes) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  const uintptr_t first = (reinterpret_cast<uintptr_t>(memory) + kLargePage - 1) / kLargePage * kLargePage;
  const uintptr_t last = (reinterpret_cast<uintptr_t>(memory) + bytes) / kLargePage * kLargePage;
  if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
  (void)memory;
  (void)bytes;
#endif
}

}  // namespace longspan
