// Adagrad. rule.h says what a rule is.
#pragma once
#include "math/rules/rule.h"

namespace fastreg::math {

// v = v + g^2, w = w - rate g / (sqrt(v) + epsilon). Rate and epsilon as with Adam. A sum that has reached the largest
// float stays there.
template <class V>
struct AdagradRule {
  using Description = Adagrad;
  static constexpr Names<1> kMoments{{"v"}};
  static constexpr std::size_t kSquare = 0, kPowers = 0;
  static constexpr bool kSpecialised = false;
  V twice_rate, twice_epsilon, decay;
  FASTREG_INLINE AdagradRule(const Adagrad& adagrad, const Step& step)
      : twice_rate(2.0f * step.rate),
        twice_epsilon(2.0f * visible(adagrad.epsilon, 1.0f)),
        decay(step.rate * step.decay) {}
  static FASTREG_INLINE float start(const Adagrad& adagrad, std::size_t) { return adagrad.initial_accumulator_value; }
  FASTREG_INLINE V square(V g, const V* moment) const { return fma(g, g, moment[0]); }
  FASTREG_INLINE V step(V w, V g, V* moment, V pull) const {
    moment[0] = capped(square(g, moment));
    const V size = twice_rate / twice_sqrt_plus(moment[0], twice_epsilon);
    return soft_threshold(fnma(size, g, fnma(decay, w, w)), size * pull);
  }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const Adagrad&, Body body) {
  body(Type<AdagradRule<V>>());
}

}  // namespace fastreg::math
