// The formulas of the losses that need all columns of a row together, each written once over a vector type V. A formula
// has kByRow true and
//   along<S>(row)   computes one row, where a vector holds neighbouring columns. It returns the loss, and writes the
//                   gradient if that is requested. S is the vector type with one lane
//   kPadsColumn     true: a row of one column is computed as one of several with padding, which keeps the code small
//   lanes(...)      if kHasLanes is true: the same for as many rows as V has lanes and up to 16 columns. No addition
//                   and no comparison crosses lanes, which is faster if rows are short
// math/losses.h has the losses that are means over columns.
//
//   z logits, p probabilities, t target, lse = log(sum_j e^(z_j - max)), scale = weight times the caller's factor
#pragma once
#include "math/losses.h"
#include "math/shares.h"
#include "math/softmax.h"

namespace fastreg::math {

template <class V, class Smoothing = Unsmoothed<V>>
struct CategoricalCrossentropy {
  static constexpr bool kByRow = true, kHasLanes = false;
  float smoothing;
  FASTREG_INLINE explicit CategoricalCrossentropy(const losses::CategoricalCrossentropy& loss)
      : smoothing(loss.label_smoothing) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const Smoothing smoothed(smoothing, static_cast<float>(row.cols));
    const RowShares<V> shares(row);
    V total(0.0f), mass(0.0f);
    for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
      const auto mask = valid<V>(row.cols, j);
      const auto value = share_loss(shares.of(V::load(row.y + j)), smoothed(V::load(row.target + j)));
      total = total + select(mask, value.loss, V(0.0f));
      mass = mass + select(mask, value.mass, V(0.0f));
      if (row.dy) value.pull.store(row.dy + j);
    }
    if (row.dy) {
      const V whole(sum(mass)), scale(shares.scale(row));
      for (std::size_t j = 0; j < row.ld; j += V::kLanes)
        select(valid<V>(row.cols, j), (whole - V::load(row.dy + j)) * scale, V(0.0f)).store(row.dy + j);
    }
    return sum(total);
  }
};

// sum_j t_j (lse - (z_j - max)); the gradient is p sum_j t_j - t, so targets need not sum to 1.
template <class V, class Smoothing = Unsmoothed<V>>
struct CategoricalCrossentropyFromLogits {
  static constexpr bool kByRow = true, kHasLanes = true;
  float smoothing;
  FASTREG_INLINE explicit CategoricalCrossentropyFromLogits(const losses::CategoricalCrossentropy& loss)
      : smoothing(loss.label_smoothing) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const Smoothing smoothed(smoothing, static_cast<float>(row.cols));
    const Number<V> top = row_max<V>(row.y, row.cols, row.ld);
    V mass(0.0f), linear(0.0f);
    for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
      const auto mask = valid<V>(row.cols, j);
      const V t = select(mask, smoothed(V::load(row.target + j)), V(0.0f));
      mass = mass + t;
      linear = fma(t, select(mask, V::load(row.y + j) - V(top), V(0.0f)), linear);
    }
    const Number<V> lse = softmax_along<V, S>(row.y, row.y, top, row.cols, row.ld), total = sum(mass);
    if (row.dy) {
      const V scale(row.scale);
      for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
        const V dy = scale * (V::load(row.y + j) * V(total) - smoothed(V::load(row.target + j)));
        select(valid<V>(row.cols, j), dy, V(0.0f)).store(row.dy + j);
      }
    }
    return total * lse - sum(linear);
  }
  // z holds the logits of each column, then the probabilities, which `keep` receives, and then dy if `gradient` is set.
  template <std::size_t kColumns, class Keep>
  FASTREG_INLINE V lanes(V (&z)[kColumns], const V (&target)[kColumns], V scale, std::size_t cols, bool gradient,
                         Keep&& keep) const {
    V shifted[kColumns];
    const V lse = softmax_lanes(z, shifted, cols);
    keep(z);
    const Smoothing smoothed(smoothing, static_cast<float>(cols));
    V loss(0.0f), mass(0.0f);
    for (std::size_t j = 0; j < cols; ++j) {
      const V t = smoothed(target[j]);
      loss = fma(t, lse - shifted[j], loss);
      mass = mass + t;
    }
    if (gradient) {
      for (std::size_t j = 0; j < cols; ++j) z[j] = scale * (z[j] * mass - smoothed(target[j]));
    }
    return loss;
  }
};
// A formula for rows of any width that has one loop only.
template <class Formula>
struct RowsOnly : Formula {
  static constexpr bool kHasLanes = false, kPadsColumn = true;
  using Formula::Formula;
};
template <>
struct FormulaOf<losses::CategoricalCrossentropy> {
  static constexpr bool kSmooths = true;
  template <class V>
  using OnOutputs = CategoricalCrossentropy<V>;
  template <class V>
  using OnLogits = CategoricalCrossentropyFromLogits<V>;
  template <class V>
  using SmoothedOnOutputs = RowsOnly<CategoricalCrossentropy<V, Smoothed<V>>>;
  template <class V>
  using SmoothedOnLogits = RowsOnly<CategoricalCrossentropyFromLogits<V, Smoothed<V>>>;
};

