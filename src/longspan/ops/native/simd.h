// One vector register of an instruction set, as the compiler's own vector type, on which operators work lane by lane.
//
// Everything that is compiled once for each instruction set includes this file first and lives in the namespace
// LONGSPAN_ISA, so that the copies never meet in the linker.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

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

// The first `count` lanes; the others are zero, and are not read or written.
#if LONGSPAN_VECTOR_BYTES == 64 && defined(__AVX512F__)
inline Vector<float> load_first(const float* from, int count) {
  return (Vector<float>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
}
inline Vector<double> load_first(const double* from, int count) {
  return (Vector<double>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1), from);
}
inline void store_first(float* to, Vector<float> values, int count) {
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), (__m512)values);
}
inline void store_first(double* to, Vector<double> values, int count) {
  _mm512_mask_storeu_pd(to, static_cast<__mmask8>((1u << count) - 1), (__m512d)values);
}
#elif LONGSPAN_VECTOR_BYTES == 32 && defined(__AVX2__)
alignas(32) inline constexpr int32_t kFirst[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

inline __m256i first_of(int words) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kFirst + 8 - words));
}
inline Vector<float> load_first(const float* from, int count) {
  return (Vector<float>)_mm256_maskload_ps(from, first_of(count));
}
inline Vector<double> load_first(const double* from, int count) {
  return (Vector<double>)_mm256_maskload_pd(from, first_of(2 * count));
}
inline void store_first(float* to, Vector<float> values, int count) {
  _mm256_maskstore_ps(to, first_of(count), (__m256)values);
}
inline void store_first(double* to, Vector<double> values, int count) {
  _mm256_maskstore_pd(to, first_of(2 * count), (__m256d)values);
}
#else
template <class T>
inline Vector<T> load_first(const T* from, int count) {
  Vector<T> values{};
  std::memcpy(&values, from, count * sizeof(T));
  return values;
}

template <class T>
inline void store_first(T* to, Vector<T> values, int count) {
  std::memcpy(to, &values, count * sizeof(T));
}
#endif

template <class T>
inline Vector<T> load(const T* from, int count) {
  return count == kLanes<T> ? load(from) : load_first(from, count);
}

template <class T>
inline void store(T* to, Vector<T> values, int count) {
  if (count == kLanes<T>) {
    store(to, values);
  } else {
    store_first(to, values, count);
  }
}

template <class T, int... Lane>
inline Vector<T> first_lanes(Vector<T> values, int count, std::integer_sequence<int, Lane...>) {
  return typename Simd<T>::Integer{Lane...} < count ? values : Vector<T>{};
}

// `values` in the first `count` lanes, zero in the others.
template <class T>
inline Vector<T> first_lanes(Vector<T> values, int count) {
  return first_lanes<T>(values, count, std::make_integer_sequence<int, kLanes<T>>{});
}

// `count` bytes that are 0 or 1, as numbers.
template <class T>
inline Vector<T> load_flags(const uint8_t* from, int count) {
  constexpr int lanes = kLanes<T>;
  alignas(16) uint8_t flags[16]{};
  if (count == lanes) {
    std::memcpy(flags, from, lanes);
  } else {
    std::memcpy(flags, from, count);
  }
#if LONGSPAN_VECTOR_BYTES == 64 && defined(__AVX512F__)
  const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(flags));
  if constexpr (lanes == 16) {
    return (Vector<T>)_mm512_maskz_cvtepi32_ps(0xFFFF, _mm512_maskz_cvtepu8_epi32(0xFFFF, bytes));
  } else {
    return (Vector<T>)_mm512_maskz_cvtepi32_pd(0xFF, _mm256_cvtepu8_epi32(bytes));
  }
#elif LONGSPAN_VECTOR_BYTES == 32 && defined(__AVX2__)
  const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(flags));
  if constexpr (lanes == 8) {
    return (Vector<T>)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
  } else {
    return (Vector<T>)_mm256_cvtepi32_pd(_mm_cvtepu8_epi32(bytes));
  }
