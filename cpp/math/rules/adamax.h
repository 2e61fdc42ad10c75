// Adamax. rule.h says what a rule is.
#pragma once
#include "math/rules/rule.h"

namespace fastreg::math {

// m = beta_1 m + (1 - beta_1) g, u = max(beta_2 u, |g| + epsilon), w = w - rate (m / c_1) / u. epsilon stands where
// PyTorch has it. No square can overflow here. rate / u would be denormal for gradients beyond 1e35, so the rate is
// multiplied by a power of two, by which the other factors are divided; that changes no other bit. u is at least
// epsilon; for a tiny epsilon the rate stays as it is.
template <class V>
struct AdamaxRule {
  using Description = Adamax;
  static constexpr Names<2> kMoments{{"m", "u"}};
  static constexpr std::size_t kSquare = kNone, kPowers = 1;
  static constexpr bool kSpecialised = false;
  V beta_1, rest_1, beta_2, rate, epsilon, to_average, share, decay;
  FASTREG_INLINE AdamaxRule(const Adamax& adamax, const Step& step)
      : beta_1(adamax.beta_1),
        rest_1(1.0f - adamax.beta_1),
        beta_2(adamax.beta_2),
        rate(step.rate * scale_of(adamax)),
        epsilon(adamax.epsilon),
        to_average(1.0f / step.correction[0] / scale_of(adamax)),
        share(1.0f / scale_of(adamax)),
        decay(step.rate * step.decay) {}
  static FASTREG_INLINE float scale_of(const Adamax& adamax) { return adamax.epsilon > 0x1p-64f ? 0x1p24f : 1.0f; }
  static FASTREG_INLINE void advance(const Adamax& adamax, double* power) {
    power[0] = next_power(power[0], adamax.beta_1);
  }
  FASTREG_INLINE V step(V w, V g, V* moment, V pull) const {
    moment[0] = fma(beta_1, moment[0], rest_1 * g);
    moment[1] = max(beta_2 * moment[1], abs(g) + epsilon);
    const V size = rate / moment[1];
    return soft_threshold(fnma(size, to_average * moment[0], fnma(decay, w, w)), size * (share * pull));
  }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const Adamax&, Body body) {
  body(Type<AdamaxRule<V>>());
}

}  // namespace fastreg::math
