// The formulas of the losses that are means over the columns of a row, each written once over a vector type V
// (cpu/simd/simd.h lists its functions). A formula is made from its description and computes the loss of each element
// and its gradient. The caller computes means and applies the weights of rows.
//   y  output, or z, the value before the activation that the loss absorbs      t  target
// A loss that is not a mean over columns has its formula in math/row_losses.h.
#pragma once
#include "fastreg/losses.h"
#include "math/activations.h"

namespace fastreg::math {

// For each loss of fastreg/losses.h: OnOutputs<V>, the formula for outputs, and, if the loss absorbs an activation,
// OnLogits<V>, the formula for the values before it, which it replaces by the outputs.
template <class Loss>
struct FormulaOf;

// An element formula has kByRow false and evaluate(y, t). If kReplacesOutput is true, it changes y.
template <class V>
struct LossValue {
  V loss, gradient;
};

inline constexpr float kMinProbability = 1e-7f;
inline constexpr float kMaxProbability = 1.0f - 1e-7f;

template <class V>
struct SquaredError {
  static constexpr bool kByRow = false, kReplacesOutput = false;
  FASTREG_INLINE explicit SquaredError(const losses::MeanSquaredError&) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V t) const {
    const V error = y - t;
    return {error * error, error + error};
  }
};
template <>
struct FormulaOf<losses::MeanSquaredError> {
  template <class V>
  using OnOutputs = SquaredError<V>;
};

// e^2 / 2 for an error e of at most delta in size, and delta (|e| - delta / 2) for a larger one. The gradient is e,
// limited to delta.
template <class V>
struct Huber {
  static constexpr bool kByRow = false, kReplacesOutput = false;
  V delta;
  FASTREG_INLINE explicit Huber(const losses::Huber& loss) : delta(loss.delta) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V t) const {
    const V error = y - t, size = abs(error), quadratic = min(delta, size);
    return {quadratic * fnma(V(0.5f), quadratic, size), max(V(0.0f) - delta, min(delta, error))};
  }
};
template <>
struct FormulaOf<losses::Huber> {
  template <class V>
  using OnOutputs = Huber<V>;
};

// -t log y - (1 - t) log(1 - y) with y clipped. The gradient is 0 where y was clipped.
template <class V>
struct BinaryCrossentropy {
  static constexpr bool kByRow = false, kReplacesOutput = false;
  FASTREG_INLINE explicit BinaryCrossentropy(const losses::BinaryCrossentropy&) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V t) const {
    const V one(1.0f);
    const V p = min(V(kMaxProbability), max(V(kMinProbability), y));
    const V q = one - p;
    const V gain = fma(t, log(p), (one - t) * log(q));
    const auto inside = (y >= V(kMinProbability)) & (y <= V(kMaxProbability));
    return {V(0.0f) - gain, select(inside, (p - t) / (p * q), V(0.0f))};
  }
};
// log(1 + e^z) - t z; the logit is replaced by its sigmoid p, and the gradient is p - t.
template <class V>
struct BinaryCrossentropyFromLogits {
  static constexpr bool kByRow = false, kReplacesOutput = true;
  FASTREG_INLINE explicit BinaryCrossentropyFromLogits(const losses::BinaryCrossentropy&) {}
  FASTREG_INLINE LossValue<V> evaluate(V& z, V t) const {
    const V u = exp(V(0.0f) - abs(z));
    const V loss = fnma(z, t, max(V(0.0f), z)) + log1p_unit(u);
    const V p = select(z >= V(0.0f), V(1.0f), u) / (V(1.0f) + u);
    z = p;
    return {loss, p - t};
  }
};
template <>
struct FormulaOf<losses::BinaryCrossentropy> {
  template <class V>
  using OnOutputs = BinaryCrossentropy<V>;
  template <class V>
  using OnLogits = BinaryCrossentropyFromLogits<V>;
};

}  // namespace fastreg::math
