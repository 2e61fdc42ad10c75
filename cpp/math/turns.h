// Sines and cosines of angles in turns, over a vector type V: 2 pi radians are a turn.
#pragma once
#include "math/activations.h"

namespace fastreg::math {

// sin and cos of f quarter turns, for |f| <= 1/2, by their Taylor series. Absolute error below 2e-7.
template <class V>
FASTREG_INLINE void within_quarter(V f, V* sine, V* cosine) {
  const V square = f * f;
  *sine = f * polynomial(square, 1.57079633f, -0.645964098f, 0.0796926262f, -0.00468175413f, 0.000160441185f);
  *cosine =
      polynomial(square, 1.0f, -1.23370055f, 0.253669508f, -0.0208634807f, 0.000919260274f, -0.0000252020424f);
}

// sin(2 pi t) and cos(2 pi t) for any t: the whole turns are exact to take away, so that the absolute error is that of
// within_quarter. NaN where t is NaN or infinite.
template <class V>
FASTREG_INLINE void sine_and_cosine_of_turns(V t, V* sine, V* cosine) {
  const V quarters = V(4.0f) * (t - round(t)), n = round(quarters), size = abs(n);   // n is in [-2, 2]
  V s, c;
  within_quarter(quarters - n, &s, &c);
  const auto odd = size == V(1.0f), half = size == V(2.0f);
  const V across = select(odd, s, c), up = select(odd, c, s);
  *cosine = select((n == V(1.0f)) | half, V(0.0f) - across, across);
  *sine = select((n == V(-1.0f)) | half, V(0.0f) - up, up);
}

}  // namespace fastreg::math
