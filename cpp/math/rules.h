// The update rules, each written once over a vector type V. The loop over parameters belongs to the backend
// (cpu/kernels/update.cpp); the descriptions of the optimizers are in fastreg/optimizers.h.
//
//   w        parameter, with decay already applied     g   gradient including penalties, clipped
//   moment   arrays of the parameters' size that a rule keeps from step to step, initially 0
//
// A rule is a struct that is made from its description and from what the core knows of the step:
//
//   Description   the optimizer that it computes
//   kMoments      the names of its moments, which model files use, too
//   kSquare       the index of the moment that is a mean of squares, which must not overflow, or kNone. square(g,
//                 moment) is then the new value of that moment
//   kPowers       the number of running products beta^t that it needs, which start at 1. advance(description, power)
//                 advances them by a step, and a step has correction[i] = 1 - power[i]
//   kSpecialised  whether its loop is compiled for each kind of penalty, with and without sums, and unrolled if it
//                 divides. That takes about 30 kB for each instruction set and is meant for the rules that most people
//                 use
//   direction(w, g, moment)   replaces the moments of the last step by those of this step, and returns the direction
//                 from which apply computes the step
//   apply(w, direction, moment)   the new parameter, from the new moments
//   step_size(moment)   the size of the step of each element for the proximal step: a rule moves w by -step_size times
//                 an average of all gradients, whose weights add up to 1
//   proximal(w, direction, l1)   in the place of step_size, for a rule whose step is not proportional to an average: the
//                 new parameter under a proximal L1
//
// with_rule chooses among the rules of an optimizer. The proximal step is that of ProxGen (Yun, Lozano and Yang 2021):
// w = soft(w, step_size l1) with soft(w, a) = sign(w) max(0, |w| - a). Where w and its moments have come to rest, w =
// soft(w - step_size g, step_size l1), so that w = 0 and |g| <= l1, or g = -l1 sign(w), whatever the rule. With weight
// decay the same holds of g + (|g| + epsilon) decay w in the place of g for the rules that divide by sqrt(v), which is
// |g| then. With SGD a weight moves as if l1 sign(w) were in its gradient, as long as its sign stays.
#pragma once
#include <cstddef>

#include "fastreg/optimizers.h"
#include "math/inline.h"
#include "math/penalties.h"

