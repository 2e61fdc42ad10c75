// What an update rule is, and what rules share. Each rule is written once over a vector type V, in a file of this
// folder; rules.h lists them. The loop over parameters belongs to the backend (cpu/kernels/update.cpp); the
// descriptions of the optimizers are in fastreg/optimizers.h.
//
//   w        parameter                     g   gradient including penalties, clipped
//   moment   arrays of the parameters' size that a rule keeps from step to step
//   pull     l1 under a proximal L1, else 0
//
// A rule is a struct that is made from its description and from what the core knows of the step:
//
//   Description   the optimizer that it computes
//   kMoments      the names of its moments, which model files use, too
//   kSquare       the index of the moment that is a mean or sum of squares, which must not overflow, or kNone.
//                 square(g, moment) is then the new value of that moment
//   kPowers       the number of running products such as beta^t that it needs, which start at 1.
//                 advance(description, power) advances them by a step
//   kSpecialised  whether its loop is compiled for each kind of penalty, with and without sums, and unrolled if it
//                 divides. That takes 10 to 20 kB for each instruction set and is meant for the rules that most people
//                 use
//
// A rule may also have
//
//   start(description, i)   the value that moment i starts with; without it moments start at 0
//   corrections(description, power, t, out)   what a step of number t, counted from 1, gets as Step::correction;
//                 without it correction[i] = 1 - power[i]
//   kPoint        the index of a further array behind the moments. The gradients of such a rule are taken at another
//                 point than the one that is evaluated, which this array holds while a run is taking steps. It is in no
//                 file: between the steps the weights are that point. gradient_point(description, evaluated, moment) is
//                 the other one, and moment 0 starts as a copy of the weights
//
// A rule that is not kSpecialised is one function:
//
//   step(w, g, moment, pull)   replaces the moments of the last step by those of this step, and returns the new
//                 parameter, with decay and the proximal step in it
//
// A rule that is kSpecialised is three (and so is Lion), so that nothing is computed that is not needed:
//
//   direction(w, g, moment)   replaces the moments, and returns the direction from which apply computes the step
//   apply(w, direction, moment)   the new parameter, from the decayed one and the new moments
//   step_size(moment)   the size of the step of each element for the proximal step: a rule moves w by -step_size times
//                 an average of all gradients, whose weights add up to 1
//   proximal(w, direction, l1)   in the place of step_size, for a rule whose step is not proportional to an average:
//                 the new parameter under a proximal L1
//
// The proximal step is that of ProxGen (Yun, Lozano and Yang 2021): w = soft(w, step_size l1) with
// soft(w, a) = sign(w) max(0, |w| - a). Where w and its moments have come to rest, w = soft(w - step_size g,
// step_size l1), so that w = 0 and |g| <= l1, or g = -l1 sign(w), whatever the rule. With weight decay the same holds
// of g + (|g| + epsilon) decay w in the place of g for the rules that divide by sqrt(v), which is |g| then. With SGD a
// weight moves as if l1 sign(w) were in its gradient, as long as its sign stays.
#pragma once
#include <cstddef>
#include <cstdint>

#include "fastreg/optimizers.h"
#include "math/inline.h"
#include "math/penalties.h"

namespace fastreg::math {

inline constexpr std::size_t kMaxMoments = 3, kMaxPowers = 4, kNone = static_cast<std::size_t>(-1);

template <std::size_t N>
struct Names {
  static constexpr std::size_t kSize = N;
  const char* name[N == 0 ? 1 : N] = {};
};

// decay: the factor of decoupled weight decay, which takes rate decay w from w.
struct Step {
  float rate;
  const float* correction;
  float decay;
};

// Whether a rule is one function, and whether it has a point for gradients of its own.
template <class Rule, class V>
inline constexpr bool kIsOneFunction = requires(const Rule& rule, V* moment) { rule.step(V(), V(), moment, V()); };
template <class Rule>
inline constexpr bool kHasPoint = requires { Rule::kPoint; };
// The number of arrays of a rule.
template <class Rule>
inline constexpr std::size_t kArrays = Rule::kMoments.kSize + (kHasPoint<Rule> ? 1 : 0);

// The value that a moment starts with.
template <class Rule, class Description>
FASTREG_INLINE float start_of(const Description& description, std::size_t moment) {
  if constexpr (requires { Rule::start(description, moment); }) return Rule::start(description, moment);
  return 0.0f;
}

// What step number t of a rule gets as Step::correction.
template <class Rule, class Description>
FASTREG_INLINE void corrections_of(const Description& description, const double* power, std::uint64_t t, float* out) {
  if constexpr (requires { Rule::corrections(description, power, t, out); }) {
    Rule::corrections(description, power, t, out);
  } else {
    for (std::size_t i = 0; i < kMaxPowers; ++i) out[i] = static_cast<float>(1.0 - power[i]);
  }
}

// The product, which becomes 0 where it no longer changes 1 - product, below 1e-20: that avoids denormals.
FASTREG_INLINE double without_denormals(double product) { return product < 1e-20 ? 0.0 : product; }

// The next running product.
FASTREG_INLINE double next_power(double power, float beta) {
  return without_denormals(power * static_cast<double>(beta));
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

// A sum of squares that has reached the largest one stays there.
template <class V>
FASTREG_INLINE V sum_of_squares(V sum, V g) {
  return fma(g, g, sum);
}
template <class V>
FASTREG_INLINE V capped(V sum) {
  return min(V(kLargestSquare), sum);
}

// The new parameter of a rule that is three functions, under a proximal L1.
template <class Rule, class V>
FASTREG_INLINE V proximal_step(const Rule& rule, V w, V direction, const V* moment, V l1) {
  if constexpr (requires { rule.proximal(w, direction, l1); }) {
    return rule.proximal(w, direction, l1);
  } else {
    return soft_threshold(rule.apply(w, direction, moment), rule.step_size(moment) * l1);
  }
}

}  // namespace fastreg::math
