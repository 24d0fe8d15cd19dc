// Memory for numbers that the kernels make for themselves: on the boundaries of cache lines, and kept for the next call.
//
// Fresh memory costs more than it seems: the system clears it page by page when it is first written. Freed blocks are
// kept up to a bound and given out again.
#pragma once

#include <cstddef>

namespace longspan {

// At least `bytes`, from a multiple of 64 on; the contents are whatever was there.
void* take_memory(size_t bytes);
void give_memory(void* block, size_t bytes) noexcept;

// Ask the system for large pages where fresh memory is large: far fewer faults when it is first written.
void expect_large(void* memory, size_t bytes) noexcept;

}  // namespace longspan
