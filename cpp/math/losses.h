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
// OnLogits<V>, the formula for the values before it, which it replaces by the outputs. SmoothedOnOutputs and
// SmoothedOnLogits take their place if kSmooths is true and label_smoothing is not 0.
template <class Loss>
struct FormulaOf;

// An element formula has kByRow false and evaluate(y, t). If kReplacesOutput is true, it changes y. It may have
//   kInBlocks   true: one loop over blocks serves rows of any width, which keeps the code small
//   kSum        true: the loss of a row is the sum over its columns and not the mean
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

// Targets with a share of the label smoothing in every class: t (1 - s) + s / classes.
template <class V>
struct Smoothed {
  V kept, share;
  FASTREG_INLINE Smoothed(float smoothing, float classes) : kept(1.0f - smoothing), share(smoothing / classes) {}
  FASTREG_INLINE V operator()(V t) const { return fma(t, kept, share); }
};

template <class V>
struct Unsmoothed {
  FASTREG_INLINE Unsmoothed(float, float) {}
  FASTREG_INLINE V operator()(V t) const { return t; }
};

// log(1 - p) for p in [0, 1), where q is 1 - p as rounded: of a small p it has lost digits.
template <class V>
FASTREG_INLINE V log_of_rest(V p, V q) {
  V m;
  const V e = split_exponent(q, &m);
  return log_reduced(select(p < V(0.25f), V(0.0f) - p, m - V(1.0f)), e);
}

// -t log y - (1 - t) log(1 - y) with y clipped. The gradient is 0 where y was clipped.
template <class V, class Smoothing = Unsmoothed<V>>
struct BinaryCrossentropy {
  static constexpr bool kByRow = false, kReplacesOutput = false;
  Smoothing smoothed;
  FASTREG_INLINE explicit BinaryCrossentropy(const losses::BinaryCrossentropy& loss)
      : smoothed(loss.label_smoothing, 2.0f) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V target) const {
    const V one(1.0f), t = smoothed(target);
    const V p = min(V(kMaxProbability), max(V(kMinProbability), y));
    const V q = one - p;
    const V gain = fma(t, log(p), (one - t) * log_of_rest(p, q));
    const auto inside = (y >= V(kMinProbability)) & (y <= V(kMaxProbability));
    return {V(0.0f) - gain, select(inside, (p - t) / (p * q), V(0.0f))};
  }
};
// log(1 + e^z) - t z; the logit is replaced by its sigmoid p, and the gradient is p - t.
template <class V, class Smoothing = Unsmoothed<V>>
struct BinaryCrossentropyFromLogits {
  static constexpr bool kByRow = false, kReplacesOutput = true;
  Smoothing smoothed;
  FASTREG_INLINE explicit BinaryCrossentropyFromLogits(const losses::BinaryCrossentropy& loss)
      : smoothed(loss.label_smoothing, 2.0f) {}
  FASTREG_INLINE LossValue<V> evaluate(V& z, V target) const {
    const V t = smoothed(target), u = exp(V(0.0f) - abs(z));
    const V loss = fnma(z, t, max(V(0.0f), z)) + log1p_unit(u);
    const V p = select(z >= V(0.0f), V(1.0f), u) / (V(1.0f) + u);
    z = p;
    return {loss, p - t};
  }
};
template <class Formula>
struct InBlocks : Formula {
  static constexpr bool kInBlocks = true;
  using Formula::Formula;
};
template <>
struct FormulaOf<losses::BinaryCrossentropy> {
  static constexpr bool kSmooths = true;
  template <class V>
  using OnOutputs = BinaryCrossentropy<V>;
  template <class V>
  using OnLogits = BinaryCrossentropyFromLogits<V>;
  template <class V>
  using SmoothedOnOutputs = InBlocks<BinaryCrossentropy<V, Smoothed<V>>>;
  template <class V>
  using SmoothedOnLogits = InBlocks<BinaryCrossentropyFromLogits<V, Smoothed<V>>>;
};

// a where x > 0, -a where x < 0, and 0 where x is 0.
template <class V>
FASTREG_INLINE V by_sign(V x, V a) {
  return select(x > V(0.0f), a, select(x < V(0.0f), V(0.0f) - a, x));
}

