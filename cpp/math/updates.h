// Update rules, each once, over a vector type V; the loop over parameters belongs to the backend. kernels.h states the
// formulas.
//
//   w  parameter, decayed already      g  gradient with its penalties      m, v  moments, where the rule has them
//
// moments() moves m and v on, apply() returns the new parameter; eta() is the step size of each element, which the
// proximal step needs. Both take the new moments. Adam's bias corrections are folded into its rate and epsilon:
//   rate (m / c1) / (sqrt(v / c2) + epsilon) = (rate sqrt(c2) / c1) m / (sqrt(v) + epsilon sqrt(c2)).
// Rates and epsilons of the rules that divide are kept doubled, as twice_sqrt_plus wants them.
#pragma once
#include "math/inline.h"

namespace fastreg::math {

struct Hyper {
  float rate, momentum, beta_1, beta_2, epsilon, correction_1, correction_2;
};

template <class V>
struct Sgd {
  static constexpr bool kHasM = false, kHasV = false;
  V rate;
  FASTREG_INLINE explicit Sgd(const Hyper& h) : rate(h.rate) {}
  FASTREG_INLINE void moments(V, V&, V&) const {}
  FASTREG_INLINE V apply(V w, V g, V, V) const { return fnma(rate, g, w); }
  FASTREG_INLINE V eta(V) const { return rate; }
};

template <class V>
struct Momentum {
  static constexpr bool kHasM = true, kHasV = false;
  V rate, momentum;
  FASTREG_INLINE explicit Momentum(const Hyper& h) : rate(h.rate), momentum(h.momentum) {}
  FASTREG_INLINE void moments(V g, V& m, V&) const { m = fma(momentum, m, g); }
  FASTREG_INLINE V apply(V w, V, V m, V) const { return fnma(rate, m, w); }
  FASTREG_INLINE V eta(V) const { return rate; }
};

template <class V>
struct Nesterov {
  static constexpr bool kHasM = true, kHasV = false;
  V rate, momentum;
  FASTREG_INLINE explicit Nesterov(const Hyper& h) : rate(h.rate), momentum(h.momentum) {}
  FASTREG_INLINE void moments(V g, V& m, V&) const { m = fma(momentum, m, g); }
  FASTREG_INLINE V apply(V w, V g, V m, V) const { return fnma(rate, fma(momentum, m, g), w); }
  FASTREG_INLINE V eta(V) const { return rate; }
};

// v + rest (g^2 - v), in two operations: never negative, since v - g^2 <= v, and never infinite, since the next step
// would make NaN of that.
template <class V>
FASTREG_INLINE V mean_square(V v, V g, V rest) {
  v = in_register(v);
  return min(V(0x1.fffffep127f), fnma(rest, fnma(g, g, v), v));
}

template <class V>
struct Adam {
  static constexpr bool kHasM = true, kHasV = true;
  V rest_1, rest_2, twice_rate, twice_epsilon, twice_eta_rate;
  FASTREG_INLINE explicit Adam(const Hyper& h)
      : rest_1(1.0f - h.beta_1),
        rest_2(1.0f - h.beta_2),
        twice_rate(2.0f * h.rate * __builtin_sqrtf(h.correction_2) / h.correction_1),
        twice_epsilon(2.0f * h.epsilon * __builtin_sqrtf(h.correction_2)),
        twice_eta_rate(2.0f * h.rate * __builtin_sqrtf(h.correction_2)) {}
  FASTREG_INLINE void moments(V g, V& m, V& v) const {
    m = in_register(m);
    m = fma(rest_1, g - m, m);
    v = mean_square(v, g, rest_2);
  }
  FASTREG_INLINE V apply(V w, V, V m, V v) const {
    return fnma(twice_rate, m / twice_sqrt_plus(v, twice_epsilon), w);
  }
  FASTREG_INLINE V eta(V v) const { return twice_eta_rate / twice_sqrt_plus(v, twice_epsilon); }
};

template <class V>
struct RmsProp {
  static constexpr bool kHasM = false, kHasV = true;
  V rest_2, twice_rate, twice_epsilon;
  FASTREG_INLINE explicit RmsProp(const Hyper& h)
      : rest_2(1.0f - h.beta_2), twice_rate(2.0f * h.rate), twice_epsilon(2.0f * h.epsilon) {}
  FASTREG_INLINE void moments(V g, V&, V& v) const { v = mean_square(v, g, rest_2); }
  FASTREG_INLINE V apply(V w, V g, V, V v) const {
    return fnma(twice_rate, g / twice_sqrt_plus(v, twice_epsilon), w);
  }
  FASTREG_INLINE V eta(V v) const { return twice_rate / twice_sqrt_plus(v, twice_epsilon); }
};

// magnitude * sign(x), with sign(0) = 0.
template <class V>
FASTREG_INLINE V signed_as(V magnitude, V x) {
  return select(x == V(0.0f), V(0.0f), copysign(magnitude, x));
}

// The proximal operator of threshold * |w|.
template <class V>
FASTREG_INLINE V soft_threshold(V w, V threshold) {
  return copysign(max(V(0.0f), abs(w) - threshold), w);
}

}  // namespace fastreg::math
