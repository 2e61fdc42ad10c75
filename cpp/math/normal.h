// Standard normal numbers from uniform ones (Box and Muller 1958), over a vector type V.
#pragma once
#include "math/activations.h"

namespace fastreg::math {

// sin(2 pi u) and cos(2 pi u) for u in [0, 1], absolute error below 2e-7: the Taylor series within an eighth of a turn
// of the nearest quarter turn.
template <class V>
FASTREG_INLINE void sine_and_cosine(V u, V* sine, V* cosine) {
  const V turns = V(4.0f) * u, n = round(turns), f = turns - n, square = f * f;
  const V s = f * polynomial(square, 1.57079633f, -0.645964098f, 0.0796926262f, -0.00468175413f, 0.000160441185f);
  const V c = polynomial(square, 1.0f, -1.23370055f, 0.253669508f, -0.0208634807f, 0.000919260274f, -0.0000252020424f);
  const auto odd = (n == V(1.0f)) | (n == V(3.0f));
  const V across = select(odd, s, c), up = select(odd, c, s);
  *cosine = select((n == V(1.0f)) | (n == V(2.0f)), V(0.0f) - across, across);
  *sine = select((n == V(2.0f)) | (n == V(3.0f)), V(0.0f) - up, up);
}

// Two independent standard normal numbers from two uniform ones, u in (0, 1] and v in [0, 1].
template <class V>
FASTREG_INLINE void normal_pair(V u, V v, V* first, V* second) {
  const V radius = sqrt(V(-2.0f) * log(u));
  V sine, cosine;
  sine_and_cosine(v, &sine, &cosine);
  *first = radius * cosine;
  *second = radius * sine;
}

}  // namespace fastreg::math