#else
  Vector<T> values;
  for (int lane = 0; lane < lanes; ++lane) values[lane] = flags[lane];
  return values;
#endif
}

// `values`, and to each lane what is in the lane whose number differs in the bit `Bit`.
template <class T, int Bit, int... Lane>
inline Vector<T> with_neighbours(Vector<T> values, std::integer_sequence<int, Lane...>) {
#if defined(__GNUC__) && !defined(__clang__)
  return values + __builtin_shuffle(values, typename Simd<T>::Integer{(Lane ^ Bit)...});
#else
  return values + __builtin_shufflevector(values, values, (Lane ^ Bit)...);
#endif
}

// The sum of the lanes, in pairs.
template <class T, int Half = kLanes<T> / 2>
inline T total(Vector<T> values) {
  values = with_neighbours<T, Half>(values, std::make_integer_sequence<int, kLanes<T>>{});
  if constexpr (Half == 1) return values[0];
  else return total<T, Half / 2>(values);
}

// x held between -bound and bound; a NaN stays one.
template <class T>
inline Vector<T> clamped(Vector<T> x, T bound) {
  const Vector<T> low = broadcast(-bound), high = broadcast(bound);
#if LONGSPAN_VECTOR_BYTES == 64 && defined(__AVX512F__)
  // These give their second operand where one is a NaN.
  if constexpr (sizeof(T) == 4) {
    return (Vector<T>)_mm512_maskz_min_ps(0xFFFF, (__m512)high, _mm512_maskz_max_ps(0xFFFF, (__m512)low, (__m512)x));
  } else {
    return (Vector<T>)_mm512_maskz_min_pd(0xFF, (__m512d)high, _mm512_maskz_max_pd(0xFF, (__m512d)low, (__m512d)x));
  }
#elif LONGSPAN_VECTOR_BYTES == 32 && defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return (Vector<T>)_mm256_min_ps((__m256)high, _mm256_max_ps((__m256)low, (__m256)x));
  } else {
    return (Vector<T>)_mm256_min_pd((__m256d)high, _mm256_max_pd((__m256d)low, (__m256d)x));
  }
#else
  x = x < low ? low : x;
  return x > high ? high : x;
#endif
}

inline Vector<float> quotient(Vector<float> a, Vector<float> b) {
#if LONGSPAN_VECTOR_BYTES == 64 && defined(__AVX512F__)
  // A guess of 1 / b good to 2^-14, and what is left of a after the guess.
  const Vector<float> inverse = (Vector<float>)_mm512_maskz_rcp14_ps(0xFFFF, (__m512)b);
  const Vector<float> guess = a * inverse;
  return guess + inverse * (a - guess * b);
#else
  return a / b;
#endif
}

inline Vector<double> quotient(Vector<double> a, Vector<double> b) { return a / b; }

// Turn a square of numbers, one vector a row, on its diagonal.
template <class T>
inline void transpose(Vector<T>* rows) {
  constexpr int lanes = kLanes<T>;
#if defined(__GNUC__) && !defined(__clang__)
  using Integer = typename Simd<T>::Integer;
#pragma GCC unroll 8
  for (int half = lanes / 2; half > 0; half /= 2) {
    Integer low, high;
    for (int lane = 0; lane < lanes; ++lane) {
      low[lane] = lane & half ? lanes + lane - half : lane;
      high[lane] = lane & half ? lanes + lane : lane + half;
    }
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) {
      if (i & half) continue;
      const Vector<T> a = rows[i], b = rows[i + half];
      rows[i] = __builtin_shuffle(a, b, low);
      rows[i + half] = __builtin_shuffle(a, b, high);
    }
  }
#else
  Vector<T> turned[lanes];
  for (int i = 0; i < lanes; ++i) {
    for (int lane = 0; lane < lanes; ++lane) turned[lane][i] = rows[i][lane];
  }
  for (int i = 0; i < lanes; ++i) rows[i] = turned[i];
#endif
}

}  // namespace LONGSPAN_ISA
