// Update rules, each once, over a vector type V; the loop over parameters belongs to the backend. kernels.h states the
// formulas.
//
//   w  parameter, decayed already      g  gradient with its penalties      m, v  moments, where the rule has them
//
// apply() returns the new parameter; eta() is the step size of each element, which the proximal step needs, and is
// called after apply(). Adam's bias corrections are folded into its rate and epsilon:
//   rate (m / c1) / (sqrt(v / c2) + epsilon) = (rate sqrt(c2) / c1) m / (sqrt(v) + epsilon sqrt(c2)).
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
  FASTREG_INLINE V apply(V w, V g, V&, V&) const { return fnma(rate, g, w); }
  FASTREG_INLINE V eta(V) const { return rate; }
};

template <class V>
struct Momentum {
  static constexpr bool kHasM = true, kHasV = false;
  V rate, momentum;
  FASTREG_INLINE explicit Momentum(const Hyper& h) : rate(h.rate), momentum(h.momentum) {}
  FASTREG_INLINE V apply(V w, V g, V& m, V&) const {
    m = fma(momentum, m, g);
    return fnma(rate, m, w);
  }
  FASTREG_INLINE V eta(V) const { return rate; }
};

template <class V>
struct Nesterov {
  static constexpr bool kHasM = true, kHasV = false;
  V rate, momentum;
  FASTREG_INLINE explicit Nesterov(const Hyper& h) : rate(h.rate), momentum(h.momentum) {}
  FASTREG_INLINE V apply(V w, V g, V& m, V&) const {
    m = fma(momentum, m, g);
    return fnma(rate, fma(momentum, m, g), w);
  }
  FASTREG_INLINE V eta(V) const { return rate; }
};

template <class V>
struct Adam {
  static constexpr bool kHasM = true, kHasV = true;
  V beta_1, rest_1, beta_2, rest_2, rate, epsilon, eta_rate;
  FASTREG_INLINE explicit Adam(const Hyper& h)
      : beta_1(h.beta_1),
        rest_1(1.0f - h.beta_1),
        beta_2(h.beta_2),
        rest_2(1.0f - h.beta_2),
        rate(h.rate * __builtin_sqrtf(h.correction_2) / h.correction_1),
        epsilon(h.epsilon * __builtin_sqrtf(h.correction_2)),
        eta_rate(h.rate * __builtin_sqrtf(h.correction_2)) {}
  FASTREG_INLINE V apply(V w, V g, V& m, V& v) const {
    m = fma(beta_1, m, rest_1 * g);
    v = fma(beta_2, v, rest_2 * g * g);
    return w - rate * m / (sqrt(v) + epsilon);
  }
  FASTREG_INLINE V eta(V v) const { return eta_rate / (sqrt(v) + epsilon); }
};

template <class V>
struct RmsProp {
  static constexpr bool kHasM = false, kHasV = true;
  V beta_2, rest_2, rate, epsilon;
  FASTREG_INLINE explicit RmsProp(const Hyper& h)
      : beta_2(h.beta_2), rest_2(1.0f - h.beta_2), rate(h.rate), epsilon(h.epsilon) {}
  FASTREG_INLINE V apply(V w, V g, V&, V& v) const {
    v = fma(beta_2, v, rest_2 * g * g);
    return w - rate * g / (sqrt(v) + epsilon);
  }
  FASTREG_INLINE V eta(V v) const { return rate / (sqrt(v) + epsilon); }
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
