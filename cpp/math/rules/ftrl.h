// FTRL-proximal. rule.h says what a rule is.
#pragma once
#include "math/activations.h"
#include "math/rules/rule.h"

namespace fastreg::math {

// "Follow the regularised leader" (McMahan et al. 2013), with Keras's names. With p = -learning_rate_power:
//   n' = n + g^2,  z = z + rate (g + 2 shrinkage w) - (n'^p - n^p) w,  n = n',
//   w = (clip(z, rate l1) - z) / (n^p + beta + 2 rate l2)
// where l1, l2 and shrinkage are the strengths that the description has. This z is the one of the paper and of Keras
// times the rate, so that a rate that changes takes hold of new gradients only: with l1 = l2 = shrinkage = beta = 0
// each step is w = w - rate g / n^p, except that the first one starts from w = 0. The proximal step takes rate pull
// from |z|, which takes rate pull / n^p from |w|. decay takes its share of w by adding n^p times it to z. A rate of 0
// makes no step: z knows nothing of where w started.
template <class V>
struct FtrlRule {
  using Description = Ftrl;
  static constexpr Names<2> kMoments{{"n", "z"}};
  static constexpr std::size_t kSquare = 0, kPowers = 0;
  static constexpr bool kSpecialised = false;
  V rate, power, shrinkage, l1, added, decay;
  bool is_root;
  FASTREG_INLINE FtrlRule(const Ftrl& ftrl, const Step& step)
      : rate(step.rate),
        power(-ftrl.learning_rate_power),
        shrinkage(2.0f * ftrl.l2_shrinkage_regularization_strength),
        l1(step.rate * ftrl.l1_regularization_strength),
        added(ftrl.beta + 2.0f * step.rate * ftrl.l2_regularization_strength),
        decay(step.rate * step.decay),
        is_root(ftrl.learning_rate_power == -0.5f) {}
  static FASTREG_INLINE float start(const Ftrl& ftrl, std::size_t moment) {
    return moment == 0 ? ftrl.initial_accumulator_value : 0.0f;
  }
  FASTREG_INLINE V square(V g, const V* moment) const { return fma(g, g, moment[0]); }
  FASTREG_INLINE V step(V w, V g, V* moment, V pull) const {
    const V kept[2] = {moment[0], moment[1]};
    const V before = to_power(moment[0]);
    moment[0] = capped(square(g, moment));
    const V now = to_power(moment[0]);
    const V grown = fnma(now - before, w, fma(rate, fma(shrinkage, w, g), moment[1]));
    const V z = moment[1] = soft_threshold(fma(now, decay * w, grown), rate * pull);
    const V divisor = now + added;
    const V moved = (max(V(0.0f) - l1, min(l1, z)) - z) / divisor;
    const auto idle = rate == V(0.0f);
    for (std::size_t i = 0; i < 2; ++i) moment[i] = select(idle, kept[i], moment[i]);
    return select(idle, w, select(divisor == V(0.0f), w, moved));   // divisor is 0 before the first gradient
  }

 private:
  FASTREG_INLINE V to_power(V n) const {
    if (is_root) return sqrt(n);
    const V least(0x1p-126f);
    return select(n < least, select(power == V(0.0f), V(1.0f), V(0.0f)), exp(power * log(max(least, n))));
  }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const Ftrl&, Body body) {
  body(Type<FtrlRule<V>>());
}

}  // namespace fastreg::math