namespace fastreg::math {

inline constexpr std::size_t kMaxMoments = 3, kMaxPowers = 3, kNone = static_cast<std::size_t>(-1);

template <std::size_t N>
struct Names {
  static constexpr std::size_t kSize = N;
  const char* name[N == 0 ? 1 : N] = {};
};

struct Step {
  float rate;
  const float* correction;
};

// The next running product. Below 1e-20 it no longer changes 1 - product and becomes 0, which avoids denormals.
FASTREG_INLINE double next_power(double power, float beta) {
  power *= static_cast<double>(beta);
  return power < 1e-20 ? 0.0 : power;
}

// The moving means of g and g^2. kBetaAtLeastHalf: beta >= 1/2, where the shorter form m + (1 - beta)(g - m) is exact
// enough; for smaller betas it would lose values that are small compared with the old mean. The old mean is used twice:
// reading it from memory twice would cost Adam a quarter of its speed.
template <bool kBetaAtLeastHalf, class V>
FASTREG_INLINE V mean(V m, V g, V beta, V rest) {
  m = in_register(m);
  return kBetaAtLeastHalf ? fma(rest, g - m, m) : fma(beta, m, rest * g);
}
template <bool kBetaAtLeastHalf, class V>
FASTREG_INLINE V mean_square(V v, V g, V beta, V rest) {
  v = in_register(v);
  return kBetaAtLeastHalf ? fnma(rest, fnma(g, g, v), v) : fma(beta, v, rest * g * g);
}

// If a mean of squares would reach the largest float, it is computed from a bounded gradient, and so is the mean of
// gradients: all larger gradients make the same step, within the bound of the rule. Infinity and NaN become NaN.
constexpr float kLargestSquare = 0x1.fep127f, kLargestGradient = 0x1.fefp63f;
template <class V>
FASTREG_INLINE V bounded(V g) {
  return fma(V(0.0f), g, max(V(-kLargestGradient), min(V(kLargestGradient), g)));
}

// The smallest epsilon that is allowed. If the contribution of a gradient to a mean of squares, rest g^2, is denormal,
// it counts as 0; epsilon must be at least as large as such a gradient, so that its step does not exceed the rate.
FASTREG_INLINE float visible(float epsilon, float rest) {
  const float least = 0x1p-63f / __builtin_sqrtf(rest);
  return epsilon > least ? epsilon : least;
}

// The new parameter under a proximal L1.
template <class Rule, class V>
FASTREG_INLINE V proximal_step(const Rule& rule, V w, V direction, const V* moment, V l1) {
  if constexpr (requires { rule.proximal(w, direction, l1); }) {
    return rule.proximal(w, direction, l1);
  } else {
    return soft_threshold(rule.apply(w, direction, moment), rule.step_size(moment) * l1);
  }
}

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

// m = beta_1 m + (1 - beta_1) g, v = beta_2 v + (1 - beta_2) g^2,
// w = w - rate (m / c1) / (sqrt(v / c2) + epsilon) with c_i = 1 - beta_i^t; m / c1 is an average of the gradients.
// The corrections are folded into rate and epsilon:
//   rate (m / c1) / (sqrt(v / c2) + epsilon) = (rate sqrt(c2) / c1) m / (sqrt(v) + epsilon sqrt(c2)),
// and both are doubled, as twice_sqrt_plus requires. epsilon is raised to 2^-63 / sqrt(1 - beta_2), see visible.
template <class V, bool kBetasAtLeastHalf>
struct AdamRule {
  using Description = Adam;
  static constexpr Names<2> kMoments{{"m", "v"}};
  static constexpr std::size_t kSquare = 1, kPowers = 2;
  static constexpr bool kSpecialised = true;
  V beta_1, rest_1, beta_2, rest_2, twice_rate, twice_epsilon, twice_size;
  FASTREG_INLINE AdamRule(const Adam& adam, const Step& step)
      : beta_1(adam.beta_1),
        rest_1(1.0f - adam.beta_1),
        beta_2(adam.beta_2),
        rest_2(1.0f - adam.beta_2),
        twice_rate(2.0f * step.rate * __builtin_sqrtf(step.correction[1]) / step.correction[0]),
        twice_epsilon(2.0f * visible(adam.epsilon, 1.0f - adam.beta_2) * __builtin_sqrtf(step.correction[1])),
        twice_size(2.0f * step.rate * __builtin_sqrtf(step.correction[1])) {}
  static FASTREG_INLINE void advance(const Adam& adam, double* power) {
    power[0] = next_power(power[0], adam.beta_1);
    power[1] = next_power(power[1], adam.beta_2);
  }
  FASTREG_INLINE V square(V g, const V* moment) const {
    return mean_square<kBetasAtLeastHalf>(moment[1], g, beta_2, rest_2);
  }
  FASTREG_INLINE V direction(V, V g, V* moment) const {
    moment[0] = mean<kBetasAtLeastHalf>(moment[0], g, beta_1, rest_1);
    moment[1] = square(g, moment);
    return moment[0];
  }
  FASTREG_INLINE V apply(V w, V m, const V* moment) const {
    return fnma(twice_rate, m / twice_sqrt_plus(moment[1], twice_epsilon), w);
  }
  FASTREG_INLINE V step_size(const V* moment) const { return twice_size / twice_sqrt_plus(moment[1], twice_epsilon); }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const Adam& adam, Body body) {
  if (adam.beta_1 >= 0.5f && adam.beta_2 >= 0.5f) {
    body(Type<AdamRule<V, true>>());
  } else {
    body(Type<AdamRule<V, false>>());
  }
}

// v = rho v + (1 - rho) g^2, w = w - rate g / (sqrt(v) + epsilon). Rate and epsilon as with Adam.
template <class V, bool kRhoAtLeastHalf>
struct RmsPropRule {
  using Description = RMSprop;
  static constexpr Names<1> kMoments{{"v"}};
  static constexpr std::size_t kSquare = 0, kPowers = 0;
  static constexpr bool kSpecialised = true;
  V rho, rest, twice_rate, twice_epsilon;
  FASTREG_INLINE RmsPropRule(const RMSprop& rmsprop, const Step& step)
      : rho(rmsprop.rho),
        rest(1.0f - rmsprop.rho),
        twice_rate(2.0f * step.rate),
        twice_epsilon(2.0f * visible(rmsprop.epsilon, 1.0f - rmsprop.rho)) {}
  FASTREG_INLINE V square(V g, const V* moment) const { return mean_square<kRhoAtLeastHalf>(moment[0], g, rho, rest); }
  FASTREG_INLINE V direction(V, V g, V* moment) const {
    moment[0] = square(g, moment);
    return g;
  }
  FASTREG_INLINE V apply(V w, V g, const V* moment) const {
    return fnma(twice_rate, g / twice_sqrt_plus(moment[0], twice_epsilon), w);
  }
  FASTREG_INLINE V step_size(const V* moment) const { return twice_rate / twice_sqrt_plus(moment[0], twice_epsilon); }
};

template <class V, class Body>
FASTREG_INLINE void with_rule(const RMSprop& rmsprop, Body body) {
  if (rmsprop.rho >= 0.5f) {
    body(Type<RmsPropRule<V, true>>());
  } else {
    body(Type<RmsPropRule<V, false>>());
  }
}

// c = beta_1 m + (1 - beta_1) g with the old m, w = w - rate sign(c), and m = beta_2 m + (1 - beta_2) g (Chen et al.,
// "Symbolic discovery of optimization algorithms", 2023). The step minimises c w over the interval [w - rate, w + rate];
// the proximal one minimises c w + l1 |w| over it. So w = 0 stays if |c| <= l1, and no step is larger than the rate. m
// starts at 0, so the weights of the gradients in c add up to total = 1 - beta_1 beta_2^(t - 1), and l1 is weighted
// alike.
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

// The optimizer whose rule an optimizer uses: its own, except that AdamW uses Adam's, because the loop applies the
// decay.
template <class Optimizer>
FASTREG_INLINE const Optimizer& rule_of(const Optimizer& optimizer) {
  return optimizer;
}
FASTREG_INLINE Adam rule_of(const AdamW& adamw) {
  return {adamw.learning_rate, adamw.beta_1, adamw.beta_2, adamw.epsilon, {}};
}
template <class Optimizer>
inline constexpr bool kHasRules = __is_same(decltype(rule_of(Optimizer())), const Optimizer&);

}  // namespace fastreg::math
