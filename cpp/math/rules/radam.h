// RAdam. rule.h says what a rule is.
#pragma once
#include "math/rules/rule.h"

namespace fastreg::math {

// Rectified Adam (Liu et al. 2020). With r_inf = 2 / (1 - beta_2) - 1 and r_t = r_inf - 2 t beta_2^t / (1 - beta_2^t):
//   r_t > 5   w = w - rate rectifier (m / c_1) sqrt(c_2) / (sqrt(v) + epsilon), where rectifier^2 =
//             (r_t - 4) (r_t - 2) r_inf / ((r_inf - 4) (r_inf - 2) r_t)
//   else      w = w - rate m / c_1, as v does not say enough yet
// epsilon stands beside sqrt(v) before its correction, as in PyTorch.
template <class V>
struct RAdamRule {
  using Description = RAdam;
  static constexpr Names<2> kMoments{{"m", "v"}};
  static constexpr std::size_t kSquare = 1, kPowers = 2;
  static constexpr bool kSpecialised = false;
  V beta_1, rest_1, beta_2, rest_2, rate, twice_rate, twice_epsilon, to_average, decay;
  bool rectified;
  FASTREG_INLINE RAdamRule(const RAdam& radam, const Step& step)
      : beta_1(radam.beta_1),
        rest_1(1.0f - radam.beta_1),
        beta_2(radam.beta_2),
        rest_2(1.0f - radam.beta_2),
        rate(step.rate),
        twice_rate(2.0f * step.rate * step.correction[1]),
        twice_epsilon(2.0f * visible(radam.epsilon, 1.0f - radam.beta_2)),
        to_average(1.0f / step.correction[0]),
        decay(step.rate * step.decay),
        rectified(step.correction[1] > 0.0f) {}
  static FASTREG_INLINE void advance(const RAdam& radam, double* power) {
    power[0] = next_power(power[0], radam.beta_1);
    power[1] = next_power(power[1], radam.beta_2);
  }
  // {c_1, rectifier sqrt(c_2), or 0 where there is none}
  static FASTREG_INLINE void corrections(const RAdam& radam, const double* power, std::uint64_t t, float* out) {
    const double longest = 2.0 / (1.0 - static_cast<double>(radam.beta_2)) - 1.0, c_2 = 1.0 - power[1];
    const double length = longest - 2.0 * static_cast<double>(t) * power[1] / c_2;
    out[0] = static_cast<float>(1.0 - power[0]);
    out[1] = 0.0f;
    if (length > 5.0)
      out[1] = static_cast<float>(__builtin_sqrt((length - 4.0) * (length - 2.0) * longest /
                                                 ((longest - 4.0) * (longest - 2.0) * length) * c_2));
  }
  FASTREG_INLINE V square(V g, const V* moment) const { return fma(beta_2, moment[1], rest_2 * g * g); }
  FASTREG_INLINE V step(V w, V g, V* moment, V pull) const {
    moment[0] = fma(beta_1, moment[0], rest_1 * g);
    moment[1] = square(g, moment);
    const V size = rectified ? twice_rate / twice_sqrt_plus(moment[1], twice_epsilon) : rate;
    return soft_threshold(fnma(size, to_average * moment[0], fnma(decay, w, w)), size * pull);
  }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const RAdam&, Body body) {
  body(Type<RAdamRule<V>>());
}

}  // namespace fastreg::math
