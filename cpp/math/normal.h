// Standard normal numbers from uniform ones (Box and Muller 1958), over a vector type V.
#pragma once
#include "math/turns.h"

namespace fastreg::math {

// sin(2 pi u) and cos(2 pi u) for u in [0, 1], absolute error below 2e-7.
template <class V>
FASTREG_INLINE void sine_and_cosine(V u, V* sine, V* cosine) {
  const V quarters = V(4.0f) * u, n = round(quarters);
  V s, c;
  within_quarter(quarters - n, &s, &c);
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
