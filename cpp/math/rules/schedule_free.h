// Schedule-free AdamW. rule.h says what a rule is.
#pragma once
#include "math/rules/rule.h"

namespace fastreg::math {

// Defazio et al., "The road less scheduled", 2024, algorithm 1. Gradients are taken at y, a point between z, which
// makes Adam's steps without a first moment, and x, the average of all z:
//   v = beta_2 v + (1 - beta_2) g^2, z = z - rate (g / (sqrt(v / c_2) + epsilon) + decay y), x = x + c (z - x),
//   y = z + beta_1 (x - z)
// rate grows linearly over warmup_steps. c is the share of the square of the rate's factor in the sum of all of them,
// 1 / t without warm-up. The weights of a run are y; the arrays are z, v and x.
//
// A constraint brings z back after its step, so that x is the average of points that keep to it, and then x itself.
//
// The proximal step is that of z. An average forgets what was not zero only slowly; where z is 0 now, the pull acts on
// x, too, with its share c, so that such weights become exactly 0.
template <class V>
struct ScheduleFreeRule {
  using Description = ScheduleFreeAdamW;
  static constexpr Names<2> kMoments{{"z", "v"}};
  static constexpr std::size_t kSquare = 1, kPowers = 1, kPoint = 2;
  static constexpr bool kSpecialised = false;
  V beta_1, beta_2, rest_2, twice_rate, twice_epsilon, decay, share;
  FASTREG_INLINE ScheduleFreeRule(const ScheduleFreeAdamW& adamw, const Step& step)
      : beta_1(adamw.beta_1),
        beta_2(adamw.beta_2),
        rest_2(1.0f - adamw.beta_2),
        twice_rate(2.0f * step.rate * step.correction[0] * __builtin_sqrtf(step.correction[1])),
        twice_epsilon(2.0f * visible(adamw.epsilon, 1.0f - adamw.beta_2) * __builtin_sqrtf(step.correction[1])),
        decay(step.rate * step.correction[0] * step.decay),
        share(step.correction[2]) {}
  static FASTREG_INLINE void advance(const ScheduleFreeAdamW& adamw, double* power) {
    power[0] = next_power(power[0], adamw.beta_2);
  }
  // {the factor of the rate, c_2, c}
  static FASTREG_INLINE void corrections(const ScheduleFreeAdamW& adamw, const double* power, std::uint64_t t,
                                         float* out) {
    const double step = static_cast<double>(t), warm = static_cast<double>(adamw.warmup_steps);
    const double factor = step < warm ? step / warm : 1.0;
    // The sum of (i / warm)^2 over i = 1 ... n is n (n + 1) (2 n + 1) / (6 warm^2).
    const double n = step < warm ? step : warm;
    const double rising = warm > 0.0 ? n * (n + 1.0) * (2.0 * n + 1.0) / (6.0 * warm * warm) : 0.0;
    out[0] = static_cast<float>(factor);
    out[1] = static_cast<float>(1.0 - power[0]);
    out[2] = static_cast<float>(factor * factor / (rising + (step - n)));
  }
  FASTREG_INLINE V square(V g, const V* moment) const { return fma(beta_2, moment[1], rest_2 * g * g); }
  FASTREG_INLINE V step(V y, V g, V* moment, V pull) const {
    moment[1] = square(g, moment);
    const V size = twice_rate / twice_sqrt_plus(moment[1], twice_epsilon);
    const V z = soft_threshold(fnma(size, g, fnma(decay, y, moment[0])), size * pull);
    const V x = fma(share, z - moment[2], moment[2]);
    moment[0] = z;
    moment[2] = select(z == V(0.0f), soft_threshold(x, share * size * pull), x);
    return between(beta_1, z, moment[2]);
  }
  // y, here and in a step with the same bits: compilers fuse no multiplication and addition by themselves.
  static FASTREG_INLINE V between(V beta_1, V z, V x) { return z + beta_1 * (x - z); }
  static FASTREG_INLINE V gradient_point(const ScheduleFreeAdamW& adamw, V x, V z) {
    return between(V(adamw.beta_1), z, x);
  }
  // x where a constraint has brought z, of which x has its share, to `kept`. An unchanged z changes no bit.
  static FASTREG_INLINE V followed(const float* correction, V x, V z, V kept) {
    return x + V(correction[2]) * (kept - z);
  }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const ScheduleFreeAdamW&, Body body) {
  body(Type<ScheduleFreeRule<V>>());
}

}  // namespace fastreg::math
