// Gradient descent, with momentum, and with Nesterov's look-ahead. rule.h says what a rule is.
#pragma once
#include "math/rules/rule.h"

namespace fastreg::math {

// w = w - rate g
template <class V>
struct SgdRule {
  using Description = SGD;
  static constexpr Names<0> kMoments{};
  static constexpr std::size_t kSquare = kNone, kPowers = 0;
  static constexpr bool kSpecialised = true;
  V rate;
  FASTREG_INLINE SgdRule(const SGD&, const Step& step) : rate(step.rate) {}
  FASTREG_INLINE V direction(V, V g, V*) const { return g; }
  FASTREG_INLINE V apply(V w, V g, const V*) const { return fnma(rate, g, w); }
  FASTREG_INLINE V step_size(const V*) const { return rate; }
};

// m = momentum m + g, w = w - rate m. m is the sum of momentum^(t - i) g_i over i = 1 ... t, whose weights add up to
// (1 - momentum^t) / (1 - momentum).
template <class V>
struct MomentumRule {
  using Description = SGD;
  static constexpr Names<1> kMoments{{"m"}};
  static constexpr std::size_t kSquare = kNone, kPowers = 1;
  static constexpr bool kSpecialised = true;
  V rate, momentum, size;
  FASTREG_INLINE MomentumRule(const SGD& sgd, const Step& step)
      : rate(step.rate), momentum(sgd.momentum), size(step.rate * (step.correction[0] / (1.0f - sgd.momentum))) {}
  static FASTREG_INLINE void advance(const SGD& sgd, double* power) { power[0] = next_power(power[0], sgd.momentum); }
  FASTREG_INLINE V direction(V, V g, V* moment) const { return moment[0] = fma(momentum, moment[0], g); }
  FASTREG_INLINE V apply(V w, V m, const V*) const { return fnma(rate, m, w); }
  FASTREG_INLINE V step_size(const V*) const { return size; }
};

// m = momentum m + g, w = w - rate (g + momentum m). The weights of g + momentum m add up to
// 1 + momentum (1 - momentum^t) / (1 - momentum).
template <class V>
struct NesterovRule {
  using Description = SGD;
  static constexpr Names<1> kMoments{{"m"}};
  static constexpr std::size_t kSquare = kNone, kPowers = 1;
  static constexpr bool kSpecialised = true;
  V rate, momentum, size;
  FASTREG_INLINE NesterovRule(const SGD& sgd, const Step& step)
      : rate(step.rate),
        momentum(sgd.momentum),
        size(step.rate * (1.0f + sgd.momentum * (step.correction[0] / (1.0f - sgd.momentum)))) {}
  static FASTREG_INLINE void advance(const SGD& sgd, double* power) { power[0] = next_power(power[0], sgd.momentum); }
  FASTREG_INLINE V direction(V, V g, V* moment) const {
    moment[0] = fma(momentum, moment[0], g);
    return fma(momentum, moment[0], g);
  }
  FASTREG_INLINE V apply(V w, V ahead, const V*) const { return fnma(rate, ahead, w); }
  FASTREG_INLINE V step_size(const V*) const { return size; }
};

// With momentum 0 there is no moment, also not in a model file.
template <class V, class Body>
FASTREG_INLINE void with_rule(const SGD& sgd, Body body) {
  if (sgd.momentum == 0.0f) {
    body(Type<SgdRule<V>>());
  } else if (sgd.nesterov) {
    body(Type<NesterovRule<V>>());
  } else {
    body(Type<MomentumRule<V>>());
  }
}

}  // namespace fastreg::math
