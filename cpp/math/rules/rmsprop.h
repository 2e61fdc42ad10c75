// RMSprop. rule.h says what a rule is.
#pragma once
#include "math/rules/rule.h"

namespace fastreg::math {

// v = rho v + (1 - rho) g^2, w = w - rate g / (sqrt(v) + epsilon). Rate and epsilon as with Adam.
template <class V, bool kRhoAtLeastHalf>
struct RmsPropRule {
  using Description = RMSprop;
  static constexpr Names<1> kMoments{{"v"}};
  static constexpr std::size_t kSquare = 0, kPowers = 0;
  static constexpr bool kSpecialised = true;
  V rho, rest, twice_rate, twice_epsilon;
  FASTREG_INLINE RmsPropRule(const RMSprop& rmsprop, const Step& step)
      : rho(rmsprop.rho),
        rest(1.0f - rmsprop.rho),
        twice_rate(2.0f * step.rate),
        twice_epsilon(2.0f * visible(rmsprop.epsilon, 1.0f - rmsprop.rho)) {}
  FASTREG_INLINE V square(V g, const V* moment) const { return mean_square<kRhoAtLeastHalf>(moment[0], g, rho, rest); }
  FASTREG_INLINE V direction(V, V g, V* moment) const {
    moment[0] = square(g, moment);
    return g;
  }
  FASTREG_INLINE V apply(V w, V g, const V* moment) const {
    return fnma(twice_rate, g / twice_sqrt_plus(moment[0], twice_epsilon), w);
  }
  FASTREG_INLINE V step_size(const V* moment) const { return twice_rate / twice_sqrt_plus(moment[0], twice_epsilon); }
};

// The same with a spread or a momentum. kCentered: the divisor is the standard deviation sqrt(v - mean^2), where mean
// is the moving mean of g, in the place of sqrt(v). kMomentum: m = momentum m + g / divisor, w = w - rate m. There the
// size of a step for the proximal step is that of a gradient that has always been divided by the present divisor.
template <class V, bool kCentered, bool kMomentum>
struct RmsPropOptionsRule {
  using Description = RMSprop;
  static constexpr auto kMoments = [] {
    if constexpr (kCentered && kMomentum) return Names<3>{{"v", "mean", "m"}};
    else if constexpr (kCentered) return Names<2>{{"v", "mean"}};
    else return Names<2>{{"v", "m"}};
  }();
  static constexpr std::size_t kSquare = 0, kPowers = kMomentum ? 1 : 0;
  static constexpr bool kSpecialised = false;
  V rho, rest, momentum, rate, total, twice_epsilon, decay;
  FASTREG_INLINE RmsPropOptionsRule(const RMSprop& rmsprop, const Step& step)
      : rho(rmsprop.rho),
        rest(1.0f - rmsprop.rho),
        momentum(rmsprop.momentum),
        rate(step.rate),
        total(kMomentum ? step.correction[0] / (1.0f - rmsprop.momentum) : 1.0f),
        twice_epsilon(2.0f * visible(rmsprop.epsilon, 1.0f - rmsprop.rho)),
        decay(step.rate * step.decay) {}
  static FASTREG_INLINE void advance(const RMSprop& rmsprop, double* power) {
    power[0] = next_power(power[0], rmsprop.momentum);
  }
  FASTREG_INLINE V square(V g, const V* moment) const { return fma(rho, moment[0], rest * g * g); }
  FASTREG_INLINE V step(V w, V g, V* moment, V pull) const {
    V spread = moment[0] = square(g, moment);
    if constexpr (kCentered) {
      moment[1] = fma(rho, moment[1], rest * g);
      spread = max(V(0.0f), fnma(moment[1], moment[1], spread));   // rounding may bring it below 0
    }
    const V per_divisor = V(2.0f) / twice_sqrt_plus(spread, twice_epsilon);
    V direction = per_divisor * g;
    if constexpr (kMomentum) {
      V& m = moment[kMoments.kSize - 1];
      direction = m = fma(momentum, m, direction);
    }
    return soft_threshold(fnma(rate, direction, fnma(decay, w, w)), rate * per_divisor * (total * pull));
  }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const RMSprop& rmsprop, Body body) {
  if (rmsprop.centered && rmsprop.momentum > 0.0f) return body(Type<RmsPropOptionsRule<V, true, true>>());
  if (rmsprop.centered) return body(Type<RmsPropOptionsRule<V, true, false>>());
  if (rmsprop.momentum > 0.0f) return body(Type<RmsPropOptionsRule<V, false, true>>());
  if (rmsprop.rho >= 0.5f) {
    body(Type<RmsPropRule<V, true>>());
  } else {
    body(Type<RmsPropRule<V, false>>());
  }
}

}  // namespace fastreg::math
