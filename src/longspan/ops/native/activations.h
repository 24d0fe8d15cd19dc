// exp, sigmoid and tanh of a vector, good to about 3 units in the last place; NaN in gives NaN out.
//
// exp is computed by range reduction, x = n log 2 + r with |r| <= log(2) / 2, and a polynomial in r. The coefficients
// for float, and those of tanh near zero, are those of Cephes (Moshier 1989); exp of a double is a Taylor polynomial
// of degree 13, whose remainder is below 5e-18.
#pragma once

#include "simd.h"

namespace LONGSPAN_ISA {

inline Vector<float> exponential(Vector<float> x) {
  using Integer = Simd<float>::Integer;
  const Vector<float> low = broadcast(-87.0f), high = broadcast(88.0f);
  x = x < low ? low : x;
  x = x > high ? high : x;
  const Vector<float> shift = broadcast(12582912.0f);  // 1.5 * 2^23: leaves a rounded integer in the low bits
  const Vector<float> shifted = x * 1.44269504088896341f + shift;
  const Vector<float> n = shifted - shift;
  Vector<float> r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  Vector<float> p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + (r + 1.0f);
  const Integer exponent = ((Integer)shifted - 0x4B400000 + 127) << 23;
  return p * (Vector<float>)exponent;
}

inline Vector<double> exponential(Vector<double> x) {
  using Integer = Simd<double>::Integer;
  const Vector<double> low = broadcast(-708.0), high = broadcast(709.0);
  x = x < low ? low : x;
  x = x > high ? high : x;
  const Vector<double> shift = broadcast(6755399441055744.0);  // 1.5 * 2^52
  const Vector<double> shifted = x * 1.4426950408889634074 + shift;
  const Vector<double> n = shifted - shift;
  Vector<double> r = x - n * 6.93145751953125e-1;
  r = r - n * 1.42860682030941723212e-6;
  Vector<double> p = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * (r * r) + (r + 1.0);
  const Integer exponent = ((Integer)shifted - 0x4338000000000000 + 1023) << 52;
  return p * (Vector<double>)exponent;
}

inline Vector<float> tanh_near_zero(Vector<float> x) {
  const Vector<float> z = x * x;
  Vector<float> p = z * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * z + -5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z + -3.33332819422e-1f;
  return p * (z * x) + x;
}

inline Vector<double> tanh_near_zero(Vector<double> x) {
  const Vector<double> z = x * x;
  Vector<double> p = z * -9.64399179425052238628e-1 + -9.92877231001918586564e1;
  p = p * z + -1.61468768441708447952e3;
  Vector<double> q = z + 1.12811678491632931402e2;
  q = q * z + 2.23548839060100448583e3;
  q = q * z + 4.84406305325125486048e3;
  return (p / q) * (z * x) + x;
}

template <class V>
inline V sigmoid(V x) {
  return reciprocal(exponential(-x) + 1);
}

template <class V>
inline V hyperbolic_tangent(V x) {
  const V size = x < 0 ? -x : x;
  const V far = 1 - 2 * reciprocal(exponential(2 * size) + 1);
  const V signed_far = x < 0 ? -far : far;
  return size < (V{} + 0.625f) ? tanh_near_zero(x) : signed_far;  // a NaN fails the test and is in `far`
}

}  // namespace LONGSPAN_ISA
