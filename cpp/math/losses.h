// Element losses with their gradients, each once, over a vector type V. y prediction, t target, z logit. Gradients are
// with respect to the argument that is named first; the means and weights are the caller's.
#pragma once
#include "math/activations.h"

namespace fastreg::math {

inline constexpr float kMinProbability = 1e-7f;
inline constexpr float kMaxProbability = 1.0f - 1e-7f;
// With p >= 1e-7, gradients of a row of weight 1 stay below 1e37.
inline constexpr float kMinSum = 1e-30f;

template <class V>
struct LossValue {
  V loss, gradient;
};

struct SquaredError {
  static constexpr bool kReplacesOutput = false;
  template <class V>
  static FASTREG_INLINE LossValue<V> evaluate(V& y, V t) {
    const V error = y - t;
    return {error * error, error + error};
  }
};

// -t log y - (1 - t) log(1 - y) with y clipped; the gradient is 0 where it was.
struct BinaryCrossentropy {
  static constexpr bool kReplacesOutput = false;
  template <class V>
  static FASTREG_INLINE LossValue<V> evaluate(V& y, V t) {
    const V one(1.0f);
    const V p = min(V(kMaxProbability), max(V(kMinProbability), y));
    const V q = one - p;
    const V gain = fma(t, log(p), (one - t) * log(q));
    const auto inside = (y >= V(kMinProbability)) & (y <= V(kMaxProbability));
    return {V(0.0f) - gain, select(inside, (p - t) / (p * q), V(0.0f))};
  }
};

// log(1 + e^z) - t z; the logit is replaced by its sigmoid p, and the gradient is p - t.
struct BinaryCrossentropyFromLogits {
  static constexpr bool kReplacesOutput = true;
  template <class V>
  static FASTREG_INLINE LossValue<V> evaluate(V& z, V t) {
    const V u = exp(V(0.0f) - abs(z));
    const V loss = fnma(z, t, max(V(0.0f), z)) + log1p_unit(u);
    const V p = select(z >= V(0.0f), V(1.0f), u) / (V(1.0f) + u);
    z = p;
    return {loss, p - t};
  }
};

// -t log p with p, an output's share of the sum of its row, clipped. Where p was not clipped, mass is t and pull t / p,
// else both are 0. The gradient with respect to y_j is (sum_k mass_k - pull_j) / sum: the sum depends on y, too.
template <class V>
struct ShareLoss {
  V loss, mass, pull;
};

struct CategoricalCrossentropy {
  // What the outputs are divided by: their sum, or where that is as good as 0 a number that keeps all results finite.
  static FASTREG_INLINE float divisor(float sum) {
    return sum > -kMinSum && sum < kMinSum ? kMinSum : sum;
  }
  template <class V>
  static FASTREG_INLINE ShareLoss<V> evaluate(V y, V t, V divisor) {
    const V share = y / divisor;
    const V p = min(V(kMaxProbability), max(V(kMinProbability), share));
    const auto inside = (share >= V(kMinProbability)) & (share <= V(kMaxProbability));
    return {V(0.0f) - t * log(p), select(inside, t, V(0.0f)), select(inside, t / p, V(0.0f))};
  }
};

}  // namespace fastreg::math
