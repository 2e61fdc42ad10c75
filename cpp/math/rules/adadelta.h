// Adadelta. rule.h says what a rule is.
#pragma once
#include "math/rules/rule.h"

namespace fastreg::math {

// v = rho v + (1 - rho) g^2, d = g sqrt(u + epsilon) / sqrt(v + epsilon), w = w - rate d, u = rho u + (1 - rho) d^2
// (Zeiler 2012). u is the mean square of the way that weights really go, in units of the rate. With a proximal L1 that
// is not d: a weight that has come to rest, where g = -l1 sign(w), goes no way at all.
template <class V>
struct AdadeltaRule {
  using Description = Adadelta;
  static constexpr Names<2> kMoments{{"v", "u"}};
  static constexpr std::size_t kSquare = 0, kPowers = 0;
  static constexpr bool kSpecialised = false;
  V rho, rest, epsilon, rate, per_rate, decay;
  FASTREG_INLINE AdadeltaRule(const Adadelta& adadelta, const Step& step)
      : rho(adadelta.rho),
        rest(1.0f - adadelta.rho),
        epsilon(adadelta.epsilon),
        rate(step.rate),
        per_rate(step.rate > 0.0f ? 1.0f / step.rate : 0.0f),
        decay(step.rate * step.decay) {}
  FASTREG_INLINE V square(V g, const V* moment) const { return fma(rho, moment[0], rest * g * g); }
  FASTREG_INLINE V step(V w, V g, V* moment, V pull) const {
    moment[0] = square(g, moment);
    const V zero(0.0f);
    const V size = twice_sqrt_plus(moment[1] + epsilon, zero) / twice_sqrt_plus(moment[0] + epsilon, zero);
    w = fnma(decay, w, w);
    const V moved = soft_threshold(fnma(rate, size * g, w), rate * size * pull);
    const V way = size * (g + signed_as(pull, moved));
    const V gone = select((moved == zero) & (pull > zero), w * per_rate, way);
    moment[1] = fma(rho, moment[1], rest * gone * gone);
    return moved;
  }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const Adadelta&, Body body) {
  body(Type<AdadeltaRule<V>>());
}

}  // namespace fastreg::math