// CategoricalCrossentropy with a target of 1 in the label's column and 0 elsewhere.
template <class V>
struct SparseCategoricalCrossentropy {
  static constexpr bool kByRow = true, kHasLanes = false;
  FASTREG_INLINE explicit SparseCategoricalCrossentropy(const losses::SparseCategoricalCrossentropy&) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const RowShares<V> shares(row);
    const auto value = share_loss(S(shares.factor * row.y[row.label]) / S(shares.divisor), S(1.0f));
    if (row.dy) {
      const Number<V> scale = shares.scale(row), mass = sum(value.mass);
      const V others(mass * scale);
      for (std::size_t j = 0; j < row.ld; j += V::kLanes)
        select(valid<V>(row.cols, j), others, V(0.0f)).store(row.dy + j);
      row.dy[row.label] = (mass - sum(value.pull)) * scale;
    }
    return sum(value.loss);
  }
};

template <class V>
struct SparseCategoricalCrossentropyFromLogits {
  static constexpr bool kByRow = true, kHasLanes = true;
  FASTREG_INLINE explicit SparseCategoricalCrossentropyFromLogits(const losses::SparseCategoricalCrossentropy&) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const Number<V> top = row_max<V>(row.y, row.cols, row.ld);
    const Number<V> chosen = row.y[row.label] - top;
    const Number<V> lse = softmax_along<V, S>(row.y, row.y, top, row.cols, row.ld);
    if (row.dy) {
      const V scale(row.scale);
      for (std::size_t j = 0; j < row.ld; j += V::kLanes) (scale * V::load(row.y + j)).store(row.dy + j);
      row.dy[row.label] = row.scale * (row.y[row.label] - Number<V>(1.0f));
    }
    return lse - chosen;
  }
  // Like CategoricalCrossentropyFromLogits, but the gradient is always written.
  template <std::size_t kColumns, class Keep>
  FASTREG_INLINE V lanes(V (&z)[kColumns], V label, V scale, std::size_t cols, bool, Keep&& keep) const {
    V shifted[kColumns];
    const V lse = softmax_lanes(z, shifted, cols);
    keep(z);
    V chosen(0.0f);
    for (std::size_t j = 0; j < cols; ++j) {
      const auto here = label == V(static_cast<float>(j));
      chosen = select(here, shifted[j], chosen);
      z[j] = scale * select(here, z[j] - V(1.0f), z[j]);
    }
    return lse - chosen;
  }
};
template <>
struct FormulaOf<losses::SparseCategoricalCrossentropy> {
  template <class V>
  using OnOutputs = SparseCategoricalCrossentropy<V>;
  template <class V>
  using OnLogits = SparseCategoricalCrossentropyFromLogits<V>;
};

// A number of the description for each column from j on; one number is for all columns.
template <class V>
FASTREG_INLINE V of_columns(const Numbers& numbers, std::size_t j) {
  if (numbers.count == 1) return V(numbers.values[0]);
  const std::size_t first = j < numbers.count ? j : 0;   // there is nothing to load for padding
  return V::load_first(numbers.values + first, numbers.count - first);
}

// -sum_j a_j (1 - p_j)^gamma t_j log p_j. The gradient with respect to p_j, times -p_j, is `mass`.
template <class V>
struct FocalShare {
  V loss, mass;
};
template <class V>
FASTREG_INLINE FocalShare<V> focal_share(V p, V log_p, V t, V alpha, V gamma) {
  const V missed = max(V(1e-30f), V(1.0f) - p), weight = alpha * t * exp(gamma * log(missed));
  return {V(0.0f) - weight * log_p, weight * fnma(gamma * log_p, p / missed, V(1.0f))};
}

