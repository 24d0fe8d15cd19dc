// Random booleans. Each is a hash of its place and the seed, so that threads draw theirs apart.
#pragma once

#include <algorithm>

#include "problem.h"

namespace LONGSPAN_ISA {

// SplitMix64 (Steele, Lea and Flood 2014).
inline uint64_t mixed(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// The last step of MurmurHash3 (Appleby), which changes every bit of the result with every bit of x.
inline uint32_t mixed(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
  x = (x ^ (x >> 13)) * 0xC2B2AE35u;
  return x ^ (x >> 16);
}

inline void draw(const longspan::Draw& draw) {
  constexpr int64_t block = 1 << 12;
#ifdef _OPENMP
#pragma omp parallel for num_threads(draw.threads) schedule(static) if (draw.threads > 1 && draw.count > 8 * block)
#endif
  for (int64_t first = 0; first < draw.count; first += block) {
    const uint64_t seed = mixed(draw.seed + static_cast<uint64_t>(first));
    const uint32_t low = static_cast<uint32_t>(seed), high = static_cast<uint32_t>(seed >> 32);
    const uint32_t count = static_cast<uint32_t>(std::min(block, draw.count - first)), last = draw.last;
    uint8_t* const to = draw.to + first;
    for (uint32_t n = 0; n < count; ++n) to[n] = mixed(mixed(n + low) ^ high) <= last;
  }
}

}  // namespace LONGSPAN_ISA
