// Lion. rule.h says what a rule is.
#pragma once
#include "math/rules/rule.h"

namespace fastreg::math {

// c = beta_1 m + (1 - beta_1) g with the old m, w = w - rate sign(c), and m = beta_2 m + (1 - beta_2) g (Chen et al.,
// "Symbolic discovery of optimization algorithms", 2023). The step minimises c w over the interval [w - rate, w +
// rate]; the proximal one minimises c w + l1 |w| over it. So w = 0 stays if |c| <= l1, and no step is larger than the
// rate. m starts at 0, so the weights of the gradients in c add up to total = 1 - beta_1 beta_2^(t - 1), and l1 is
// weighted alike.
template <class V>
struct LionRule {
  using Description = Lion;
  static constexpr Names<1> kMoments{{"m"}};
  static constexpr std::size_t kSquare = kNone, kPowers = 1;
  static constexpr bool kSpecialised = false;
  V rate, beta_1, rest_1, beta_2, rest_2, total;
  FASTREG_INLINE LionRule(const Lion& lion, const Step& step)
      : rate(step.rate),
        beta_1(lion.beta_1),
        rest_1(1.0f - lion.beta_1),
        beta_2(lion.beta_2),
        rest_2(1.0f - lion.beta_2),
        total(step.correction[0]) {}
  static FASTREG_INLINE void advance(const Lion& lion, double* power) {
    power[0] = next_power(power[0], power[0] == 1.0 ? lion.beta_1 : lion.beta_2);
  }
  FASTREG_INLINE V direction(V, V g, V* moment) const {
    const V c = fma(beta_1, moment[0], rest_1 * g);
    moment[0] = fma(beta_2, moment[0], rest_2 * g);
    return c;
  }
  // 0 c is NaN if c is infinite or NaN.
  FASTREG_INLINE V apply(V w, V c, const V*) const { return w - fma(V(0.0f), c, signed_as(rate, c)); }
  FASTREG_INLINE V proximal(V w, V c, V l1) const {
    const V pull = total * l1;
    return select((abs(c) <= pull) & (pull > V(0.0f)), soft_threshold(w, rate), apply(w, c, nullptr));
  }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const Lion&, Body body) {
  body(Type<LionRule<V>>());
}

}  // namespace fastreg::math