template <class V>
struct CategoricalFocalCrossentropy {
  static constexpr bool kByRow = true, kHasLanes = false, kPadsColumn = true;
  const losses::CategoricalFocalCrossentropy& loss;
  FASTREG_INLINE explicit CategoricalFocalCrossentropy(const losses::CategoricalFocalCrossentropy& given)
      : loss(given) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const Smoothed<V> smoothed(loss.label_smoothing, static_cast<float>(row.cols));
    const RowShares<V> shares(row);
    const V gamma(loss.gamma), least(kMinProbability), most(kMaxProbability);
    V total(0.0f), mass(0.0f);
    for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
      const auto mask = valid<V>(row.cols, j);
      const V share = shares.of(V::load(row.y + j)), p = min(most, max(least, share));
      const auto value =
          focal_share(p, log(p), smoothed(V::load(row.target + j)), of_columns<V>(loss.alpha, j), gamma);
      const V inside = select((share >= least) & (share <= most), value.mass, V(0.0f));
      total = total + select(mask, value.loss, V(0.0f));
      mass = mass + select(mask, inside, V(0.0f));
      if (row.dy) (inside / p).store(row.dy + j);
    }
    if (row.dy) {
      const V whole(sum(mass)), scale(shares.scale(row));
      for (std::size_t j = 0; j < row.ld; j += V::kLanes)
        select(valid<V>(row.cols, j), (whole - V::load(row.dy + j)) * scale, V(0.0f)).store(row.dy + j);
    }
    return sum(total);
  }
};

template <class V>
struct CategoricalFocalCrossentropyFromLogits {
  static constexpr bool kByRow = true, kHasLanes = false, kPadsColumn = true;
  const losses::CategoricalFocalCrossentropy& loss;
  FASTREG_INLINE explicit CategoricalFocalCrossentropyFromLogits(const losses::CategoricalFocalCrossentropy& given)
      : loss(given) {}
  // Computes log p = z - max - lse and p before y is replaced; dy holds the masses in between.
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const Smoothed<V> smoothed(loss.label_smoothing, static_cast<float>(row.cols));
    const Number<V> top = row_max<V>(row.y, row.cols, row.ld);
    V exponentials(0.0f);
    for (std::size_t j = 0; j < row.ld; j += V::kLanes)
      exponentials = exponentials + select(valid<V>(row.cols, j), exp(V::load(row.y + j) - V(top)), V(0.0f));
    const V lse(sum(log(S(sum(exponentials)))));
    const V gamma(loss.gamma);
    V total(0.0f), mass(0.0f);
    for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
      const auto mask = valid<V>(row.cols, j);
      const V log_p = select(mask, V::load(row.y + j) - V(top) - lse, V(0.0f)), p = exp(log_p);
      const auto value = focal_share(p, log_p, smoothed(V::load(row.target + j)), of_columns<V>(loss.alpha, j), gamma);
      total = total + select(mask, value.loss, V(0.0f));
      mass = mass + select(mask, value.mass, V(0.0f));
      select(mask, p, V(0.0f)).store(row.y + j);
      if (row.dy) value.mass.store(row.dy + j);
    }
    if (row.dy) {
      const V whole(sum(mass)), scale(row.scale);
      for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
        const V dy = scale * fma(V::load(row.y + j), whole, V(0.0f) - V::load(row.dy + j));
        select(valid<V>(row.cols, j), dy, V(0.0f)).store(row.dy + j);
      }
    }
    return sum(total);
  }
};
template <>
struct FormulaOf<losses::CategoricalFocalCrossentropy> {
  template <class V>
  using OnOutputs = CategoricalFocalCrossentropy<V>;
  template <class V>
  using OnLogits = CategoricalFocalCrossentropyFromLogits<V>;
};

