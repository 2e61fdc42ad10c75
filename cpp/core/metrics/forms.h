// The formulas of the metrics in fastreg/metrics.h. There is one MetricFormula for each, which is made from the
// description, in one of three forms:
//   row(row)                        computes a value for each row; the metric is their weighted mean
//   sums(cols), add(row, sums),     each row adds its weight times something to some sums, whose number may depend on
//   final(sums, totals)             the number of outputs; the metric is a function of the sums over all rows. With
//                                   kExactSums each is two doubles, as in exact_sums.h; for one column there are
//                                   kExactSums doubles
//   of_epoch(rows)                  a function of the outputs for all rows together, which are kept for it
// A metric with a value for each column has finals(sums, totals, values) instead of final, and gives one value where it
// has an average. The weights of rows are 1 where the metric is not weighted; a row with the weight 0 is left out.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "fastreg/metric_state.h"
#include "fastreg/metrics.h"
#include "fastreg/strict_math.h"

namespace fastreg {

inline constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

// The data of one row for a metric.
struct ScoredRow {
  const float* y;                 // `cols` outputs
  const float* target;            // `cols` targets; null where the loss takes labels
  std::int32_t found, wanted;     // column of the largest output; label, or column of the largest target
  std::size_t cols;
  double weight;

  double target_of(std::size_t column) const {
    if (target != nullptr) return static_cast<double>(target[column]);
    return static_cast<std::size_t>(wanted) == column ? 1.0 : 0.0;
  }
  bool positive(std::size_t column) const { return target_of(column) > 0.5; }
};

// What a metric knows about all rows besides its sums.
struct MetricTotals {
  std::size_t cols = 0;
  double weight = 0.0;   // the sum of their weights, or their number
  double scale = 1.0;    // what weights were divided by beforehand
};

// Defaults that a formula may override.
struct MetricDefaults {
  static constexpr bool kUsesClasses = false;   // whether it reads found and wanted
  // Whether it is computed on the logits if the loss has from_logits. Otherwise it is computed on the probabilities.
  bool on_logits() const { return false; }
  // Whether only the order of the outputs counts: then it is computed on logits that have the order of the
  // probabilities, because probabilities near 0 and 1 are equal after rounding.
  static constexpr bool kNeedsOrder = false;
};

// A metric of numbers: what the network gives is what it is computed on.
struct OnOutputs : MetricDefaults {
  bool on_logits() const { return true; }
};

template <class Metric>
struct MetricFormula;

template <class Formula>
concept MeanOfRows = requires(const Formula& formula, const ScoredRow& row) { formula.row(row); };
template <class Formula>
concept OfSums = requires(const Formula& formula, const ScoredRow& row, double* sums) { formula.add(row, sums); };
template <class Formula>
concept OfEpoch = requires(const Formula& formula, const MetricRows& rows) { formula.of_epoch(rows); };

// 0 for an empty whole.
inline double share(double part, double whole) { return whole > 0.0 ? part / whole : 0.0; }

// The value of a row as the mean of term(output, target) over its columns.
template <class Term>
float mean_over_columns(const ScoredRow& row, Term&& term) {
  double sum = 0.0;
  for (std::size_t j = 0; j < row.cols; ++j)
    sum += term(static_cast<double>(row.y[j]), static_cast<double>(row.target[j]));
  return static_cast<float>(sum / static_cast<double>(row.cols));
}

}  // namespace fastreg