template <class V>
struct AbsoluteError {
  static constexpr bool kByRow = false, kReplacesOutput = false, kInBlocks = true;
  FASTREG_INLINE explicit AbsoluteError(const losses::MeanAbsoluteError&) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V t) const {
    const V error = y - t;
    return {abs(error), by_sign(error, V(1.0f))};
  }
};
template <>
struct FormulaOf<losses::MeanAbsoluteError> {
  template <class V>
  using OnOutputs = AbsoluteError<V>;
};

// 100 |y - t| / |t|, where |t| is 1e-7 at least.
template <class V>
struct AbsolutePercentageError {
  static constexpr bool kByRow = false, kReplacesOutput = false, kInBlocks = true;
  FASTREG_INLINE explicit AbsolutePercentageError(const losses::MeanAbsolutePercentageError&) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V t) const {
    const V error = y - t, slope = V(100.0f) / max(V(kMinProbability), abs(t));
    return {abs(error) * slope, by_sign(error, slope)};
  }
};
template <>
struct FormulaOf<losses::MeanAbsolutePercentageError> {
  template <class V>
  using OnOutputs = AbsolutePercentageError<V>;
};

// log(a / b) from a - b and the smaller of both, which are positive and whose ratio does not overflow. The error is one
// of the result, which the difference of two logarithms would lose where a and b are close.
template <class V>
FASTREG_INLINE V log_of_ratio(V difference, V smaller) {
  const V excess = abs(difference) / smaller, ratio = excess + V(1.0f);
  V m;
  const V e = split_exponent(ratio, &m);
  const V distance = log_reduced(select(excess < V(0.375f), excess, m - V(1.0f)), e);
  return by_sign(difference, select(ratio < V(__builtin_inff()), distance, ratio));
}

// (log(1 + y) - log(1 + t))^2 with y and t clipped to 1e-7 at least. The gradient is 0 where y was clipped.
template <class V>
struct SquaredLogarithmicError {
  static constexpr bool kByRow = false, kReplacesOutput = false, kInBlocks = true;
  FASTREG_INLINE explicit SquaredLogarithmicError(const losses::MeanSquaredLogarithmicError&) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V t) const {
    const V least(kMinProbability), one(1.0f), p = max(least, y), q = max(least, t), more = p + one;
    const V error = log_of_ratio(p - q, min(p, q) + one);
    return {error * error, select(y >= least, (error + error) / more, V(0.0f))};
  }
};
template <>
struct FormulaOf<losses::MeanSquaredLogarithmicError> {
  template <class V>
  using OnOutputs = SquaredLogarithmicError<V>;
};

// log cosh e = |e| + log((1 + u) / 2) with u = e^(-2 |e|); the gradient is tanh e = (1 - u) / (1 + u). The two terms
// cancel for a small e, whose loss is e^2 / 2: the next term is -e^4 / 12.
template <class V>
struct LogCosh {
  static constexpr bool kByRow = false, kReplacesOutput = false, kInBlocks = true;
  FASTREG_INLINE explicit LogCosh(const losses::LogCosh&) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V t) const {
    const V error = y - t, size = abs(error), less = expm1_negative(V(-2.0f) * size);   // u - 1
    const auto lower = less < V(-0.58578644f);                                        // (1 + u) / 2 < sqrt(1/2)
    const V logarithm = log_reduced(select(lower, less + V(1.0f), V(0.5f) * less), select(lower, V(-1.0f), V(0.0f)));
    const V loss = select(size < V(0x1p-10f), V(0.5f) * size * size, size + logarithm);
    return {loss, by_sign(error, V(0.0f) - less / (less + V(2.0f)))};
  }
};
template <>
struct FormulaOf<losses::LogCosh> {
  template <class V>
  using OnOutputs = LogCosh<V>;
};

// y - t log(y + 1e-7) with y clipped to 0 at least. The gradient is 1 - t / (y + 1e-7), and 0 where y was clipped.
template <class V>
struct Poisson {
  static constexpr bool kByRow = false, kReplacesOutput = false, kInBlocks = true;
  FASTREG_INLINE explicit Poisson(const losses::Poisson&) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V t) const {
    const V least(kMinProbability), mean = max(V(0.0f), y), more = mean + least;
    return {fnma(t, log(more), mean), select(y >= V(0.0f), (mean - t + least) / more, V(0.0f))};
  }
};
template <>
struct FormulaOf<losses::Poisson> {
  template <class V>
  using OnOutputs = Poisson<V>;
};