// (1 - p^q) / q for the output p of the label, clipped to 1e-7 at least. The gradient is 0 where it was clipped.
// 1 - p^q cancels for a p near 1.
template <class V>
struct GeneralizedCrossEntropy {
  static constexpr bool kByRow = true, kHasLanes = false, kPadsColumn = true;
  float q;
  FASTREG_INLINE explicit GeneralizedCrossEntropy(const losses::CategoricalGeneralizedCrossEntropy& loss) : q(loss.q) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const S least(kMinProbability), y(row.y[row.label]), p = max(least, y);
    const S exponent = S(q) * log(p), power = exp(exponent);
    const S lost = select(p < S(2.0f), S(0.0f) - expm1_negative(min(S(1.0f), exponent)), S(1.0f) - power);
    if (row.dy) {
      for (std::size_t j = 0; j < row.ld; j += V::kLanes) V(0.0f).store(row.dy + j);
      row.dy[row.label] = sum(select(y >= least, S(0.0f) - S(row.scale) * power / p, S(0.0f)));
    }
    return sum(lost / S(q));
  }
};
template <>
struct FormulaOf<losses::CategoricalGeneralizedCrossEntropy> {
  template <class V>
  using OnOutputs = GeneralizedCrossEntropy<V>;
};

// max(0, 1 + max_j (1 - t_j) y_j - sum_j t_j y_j). Where several columns attain the maximum, they share its gradient.
template <class V>
struct CategoricalHinge {
  static constexpr bool kByRow = true, kHasLanes = false, kPadsColumn = true;
  FASTREG_INLINE explicit CategoricalHinge(const losses::CategoricalHinge&) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const V one(1.0f), zero(0.0f), lowest(-__builtin_inff());
    V right(0.0f), wrong = lowest;
    for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
      const auto mask = valid<V>(row.cols, j);
      const V y = V::load(row.y + j), t = V::load(row.target + j);
      right = right + select(mask, t * y, zero);
      wrong = max(wrong, select(mask, (one - t) * y, lowest));
    }
    const V top(max_lanes(wrong));
    const S gap = max(S(0.0f), S(max_lanes(wrong)) - S(sum(right)) + S(1.0f));
    if (row.dy) gradient<S>(row, top, select(gap > S(0.0f), S(row.scale), S(0.0f)));
    return sum(gap);
  }
  template <class S>
  FASTREG_INLINE void gradient(const LossRow<V>& row, V top, S scale) const {
    const V one(1.0f), zero(0.0f), factor(sum(scale));
    V equals(0.0f);
    for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
      const auto mask = valid<V>(row.cols, j);
      const V y = V::load(row.y + j), t = V::load(row.target + j);
      equals = equals + select(mask, select((one - t) * y == top, one, zero), zero);
    }
    const V share = one / V(sum(equals));
    for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
      const V y = V::load(row.y + j), t = V::load(row.target + j);
      const V pull = select((one - t) * y == top, (one - t) * share, zero);
      select(valid<V>(row.cols, j), factor * (pull - t), zero).store(row.dy + j);
    }
  }
};
template <>
struct FormulaOf<losses::CategoricalHinge> {
  template <class V>
  using OnOutputs = CategoricalHinge<V>;
};

// The length of a row, without overflow: its largest size times the root of a sum of squares that are at most 1. It is
// 1e-7 at least, and `clipped` then.
template <class V, class S>
struct RowLength {
  Number<V> length;
  bool clipped;
  FASTREG_INLINE RowLength(const Number<V>* values, std::size_t cols, std::size_t ld) {
    V largest(0.0f), total(0.0f);
    for (std::size_t j = 0; j < ld; j += V::kLanes)
      largest = max(largest, select(valid<V>(cols, j), abs(V::load(values + j)), V(0.0f)));
    const Number<V> top = sum(max(S(1e-30f), S(max_lanes(largest))));
    for (std::size_t j = 0; j < ld; j += V::kLanes) {
      const V part = select(valid<V>(cols, j), V::load(values + j), V(0.0f)) / V(top);
      total = fma(part, part, total);
    }
    length = top * sum(sqrt(S(sum(total))));
    clipped = length < Number<V>(kMinProbability);
    if (clipped) length = kMinProbability;
  }
};

