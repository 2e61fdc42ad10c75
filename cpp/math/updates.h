// Update rules, each once, over a vector type V; the loop over parameters belongs to the backend. kernels.h states the
// formulas.
//
//   w  parameter, decayed already      g  gradient with its penalties      m, v  moments, where the rule has them
//
// first_moment and second_moment return the new ones; apply returns the new parameter and eta the step size of each
// element, which the proximal step needs, both from the new moments. kLong says that the betas are at least a half.
// Adam's bias corrections are folded into its rate and epsilon:
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
  FASTREG_INLINE V apply(V w, V g, V, V) const { return fnma(rate, g, w); }
  FASTREG_INLINE V eta(V) const { return rate; }
};

template <class V>
struct Momentum {
  static constexpr bool kHasM = true, kHasV = false;
  V rate, momentum, step_size;
  FASTREG_INLINE explicit Momentum(const Hyper& h)
      : rate(h.rate), momentum(h.momentum), step_size(h.rate * (h.correction_1 / (1.0f - h.momentum))) {}
  FASTREG_INLINE V first_moment(V m, V g) const { return fma(momentum, m, g); }
  FASTREG_INLINE V apply(V w, V, V m, V) const { return fnma(rate, m, w); }
  FASTREG_INLINE V eta(V) const { return step_size; }
};

template <class V>
struct Nesterov {
  static constexpr bool kHasM = true, kHasV = false;
  V rate, momentum, step_size;
  FASTREG_INLINE explicit Nesterov(const Hyper& h)
      : rate(h.rate),
        momentum(h.momentum),
        step_size(h.rate * (1.0f + h.momentum * (h.correction_1 / (1.0f - h.momentum)))) {}
  FASTREG_INLINE V first_moment(V m, V g) const { return fma(momentum, m, g); }
  FASTREG_INLINE V apply(V w, V g, V m, V) const { return fnma(rate, fma(momentum, m, g), w); }
  FASTREG_INLINE V eta(V) const { return step_size; }
};

// The moving means of g and g^2. kLong, for betas of a half and more, is an operation shorter each; below, what is
// small beside the old mean would be lost.
template <bool kLong, class V>
FASTREG_INLINE V mean(V m, V g, V beta, V rest) {
  return kLong ? fma(rest, g - m, m) : fma(beta, m, rest * g);
}
template <bool kLong, class V>
FASTREG_INLINE V mean_square(V v, V g, V beta, V rest) {
  return kLong ? fnma(rest, fnma(g, g, v), v) : fma(beta, v, rest * g * g);
}

// Where a mean of squares would reach the end of float's range, it is taken of a bounded gradient, and so is the mean
// of gradients: all larger gradients make the same step, within the bound of the rule. Infinity and NaN become NaN.
constexpr float kLargestSquare = 0x1.fep127f, kLargestGradient = 0x1.fefp63f;
template <class V>
FASTREG_INLINE V bounded(V g) {
  return fma(V(0.0f), g, max(V(-kLargestGradient), min(V(kLargestGradient), g)));
}

// An epsilon that is no less than the largest gradient whose part of a mean of squares, rest g^2, is below the normal
// floats and taken for 0: a gradient that v does not see makes no step beyond the rate.
FASTREG_INLINE float visible(float epsilon, float rest) {
  const float least = 0x1p-63f / __builtin_sqrtf(rest);
  return epsilon > least ? epsilon : least;
}

template <class V, bool kLong>
struct Adam {
  static constexpr bool kHasM = true, kHasV = true;
  V beta_1, rest_1, beta_2, rest_2, twice_rate, twice_epsilon, twice_eta_rate;
  FASTREG_INLINE explicit Adam(const Hyper& h)
      : beta_1(h.beta_1),
        rest_1(1.0f - h.beta_1),
        beta_2(h.beta_2),
        rest_2(1.0f - h.beta_2),
        twice_rate(2.0f * h.rate * __builtin_sqrtf(h.correction_2) / h.correction_1),
        twice_epsilon(2.0f * visible(h.epsilon, 1.0f - h.beta_2) * __builtin_sqrtf(h.correction_2)),
        twice_eta_rate(2.0f * h.rate * __builtin_sqrtf(h.correction_2)) {}
  FASTREG_INLINE V first_moment(V m, V g) const { return mean<kLong>(m, g, beta_1, rest_1); }
  FASTREG_INLINE V second_moment(V v, V g) const { return mean_square<kLong>(v, g, beta_2, rest_2); }
  FASTREG_INLINE V apply(V w, V, V m, V v) const {
    return fnma(twice_rate, m / twice_sqrt_plus(v, twice_epsilon), w);
  }
  FASTREG_INLINE V eta(V v) const { return twice_eta_rate / twice_sqrt_plus(v, twice_epsilon); }
};

template <class V, bool kLong>
struct RmsProp {
  static constexpr bool kHasM = false, kHasV = true;
  V beta_2, rest_2, twice_rate, twice_epsilon;
  FASTREG_INLINE explicit RmsProp(const Hyper& h)
      : beta_2(h.beta_2),
        rest_2(1.0f - h.beta_2),
        twice_rate(2.0f * h.rate),
        twice_epsilon(2.0f * visible(h.epsilon, 1.0f - h.beta_2)) {}
  FASTREG_INLINE V second_moment(V v, V g) const { return mean_square<kLong>(v, g, beta_2, rest_2); }
  FASTREG_INLINE V apply(V w, V g, V, V v) const {
    return fnma(twice_rate, g / twice_sqrt_plus(v, twice_epsilon), w);
  }
  FASTREG_INLINE V eta(V v) const { return twice_rate / twice_sqrt_plus(v, twice_epsilon); }
};

// magnitude * sign(x), with sign(0) = 0.
template <class V>
FASTREG_INLINE V signed_as(V magnitude, V x) {
  return where(x != V(0.0f), copysign(magnitude, x));
}

// The proximal operator of threshold * |w|.
template <class V>
FASTREG_INLINE V soft_threshold(V w, V threshold) {
  return give_sign(max(V(0.0f), abs(w) - threshold), w);
}

}  // namespace fastreg::math