// t log(t / y) with t and y clipped to [1e-7, 1]. The gradient is 0 where y was clipped.
template <class V>
struct KLDivergence {
  static constexpr bool kByRow = false, kReplacesOutput = false, kInBlocks = true, kSum = true;
  FASTREG_INLINE explicit KLDivergence(const losses::KLDivergence&) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V target) const {
    const V least(kMinProbability), one(1.0f);
    const V p = min(one, max(least, y)), t = min(one, max(least, target));
    const auto inside = (y >= least) & (y <= one);
    return {t * log_of_ratio(t - p, min(t, p)), select(inside, V(0.0f) - t / p, V(0.0f))};
  }
};
template <>
struct FormulaOf<losses::KLDivergence> {
  template <class V>
  using OnOutputs = KLDivergence<V>;
};

// max(0, 1 - s y) or its square, where s is 1 for a target above 0, else -1.
template <class V>
struct Hinge {
  static constexpr bool kByRow = false, kReplacesOutput = false, kInBlocks = true;
  FASTREG_INLINE explicit Hinge(const losses::Hinge&) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V t) const {
    const V sign = select(t > V(0.0f), V(1.0f), V(-1.0f)), gap = fnma(sign, y, V(1.0f));
    return {max(V(0.0f), gap), select(gap > V(0.0f), V(0.0f) - sign, V(0.0f))};
  }
};
template <>
struct FormulaOf<losses::Hinge> {
  template <class V>
  using OnOutputs = Hinge<V>;
};

template <class V>
struct SquaredHinge {
  static constexpr bool kByRow = false, kReplacesOutput = false, kInBlocks = true;
  FASTREG_INLINE explicit SquaredHinge(const losses::SquaredHinge&) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V t) const {
    const V sign = select(t > V(0.0f), V(1.0f), V(-1.0f)), gap = max(V(0.0f), fnma(sign, y, V(1.0f)));
    return {gap * gap, V(-2.0f) * sign * gap};
  }
};
template <>
struct FormulaOf<losses::SquaredHinge> {
  template <class V>
  using OnOutputs = SquaredHinge<V>;
};

// The deviance d with dd/dy = 2 (y - t) / y^p, and d = 0 at y = t: d = 2 (P(2 - p) - t P(1 - p)), P(c) = (y^c - t^c) /
// c, or log(y / t) where c is 0. These cancel where y and t are close: with x = log(y / t), u = 2 - p and v = 1 - p it
// is 2 t^u sum_(k >= 2) (u^(k-1) - v^(k-1)) x^k / k!, of which eight terms are enough for |x| < log 2. y is clipped to
// 1e-7 at least; the gradient is 0 where it was. Where y^-p may leave the range of float, it is multiplied by 2^125,
// and y - t by 2^-125.
template <class V>
struct Tweedie {
  static constexpr bool kByRow = false, kReplacesOutput = false, kInBlocks = true;
  static constexpr int kTerms = 8;
  float power, series[kTerms];
  FASTREG_INLINE explicit Tweedie(const losses::Tweedie& loss) : power(loss.power) {
    const float u = 2.0f - power, v = 1.0f - power;
    float term = 1.0f, of_v = 1.0f, factorial = 2.0f;   // of k = 2; u - v is 1
    for (int i = 0; i < kTerms; ++i) {
      series[i] = term / factorial;
      of_v *= v;
      term = u * term + of_v;
      factorial *= static_cast<float>(i + 3);
    }
  }
  // |P(c)| from the exponent |c|, the size of log(y / t) and the logarithm of that of y and t whose power is the
  // larger.
  FASTREG_INLINE static V power_difference(float exponent, V distance, V logarithm, float sign) {
    if (exponent == 0.0f) return distance;
    const V c(exponent);
    return exp(V(sign) * c * logarithm) * expm1_negative(V(0.0f) - c * distance) / (V(0.0f) - c);
  }
  FASTREG_INLINE V deviance(V mean, V t, V log_y) const {
    const V smallest(1e-30f), some = max(smallest, t), log_t = log(some), ratio = log_y - log_t;
    const float u = 2.0f - power;
    V above = power_difference(u, abs(ratio), max(log_t, log_y), 1.0f);
    if (u > 0.0f) above = select(t < smallest, exp(V(u) * log_y) / V(u), above);   // t^u is 0
    const V below = power_difference(power - 1.0f, abs(ratio), min(log_t, log_y), -1.0f);
    const V far = by_sign(ratio, fnma(t, below, above));
    const V lesser = min(mean, some), x = log_of_ratio(mean - t, lesser);
    V near(series[kTerms - 1]);
    for (int i = kTerms - 2; i >= 0; --i) near = fma(near, x, V(series[i]));
    near = x * x * near * exp(V(u) * log_t);
    return V(2.0f) * select(abs(mean - t) < lesser, near, far);
  }
  FASTREG_INLINE LossValue<V> evaluate(V& y, V t) const {
    const V least(kMinProbability), mean = max(least, y), log_y = log(mean);
    const auto far = log_y > V(40.0f);
    const V shift = select(far, V(86.6433976f), V(0.0f)), share = select(far, V(0x1p-125f), V(1.0f));
    const V slope = share * (mean - t) * (V(2.0f) * exp(fma(V(0.0f - power), log_y, shift)));
    return {deviance(mean, t, log_y), select(y >= least, slope, V(0.0f))};
  }
};
template <>
struct FormulaOf<losses::Tweedie> {
  template <class V>
  using OnOutputs = Tweedie<V>;
};

