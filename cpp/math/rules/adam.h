// Adam, and Adam with the largest mean of squares. rule.h says what a rule is.
#pragma once
#include "math/rules/rule.h"

namespace fastreg::math {

// m = beta_1 m + (1 - beta_1) g, v = beta_2 v + (1 - beta_2) g^2,
// w = w - rate (m / c1) / (sqrt(v / c2) + epsilon) with c_i = 1 - beta_i^t; m / c1 is an average of the gradients.
// The corrections are folded into rate and epsilon:
//   rate (m / c1) / (sqrt(v / c2) + epsilon) = (rate sqrt(c2) / c1) m / (sqrt(v) + epsilon sqrt(c2)),
// and both are doubled, as twice_sqrt_plus requires. epsilon is raised to 2^-63 / sqrt(1 - beta_2), see visible.
template <class V, bool kBetasAtLeastHalf>
struct AdamRule {
  using Description = Adam;
  static constexpr Names<2> kMoments{{"m", "v"}};
  static constexpr std::size_t kSquare = 1, kPowers = 2;
  static constexpr bool kSpecialised = true;
  V beta_1, rest_1, beta_2, rest_2, twice_rate, twice_epsilon, twice_size;
  FASTREG_INLINE AdamRule(const Adam& adam, const Step& step)
      : beta_1(adam.beta_1),
        rest_1(1.0f - adam.beta_1),
        beta_2(adam.beta_2),
        rest_2(1.0f - adam.beta_2),
        twice_rate(2.0f * step.rate * __builtin_sqrtf(step.correction[1]) / step.correction[0]),
        twice_epsilon(2.0f * visible(adam.epsilon, 1.0f - adam.beta_2) * __builtin_sqrtf(step.correction[1])),
        twice_size(2.0f * step.rate * __builtin_sqrtf(step.correction[1])) {}
  static FASTREG_INLINE void advance(const Adam& adam, double* power) {
    power[0] = next_power(power[0], adam.beta_1);
    power[1] = next_power(power[1], adam.beta_2);
  }
  FASTREG_INLINE V square(V g, const V* moment) const {
    return mean_square<kBetasAtLeastHalf>(moment[1], g, beta_2, rest_2);
  }
  FASTREG_INLINE V direction(V, V g, V* moment) const {
    moment[0] = mean<kBetasAtLeastHalf>(moment[0], g, beta_1, rest_1);
    moment[1] = square(g, moment);
    return moment[0];
  }
  FASTREG_INLINE V apply(V w, V m, const V* moment) const {
    return fnma(twice_rate, m / twice_sqrt_plus(moment[1], twice_epsilon), w);
  }
  FASTREG_INLINE V step_size(const V* moment) const { return twice_size / twice_sqrt_plus(moment[1], twice_epsilon); }
};

// Adam with the largest v so far in the place of v (Reddi, Kale and Kumar 2018). As in PyTorch, that is the largest v
// before the correction c_2.
template <class V>
struct AmsgradRule {
  using Description = Adam;
  static constexpr Names<3> kMoments{{"m", "v", "v_max"}};
  static constexpr std::size_t kSquare = 1, kPowers = 2;
  static constexpr bool kSpecialised = false;
  V beta_1, rest_1, beta_2, rest_2, twice_rate, twice_epsilon, to_average, decay;
  FASTREG_INLINE AmsgradRule(const Adam& adam, const Step& step)
      : beta_1(adam.beta_1),
        rest_1(1.0f - adam.beta_1),
        beta_2(adam.beta_2),
        rest_2(1.0f - adam.beta_2),
        twice_rate(2.0f * step.rate * __builtin_sqrtf(step.correction[1])),
        twice_epsilon(2.0f * visible(adam.epsilon, 1.0f - adam.beta_2) * __builtin_sqrtf(step.correction[1])),
        to_average(1.0f / step.correction[0]),
        decay(step.rate * step.decay) {}
  static FASTREG_INLINE void advance(const Adam& adam, double* power) { AdamRule<V, false>::advance(adam, power); }
  FASTREG_INLINE V square(V g, const V* moment) const { return fma(beta_2, moment[1], rest_2 * g * g); }
  FASTREG_INLINE V step(V w, V g, V* moment, V pull) const {
    moment[0] = fma(beta_1, moment[0], rest_1 * g);
    moment[1] = square(g, moment);
    moment[2] = max(moment[2], moment[1]);
    const V size = twice_rate / twice_sqrt_plus(moment[2], twice_epsilon);
    return soft_threshold(fnma(size, to_average * moment[0], fnma(decay, w, w)), size * pull);
  }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const Adam& adam, Body body) {
  if (adam.amsgrad) {
    body(Type<AmsgradRule<V>>());
  } else if (adam.beta_1 >= 0.5f && adam.beta_2 >= 0.5f) {
    body(Type<AdamRule<V, true>>());
  } else {
    body(Type<AdamRule<V, false>>());
  }
}

}  // namespace fastreg::math
