// The formulas of the losses that need all columns of a row together, each written once over a vector type V. A formula
// has kByRow true and
//   along<S>(row)   computes one row, where a vector holds neighbouring columns. It returns the loss, and writes the
//                   gradient if that is requested. S is the vector type with one lane
//   lanes(...)      if kHasLanes is true: the same for as many rows as V has lanes and up to 16 columns. No addition and
//                   no comparison crosses lanes, which is faster if rows are short
// math/losses.h has the losses that are means over columns.
//
//   z logits, p probabilities, t target, lse = log(sum_j e^(z_j - max)), scale = weight times the caller's factor
#pragma once
#include <cstdint>

#include "math/losses.h"
#include "math/softmax.h"

namespace fastreg::math {

// One row. Padding of y and target is finite; that of dy is written as 0.
template <class V>
struct LossRow {
  Number<V>* y;              // is replaced by the probabilities if the formula starts from logits
  const Number<V>* target;   // is null if the loss takes labels
  std::int32_t label;
  Number<V>* dy;             // is null if the gradient is not requested
  Number<V> scale;           // the factor of dy
  std::size_t cols, ld;
};

// With p >= 1e-7, gradients of a row of weight 1 stay below 1e37.
inline constexpr float kMinSum = 1e-30f;

// -t log p with p, an output's share of the sum of its row, clipped. Where p was not clipped, mass is t and pull t / p,
// else both are 0. The gradient with respect to y_j is (sum_k mass_k - pull_j) / sum: the sum depends on y, too.
template <class V>
struct ShareLoss {
  V loss, mass, pull;
};
template <class V>
FASTREG_INLINE ShareLoss<V> share_loss(V y, V t, V divisor) {
  const V share = y / divisor;
  const V p = min(V(kMaxProbability), max(V(kMinProbability), share));
  const auto inside = (share >= V(kMinProbability)) & (share <= V(kMaxProbability));
  return {V(0.0f) - t * log(p), select(inside, t, V(0.0f)), select(inside, t / p, V(0.0f))};
}

// The divisor that makes the outputs of a row add up to 1: their sum or, if that is almost 0, a number that keeps all
// results finite.
template <class V>
FASTREG_INLINE Number<V> share_divisor(const LossRow<V>& row) {
  V total(0.0f);
  for (std::size_t j = 0; j < row.ld; j += V::kLanes)
    total = total + select(valid<V>(row.cols, j), V::load(row.y + j), V(0.0f));
  const Number<V> divisor = sum(total), least(kMinSum);
  return divisor > -least && divisor < least ? least : divisor;
}

template <class V>
struct CategoricalCrossentropy {
  static constexpr bool kByRow = true, kHasLanes = false;
  FASTREG_INLINE explicit CategoricalCrossentropy(const losses::CategoricalCrossentropy&) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const Number<V> divisor = share_divisor(row);
    V total(0.0f), mass(0.0f);
    for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
      const auto mask = valid<V>(row.cols, j);
      const auto value = share_loss(V::load(row.y + j), V::load(row.target + j), V(divisor));
      total = total + select(mask, value.loss, V(0.0f));
      mass = mass + select(mask, value.mass, V(0.0f));
      if (row.dy) value.pull.store(row.dy + j);
    }
    if (row.dy) {
      const V whole(sum(mass)), scale(row.scale / divisor);
      for (std::size_t j = 0; j < row.ld; j += V::kLanes)
        select(valid<V>(row.cols, j), (whole - V::load(row.dy + j)) * scale, V(0.0f)).store(row.dy + j);
    }
    return sum(total);
  }
};

// sum_j t_j (lse - (z_j - max)); the gradient is p sum_j t_j - t, so targets need not sum to 1.
template <class V>
struct CategoricalCrossentropyFromLogits {
  static constexpr bool kByRow = true, kHasLanes = true;
  FASTREG_INLINE explicit CategoricalCrossentropyFromLogits(const losses::CategoricalCrossentropy&) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const Number<V> top = row_max<V>(row.y, row.cols, row.ld);
    V mass(0.0f), linear(0.0f);
    for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
      const auto mask = valid<V>(row.cols, j);
      const V t = select(mask, V::load(row.target + j), V(0.0f));
      mass = mass + t;
      linear = fma(t, select(mask, V::load(row.y + j) - V(top), V(0.0f)), linear);
    }
    const Number<V> lse = softmax_along<V, S>(row.y, row.y, top, row.cols, row.ld), total = sum(mass);
    if (row.dy) {
      const V scale(row.scale);
      for (std::size_t j = 0; j < row.ld; j += V::kLanes) {
        const V dy = scale * (V::load(row.y + j) * V(total) - V::load(row.target + j));
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
    V loss(0.0f), mass(0.0f);
    for (std::size_t j = 0; j < cols; ++j) {
      loss = fma(target[j], lse - shifted[j], loss);
      mass = mass + target[j];
    }
    if (gradient) {
      for (std::size_t j = 0; j < cols; ++j) z[j] = scale * (z[j] * mass - target[j]);
    }
    return loss;
  }
};
template <>
struct FormulaOf<losses::CategoricalCrossentropy> {
  template <class V>
  using OnOutputs = CategoricalCrossentropy<V>;
  template <class V>
  using OnLogits = CategoricalCrossentropyFromLogits<V>;
};

// CategoricalCrossentropy with a target of 1 in the label's column and 0 elsewhere.
template <class V>
struct SparseCategoricalCrossentropy {
  static constexpr bool kByRow = true, kHasLanes = false;
  FASTREG_INLINE explicit SparseCategoricalCrossentropy(const losses::SparseCategoricalCrossentropy&) {}
  template <class S>
  FASTREG_INLINE Number<V> along(const LossRow<V>& row) const {
    const Number<V> divisor = share_divisor(row);
    const auto value = share_loss(S(row.y[row.label]), S(1.0f), S(divisor));
    if (row.dy) {
      const Number<V> scale = row.scale / divisor, mass = sum(value.mass);
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

}  // namespace fastreg::math