// -cos(y, t). The gradient with respect to y_j is -(t_j / |t| - cos y_j / |y|) / |y|; it is 0 where |y| was clipped.
template <class V>
struct CosineSimilarity {
  static constexpr bool kByRow = true, kHasLanes = false, kPadsColumn = true;
  FASTREG_INLINE explicit CosineSimilarity(const losses::CosineSimilarity&) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const RowLength<V, S> of_y(row.y, row.cols, row.ld), of_t(row.target, row.cols, row.ld);
    const V y_length(of_y.length), t_length(of_t.length), zero(0.0f);
    V total(0.0f);
    for (std::size_t j = 0; j < row.ld; j += V::kLanes)
      total = total + select(valid<V>(row.cols, j),
                             V::load(row.y + j) / y_length * (V::load(row.target + j) / t_length), zero);
    const Number<V> cosine = sum(total);
    if (row.dy) {
      const V factor(of_y.clipped ? Number<V>(0.0f) : row.scale / of_y.length), along_y(cosine);
      for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
        const V pull = fnma(along_y, V::load(row.y + j) / y_length, V::load(row.target + j) / t_length);
        select(valid<V>(row.cols, j), zero - factor * pull, zero).store(row.dy + j);
      }
    }
    return Number<V>(0.0f) - cosine;
  }
};
template <>
struct FormulaOf<losses::CosineSimilarity> {
  template <class V>
  using OnOutputs = CosineSimilarity<V>;
};

// max(q e, (q - 1) e) with e = t - y, as a mean over the columns, each with the quantile q of its block.
template <class V>
struct Quantile {
  static constexpr bool kByRow = true, kHasLanes = false, kPadsColumn = true;
  const losses::Quantile& loss;
  FASTREG_INLINE explicit Quantile(const losses::Quantile& given) : loss(given) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const Number<V> share = Number<V>(1.0f) / static_cast<Number<V>>(row.cols);
    const std::size_t each = row.cols / loss.quantiles.count;
    const V zero(0.0f), one(1.0f), scale(row.scale * share);
    V total(0.0f);
    if (row.dy)
      for (std::size_t j = 0; j < row.ld; j += V::kLanes) zero.store(row.dy + j);
    for (std::size_t block = 0; block < loss.quantiles.count; ++block) {
      const V q(loss.quantiles.values[block]);
      for (std::size_t j = 0; j < each; j += V::kLanes) {
        const std::size_t at = block * each + j, n = each - j;
        const V error = V::load_first(row.target + at, n) - V::load_first(row.y + at, n);   // 0 from n on
        total = total + max(q * error, (q - one) * error);
        const V slope = select(error > zero, zero - q, select(error < zero, one - q, zero));
        if (row.dy) (slope * scale).store_first(row.dy + at, n);
      }
    }
    return sum(total) * share;
  }
};
template <>
struct FormulaOf<losses::Quantile> {
  template <class V>
  using OnOutputs = Quantile<V>;
};

// (s + (m - t)^2 e^-s) / 2 as a mean over the targets, for means m in the first half of the columns and logarithms of
// variances s in the second half, clipped from below. The gradient of one that was clipped only raises it.
template <class V>
struct GaussianNLL {
  static constexpr bool kByRow = true, kHasLanes = false, kPadsColumn = true;
  bool full;
  float epsilon;
  FASTREG_INLINE explicit GaussianNLL(const losses::GaussianNLL& loss) : full(loss.full), epsilon(loss.epsilon) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const std::size_t half = row.cols / 2;
    const Number<V> share = Number<V>(1.0f) / static_cast<Number<V>>(half);
    const V zero(0.0f), one(1.0f), least(sum(log(S(epsilon)))), scale(row.scale * share);
    V total(0.0f);
    if (row.dy)
      for (std::size_t j = 0; j < row.ld; j += V::kLanes) zero.store(row.dy + j);
    for (std::size_t j = 0; j < half; j += V::kLanes) {
      const std::size_t n = half - j;
      const V spread = V::load_first(row.y + half + j, n), s = max(least, spread);
      const V error = V::load_first(row.y + j, n) - V::load_first(row.target + j, n), root = exp(V(-0.5f) * s);
      const V size = error * root, square = size * size;
      total = total + select(valid<V>(half, j), s + square, zero);
      if (row.dy) {
        const V slope = V(0.5f) * (one - square);
        (scale * size * root).store_first(row.dy + j, n);
        (scale * select(spread < least, min(zero, slope), slope)).store_first(row.dy + half + j, n);
      }
    }
    const Number<V> constant = full ? 0.91893853f : 0.0f;   // log(2 pi) / 2
    return Number<V>(0.5f) * sum(total) * share + constant;
  }
};
template <>
struct FormulaOf<losses::GaussianNLL> {
  template <class V>
  using OnOutputs = GaussianNLL<V>;
};

}  // namespace fastreg::math