// w m^gamma c with the cross-entropy c, m = t (1 - p) + (1 - t) p, and the weight w of the class. `slope` is dp/dx and
// `gradient` dc/dx, where x is the output or the logit.
template <class V>
struct Focal {
  V alpha, gamma;
  Smoothed<V> smoothed;
  bool balanced;
  FASTREG_INLINE explicit Focal(const losses::BinaryFocalCrossentropy& loss)
      : alpha(loss.alpha), gamma(loss.gamma), smoothed(loss.label_smoothing, 2.0f),
        balanced(loss.apply_class_balancing) {}
  FASTREG_INLINE LossValue<V> evaluate(V p, V q, V t, V entropy, V slope, V gradient) const {
    const V one(1.0f), missed = max(V(1e-30f), fma(t, q, (one - t) * p));
    V weight = exp(gamma * log(missed));
    if (balanced) weight = weight * fma(t, alpha, (one - t) * (one - alpha));
    const V steeper = gamma * entropy * (one - t - t) * (slope / missed);
    return {weight * entropy, weight * (steeper + gradient)};
  }
};
template <class V>
struct BinaryFocalCrossentropy {
  static constexpr bool kByRow = false, kReplacesOutput = false, kInBlocks = true;
  Focal<V> focal;
  FASTREG_INLINE explicit BinaryFocalCrossentropy(const losses::BinaryFocalCrossentropy& loss) : focal(loss) {}
  FASTREG_INLINE LossValue<V> evaluate(V& y, V target) const {
    const V one(1.0f), t = focal.smoothed(target);
    const V p = min(V(kMaxProbability), max(V(kMinProbability), y)), q = one - p;
    const V entropy = V(0.0f) - fma(t, log(p), (one - t) * log_of_rest(p, q));
    LossValue<V> value = focal.evaluate(p, q, t, entropy, one, (p - t) / (p * q));
    const auto inside = (y >= V(kMinProbability)) & (y <= V(kMaxProbability));
    value.gradient = select(inside, value.gradient, V(0.0f));
    return value;
  }
};
template <class V>
struct BinaryFocalCrossentropyFromLogits {
  static constexpr bool kByRow = false, kReplacesOutput = true, kInBlocks = true;
  Focal<V> focal;
  FASTREG_INLINE explicit BinaryFocalCrossentropyFromLogits(const losses::BinaryFocalCrossentropy& loss)
      : focal(loss) {}
  FASTREG_INLINE LossValue<V> evaluate(V& z, V target) const {
    const V one(1.0f), t = focal.smoothed(target), u = exp(V(0.0f) - abs(z)), share = one / (one + u);
    const auto upper = z >= V(0.0f);
    const V p = select(upper, one, u) * share, q = select(upper, u, one) * share;
    const V entropy = fnma(z, t, max(V(0.0f), z)) + log1p_unit(u);
    z = p;
    // 1 - q would have lost the digits of a small q.
    return focal.evaluate(p, q, t, entropy, p * q, select(upper, one - t - q, p - t));
  }
};
template <>
struct FormulaOf<losses::BinaryFocalCrossentropy> {
  template <class V>
  using OnOutputs = BinaryFocalCrossentropy<V>;
  template <class V>
  using OnLogits = BinaryFocalCrossentropyFromLogits<V>;
};

}  // namespace fastreg::math
