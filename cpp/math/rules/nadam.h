// Nadam. rule.h says what a rule is.
#pragma once
#include "math/rules/rule.h"

namespace fastreg::math {

// Adam with Nesterov's look-ahead (Dozat 2016). With mu_t = beta_1 (1 - 0.96^t / 2) and p_t = mu_1 ... mu_t, a step
// goes along a m + b g in the place of m / c_1, where a = mu_(t+1) / (1 - p_(t+1)) and b = (1 - mu_t) / (1 - p_t). The
// weights of the gradients in it add up to a (1 - beta_1^t) + b.
template <class V>
struct NadamRule {
  using Description = Nadam;
  static constexpr Names<2> kMoments{{"m", "v"}};
  static constexpr std::size_t kSquare = 1, kPowers = 4;
  static constexpr bool kSpecialised = false;
  V beta_1, rest_1, beta_2, rest_2, of_m, of_g, total, twice_rate, twice_epsilon, decay;
  FASTREG_INLINE NadamRule(const Nadam& nadam, const Step& step)
      : beta_1(nadam.beta_1),
        rest_1(1.0f - nadam.beta_1),
        beta_2(nadam.beta_2),
        rest_2(1.0f - nadam.beta_2),
        of_m(step.correction[0]),
        of_g(step.correction[1]),
        total(step.correction[3]),
        twice_rate(2.0f * step.rate * __builtin_sqrtf(step.correction[2])),
        twice_epsilon(2.0f * visible(nadam.epsilon, 1.0f - nadam.beta_2) * __builtin_sqrtf(step.correction[2])),
        decay(step.rate * step.decay) {}
  // The powers are 0.96^t, p_t, beta_2^t and beta_1^t.
  static FASTREG_INLINE void advance(const Nadam& nadam, double* power) {
    power[0] = without_denormals(power[0] * 0.96);
    power[1] = without_denormals(power[1] * static_cast<double>(nadam.beta_1) * (1.0 - 0.5 * power[0]));
    power[2] = next_power(power[2], nadam.beta_2);
    power[3] = next_power(power[3], nadam.beta_1);
  }
  static FASTREG_INLINE void corrections(const Nadam& nadam, const double* power, std::uint64_t, float* out) {
    const double beta = static_cast<double>(nadam.beta_1);
    const double mu = beta * (1.0 - 0.5 * power[0]), next = beta * (1.0 - 0.5 * 0.96 * power[0]);
    const double of_m = next / (1.0 - power[1] * next), of_g = (1.0 - mu) / (1.0 - power[1]);
    out[0] = static_cast<float>(of_m);
    out[1] = static_cast<float>(of_g);
    out[2] = static_cast<float>(1.0 - power[2]);
    out[3] = static_cast<float>(of_m * (1.0 - power[3]) + of_g);
  }
  FASTREG_INLINE V square(V g, const V* moment) const { return fma(beta_2, moment[1], rest_2 * g * g); }
  FASTREG_INLINE V step(V w, V g, V* moment, V pull) const {
    moment[0] = fma(beta_1, moment[0], rest_1 * g);
    moment[1] = square(g, moment);
    const V size = twice_rate / twice_sqrt_plus(moment[1], twice_epsilon);
    const V ahead = fma(of_m, moment[0], of_g * g);
    return soft_threshold(fnma(size, ahead, fnma(decay, w, w)), size * (total * pull));
  }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const Nadam&, Body body) {
  body(Type<NadamRule<V>>());
}

}  // namespace fastreg::math
