// One row of outputs and targets as the losses of whole rows (math/row_losses.h) get it, and the outputs as shares of
// their sum, for losses of probabilities that no softmax has made.
#pragma once
#include <cstddef>
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
FASTREG_INLINE ShareLoss<V> share_loss(V share, V t) {
  const V p = min(V(kMaxProbability), max(V(kMinProbability), share));
  const auto inside = (share >= V(kMinProbability)) & (share <= V(kMaxProbability));
  return {V(0.0f) - t * log(p), select(inside, t, V(0.0f)), select(inside, t / p, V(0.0f))};
}

// The outputs of a row as shares of their sum or, if that is almost 0, of a number that keeps all results finite. The
// factor is 1 unless the sum leaves the range of float.
template <class V>
struct RowShares {
  Number<V> factor, divisor;
  FASTREG_INLINE explicit RowShares(const LossRow<V>& row) : factor(1.0f), divisor(sum_of(row)) {
    const Number<V> least(kMinSum), infinite(__builtin_inff());
    if (divisor == infinite || divisor == -infinite) factor = 0x1p-32f, divisor = sum_of(row);
    if (divisor > -least && divisor < least) divisor = least;
  }
  FASTREG_INLINE Number<V> sum_of(const LossRow<V>& row) const {
    V total(0.0f);
    for (std::size_t j = 0; j < row.ld; j += V::kLanes)
      total = total + select(valid<V>(row.cols, j), V(factor) * V::load(row.y + j), V(0.0f));
    return sum(total);
  }
  FASTREG_INLINE V of(V y) const { return V(factor) * y / V(divisor); }
  FASTREG_INLINE Number<V> scale(const LossRow<V>& row) const { return row.scale * factor / divisor; }
};

}  // namespace fastreg::math
