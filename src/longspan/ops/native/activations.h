// sigmoid and tanh of a vector, good to 3 units in the last place; NaN in gives NaN out.
//
// Both come from e^x = 2^n (1 + q), with x = n log 2 + r and |r| <= log(2) / 2, and q = e^r - 1 a polynomial in r: the
// minimax polynomial of (e^r - 1 - r) / r^2 for the relative error of q, 1.3e-8 in float and 1.8e-17 in double. As q is
// right relative to itself, so is tanh near zero: tanh(x) = m / (m + 2) with m = e^(2 x) - 1 = 2^n q + (2^n - 1).
#pragma once

#include "simd.h"

namespace LONGSPAN_ISA {

template <class T>
struct Exponential {
  Vector<T> fraction;  // q
  Vector<T> scale;     // 2^n
};

// For |x| <= 87.
inline Exponential<float> exponential(Vector<float> x) {
  using Integer = Simd<float>::Integer;
  const Vector<float> shift = broadcast(12582912.0f);  // 1.5 * 2^23: leaves a rounded integer in the low bits
  const Vector<float> shifted = x * 1.44269504088896341f + shift;
  const Vector<float> n = shifted - shift;
  Vector<float> r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  Vector<float> p = r * 1.388251199387014e-3f + 8.366547524929047e-3f;
  p = p * r + 4.166720062494278e-2f;
  p = p * r + 0.1666654348373413f;
  p = p * r + 0.4999999701976776f;
  return {p * (r * r) + r, (Vector<float>)(((Integer)shifted - 0x4B400000 + 127) << 23)};
}

// For |x| <= 708.
inline Exponential<double> exponential(Vector<double> x) {
  using Integer = Simd<double>::Integer;
  const Vector<double> shift = broadcast(6755399441055744.0);  // 1.5 * 2^52
  const Vector<double> shifted = x * 1.4426950408889634074 + shift;
  const Vector<double> n = shifted - shift;
  Vector<double> r = x - n * 6.93145751953125e-1;
  r = r - n * 1.42860682030941723212e-6;
  Vector<double> p = r * 2.5053764054249778e-08 + 2.7626092917170977e-07;
  p = p * r + 2.755740772399586e-06;
  p = p * r + 2.4801505142576014e-05;
  p = p * r + 1.984126971866837e-04;
  p = p * r + 1.3888888931667062e-03;
  p = p * r + 8.333333333389752e-03;
  p = p * r + 4.1666666666576466e-02;
  p = p * r + 1.6666666666666588e-01;
  p = p * r + 5.000000000000006e-01;
  return {p * (r * r) + r, (Vector<double>)(((Integer)shifted - 0x4338000000000000LL + 1023) << 52)};
}

inline constexpr float farthest(float) { return 87.0f; }
inline constexpr double farthest(double) { return 708.0; }
inline constexpr float saturated(float) { return 18.5f; }  // from where on (m / (m + 2)) is one
inline constexpr double saturated(double) { return 38.5; }

template <class T>
inline Vector<T> sigmoid_of(Vector<T> x) {
  const auto [fraction, scale] = exponential(clamped<T>(-x, farthest(T{})));
  return quotient(broadcast(T(1)), scale * fraction + (scale + 1));
}

template <class T>
inline Vector<T> tanh_of(Vector<T> x) {
  const auto [fraction, scale] = exponential(clamped<T>(2 * x, saturated(T{})));
  const Vector<T> m = scale * fraction + (scale - 1);
  return quotient(m, m + 2);
}

inline Vector<float> sigmoid(Vector<float> x) { return sigmoid_of<float>(x); }
inline Vector<double> sigmoid(Vector<double> x) { return sigmoid_of<double>(x); }
inline Vector<float> hyperbolic_tangent(Vector<float> x) { return tanh_of<float>(x); }
inline Vector<double> hyperbolic_tangent(Vector<double> x) { return tanh_of<double>(x); }

}  // namespace LONGSPAN_ISA
