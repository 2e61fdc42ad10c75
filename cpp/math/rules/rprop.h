// Rprop. rule.h says what a rule is.
#pragma once
#include "math/rules/rule.h"

namespace fastreg::math {

// Each weight has a step size of its own, which grows by eta_plus while its gradient keeps its sign, and shrinks by
// eta_minus where the sign changes; there the weight stays for a step, and the old gradient counts as 0 (Riedmiller and
// Braun 1993; the variant of PyTorch). The moments are the old gradient and the step size in units of the rate.
//
// Under a proximal L1 the sign is that of the slope of the whole objective, g + pull sign(w), and at w = 0 of what is
// left of g beyond pull; and no step goes across 0, where that slope jumps.
template <class V>
struct RpropRule {
  using Description = Rprop;
  static constexpr Names<2> kMoments{{"g", "s"}};
  static constexpr std::size_t kSquare = kNone, kPowers = 0;
  static constexpr bool kSpecialised = false;
  V eta_minus, eta_plus, rate, least, most, decay;
  FASTREG_INLINE RpropRule(const Rprop& rprop, const Step& step)
      : eta_minus(rprop.eta_minus),
        eta_plus(rprop.eta_plus),
        rate(step.rate),
        least(relative(rprop.step_size_min, step.rate)),
        most(relative(rprop.step_size_max, step.rate)),
        decay(step.rate * step.decay) {}
  static FASTREG_INLINE float start(const Rprop&, std::size_t moment) { return moment == 1 ? 1.0f : 0.0f; }
  FASTREG_INLINE V step(V w, V g, V* moment, V pull) const {
    const V zero(0.0f);
    const auto at_zero = w == zero;
    const V slope = select(at_zero, soft_threshold(g, pull), g + signed_as(pull, w));
    const V before = moment[0];
    const auto same = ((slope > zero) & (before > zero)) | ((slope < zero) & (before < zero));
    const auto changed = ((slope > zero) & (before < zero)) | ((slope < zero) & (before > zero));
    const V factor = select(same, eta_plus, select(changed, eta_minus, V(1.0f)));
    moment[1] = min(most, max(least, factor * moment[1]));
    moment[0] = select(changed, zero, slope);
    // 0 slope is NaN if the slope is infinite or NaN.
    const V way = fma(zero, slope, signed_as(rate * moment[1], moment[0]));
    const V decayed = fnma(decay, w, w), moved = decayed - way;
    const auto across = ((decayed > zero) & (moved < zero)) | ((decayed < zero) & (moved > zero));
    return select(across & (pull > zero), zero, moved);
  }

 private:
  // A bound of step sizes in units of the rate. At a rate of 0 there are no steps, and no bounds.
  static FASTREG_INLINE float relative(float bound, float rate) {
    const float quotient = bound / rate;
    return quotient < 0x1.fffffep127f ? quotient : 0x1.fffffep127f;
  }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const Rprop&, Body body) {
  body(Type<RpropRule<V>>());
}

}  // namespace fastreg::math
