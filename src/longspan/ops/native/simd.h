// One vector register of an instruction set, as the compiler's own vector type, on which operators work lane by lane.
//
// Everything that is compiled once for each instruction set includes this file first and lives in the namespace
// LONGSPAN_ISA, so that the copies never meet in the linker.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace LONGSPAN_ISA {

template <class T>
struct Simd;

template <>
struct Simd<float> {
  typedef float Vector __attribute__((vector_size(LONGSPAN_VECTOR_BYTES)));
  typedef float Unaligned __attribute__((vector_size(LONGSPAN_VECTOR_BYTES), aligned(4), may_alias));
  typedef int32_t Integer __attribute__((vector_size(LONGSPAN_VECTOR_BYTES)));
  static constexpr int lanes = LONGSPAN_VECTOR_BYTES / 4;
};

template <>
struct Simd<double> {
  typedef double Vector __attribute__((vector_size(LONGSPAN_VECTOR_BYTES)));
  typedef double Unaligned __attribute__((vector_size(LONGSPAN_VECTOR_BYTES), aligned(8), may_alias));
  typedef int64_t Integer __attribute__((vector_size(LONGSPAN_VECTOR_BYTES)));
  static constexpr int lanes = LONGSPAN_VECTOR_BYTES / 8;
};

template <class T>
using Vector = typename Simd<T>::Vector;

template <class T>
inline constexpr int kLanes = Simd<T>::lanes;

template <class T>
inline Vector<T> broadcast(T value) {
  return value - Vector<T>{};
}

template <class T>
inline Vector<T> load(const T* from) {
  return *reinterpret_cast<const typename Simd<T>::Unaligned*>(from);
}

template <class T>
inline void store(T* to, Vector<T> values) {
  *reinterpret_cast<typename Simd<T>::Unaligned*>(to) = values;
}

// The first `count` lanes; the others are zero, and are not written.
template <class T>
inline Vector<T> load(const T* from, int count) {
  if (count == kLanes<T>) return load(from);
  Vector<T> values{};
  std::memcpy(&values, from, count * sizeof(T));
  return values;
}

template <class T>
inline void store(T* to, Vector<T> values, int count) {
  if (count == kLanes<T>) {
    store(to, values);
  } else {
    std::memcpy(to, &values, count * sizeof(T));
  }
}

inline Vector<float> reciprocal(Vector<float> x) {
#if LONGSPAN_VECTOR_BYTES == 64 && defined(__AVX512F__)
  Vector<float> guess = (Vector<float>)_mm512_maskz_rcp14_ps(0xFFFF, (__m512)x);
#elif LONGSPAN_VECTOR_BYTES == 32 && defined(__AVX2__)
  Vector<float> guess = (Vector<float>)_mm256_rcp_ps((__m256)x);
#else
  return 1.0f / x;
#endif
#if defined(__AVX2__)
  return guess + guess * (1.0f - x * guess);
#endif
}

inline Vector<double> reciprocal(Vector<double> x) { return 1.0 / x; }

}  // namespace LONGSPAN_ISA
