// The formulas of the metrics in fastreg/metrics.h. There is one MetricFormula for each, which is made from the
// description, in one of three forms:
//   row(row)                          computes a value for each row; the metric is their mean
//   sums(cols), add(row, sums),       each row adds to some sums, whose number may depend on the number of outputs;
//   final(sums, cols, rows)           the metric is a function of the sums over all rows
//   of_epoch(outputs)                 a function of the outputs for all rows together, which are kept for it
// Metrics do not use the weights of rows.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "fastreg/metrics.h"
#include "fastreg/strict_math.h"

namespace fastreg {

// The data of one row for a metric.
struct ScoredRow {
  const float* y;                 // `cols` outputs
  const float* target;            // `cols` targets; null where the loss takes labels
  std::int32_t found, wanted;     // column of the largest output; label, or column of the largest target
  std::size_t cols;
};

// The outputs and targets of all rows of an epoch or an evaluation, row by row without padding. Outputs are the values
// that predict returns: logits if the loss has from_logits.
struct EpochOutputs {
  std::vector<float> y, target;           // (rows, cols); target is empty where the loss takes labels
  std::vector<std::int32_t> labels;
  std::size_t cols = 0;
  EpochOutputs first(std::size_t rows) const;
};

// Defaults that a formula may override.
struct MetricDefaults {
  static constexpr bool kUsesClasses = false;   // whether it reads found and wanted
  // Whether it is computed on the logits if the loss has from_logits. Otherwise it is computed on the probabilities.
  static constexpr bool kOnLogits = false;
};

template <class Metric>
struct MetricFormula;

template <>
struct MetricFormula<metrics::BinaryAccuracy> : MetricDefaults {
  explicit MetricFormula(const metrics::BinaryAccuracy&) {}
  float row(const ScoredRow& row) const {
    float hits = 0.0f;
    for (std::size_t j = 0; j < row.cols; ++j) hits += (row.y[j] > 0.5f) == (row.target[j] > 0.5f) ? 1.0f : 0.0f;
    return hits / static_cast<float>(row.cols);
  }
};

// The share of rows whose largest output is in the column of the label, or of the largest target.
struct ClassHits : MetricDefaults {
  static constexpr bool kUsesClasses = true;
  static std::size_t sums(std::size_t) { return 1; }
  void add(const ScoredRow& row, double* sums) const { sums[0] += row.found == row.wanted ? 1.0 : 0.0; }
  double final(const double* sums, std::size_t, std::size_t rows) const { return sums[0] / static_cast<double>(rows); }
};
template <>
struct MetricFormula<metrics::CategoricalAccuracy> : ClassHits {
  explicit MetricFormula(const metrics::CategoricalAccuracy&) {}
};
template <>
struct MetricFormula<metrics::SparseCategoricalAccuracy> : ClassHits {
  explicit MetricFormula(const metrics::SparseCategoricalAccuracy&) {}
};

template <>
struct MetricFormula<metrics::MeanSquaredError> : MetricDefaults {
  static constexpr bool kOnLogits = true;
  explicit MetricFormula(const metrics::MeanSquaredError&) {}
  float row(const ScoredRow& row) const {
    float sum = 0.0f;
    for (std::size_t j = 0; j < row.cols; ++j) sum += (row.y[j] - row.target[j]) * (row.y[j] - row.target[j]);
    return sum / static_cast<float>(row.cols);
  }
};

template <>
struct MetricFormula<metrics::MeanAbsoluteError> : MetricDefaults {
  static constexpr bool kOnLogits = true;
  explicit MetricFormula(const metrics::MeanAbsoluteError&) {}
  float row(const ScoredRow& row) const {
    float sum = 0.0f;
    for (std::size_t j = 0; j < row.cols; ++j) sum += std::fabs(row.y[j] - row.target[j]);
    return sum / static_cast<float>(row.cols);
  }
};

// The share of pairs of a positive and a negative row in which the positive one has the larger output; equal outputs
// count a half. Ranks are those of outputs in ascending order, where equal outputs share their mean rank:
//   (sum of the ranks of positives - P (P + 1) / 2) / (P N).
// It is NaN without positives or without negatives, and if an output is NaN.
template <>
struct MetricFormula<metrics::AUC> : MetricDefaults {
  explicit MetricFormula(const metrics::AUC&) {}
  double of_epoch(const EpochOutputs& outputs) const {
    std::vector<std::pair<float, bool>> rows(outputs.y.size());
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = {outputs.y[i], outputs.target[i] > 0.5f};
    const auto undefined = [](const auto& row) { return std::isnan(row.first); };
    if (std::any_of(rows.begin(), rows.end(), undefined)) return std::numeric_limits<double>::quiet_NaN();
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    double positives = 0.0, rank_sum = 0.0;
    for (std::size_t i = 0, end = 0; i < rows.size(); i = end) {
      double found = 0.0;
      for (end = i; end < rows.size() && rows[end].first == rows[i].first; ++end) found += rows[end].second ? 1.0 : 0.0;
      positives += found;
      rank_sum += found * 0.5 * static_cast<double>(i + 1 + end);
    }
    const double negatives = static_cast<double>(rows.size()) - positives;
    if (positives == 0.0 || negatives == 0.0) return std::numeric_limits<double>::quiet_NaN();
    return (rank_sum - 0.5 * positives * (positives + 1.0)) / (positives * negatives);
  }
};

// F1 of a column is the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN) = 2 TP / (predicted + actual). The
// sums of a column are its true positives, its predicted positives and its actual positives; a column without any has
// 0. The weighted average weights columns by their actual positives.
template <>
struct MetricFormula<metrics::F1Score> : MetricDefaults {
  static constexpr bool kUsesClasses = true;
  metrics::F1Score metric;
  explicit MetricFormula(const metrics::F1Score& description) : metric(description) {}
  static std::size_t sums(std::size_t cols) { return 3 * cols; }
  void add(const ScoredRow& row, double* sums) const {
    const bool largest = !metric.threshold && row.cols > 1;
    const float threshold = metric.threshold.value_or(0.5f);
    for (std::size_t j = 0; j < row.cols; ++j, sums += 3) {
      const bool predicted = largest ? static_cast<std::size_t>(row.found) == j : row.y[j] > threshold;
      const bool actual = row.target ? row.target[j] > 0.5f : static_cast<std::size_t>(row.wanted) == j;
      sums[0] += predicted && actual ? 1.0 : 0.0;
      sums[1] += predicted ? 1.0 : 0.0;
      sums[2] += actual ? 1.0 : 0.0;
    }
  }
  static double share(double part, double whole) { return whole > 0.0 ? part / whole : 0.0; }
  double final(const double* sums, std::size_t cols, std::size_t) const {
    double hits = 0.0, positives = 0.0, actual = 0.0, plain = 0.0, weighted = 0.0;
    for (std::size_t j = 0; j < cols; ++j, sums += 3) {
      const double f1 = share(2.0 * sums[0], sums[1] + sums[2]);
      hits += sums[0];
      positives += sums[1] + sums[2];
      actual += sums[2];
      plain += f1;
      weighted += f1 * sums[2];
    }
    if (metric.average == metrics::Average::micro) return share(2.0 * hits, positives);
    if (metric.average == metrics::Average::weighted) return share(weighted, actual);
    return plain / static_cast<double>(cols);
  }
};

template <class Formula>
concept MeanOfRows = requires(const Formula& formula, const ScoredRow& row) { formula.row(row); };
template <class Formula>
concept OfSums = requires(const Formula& formula, const ScoredRow& row, double* sums) { formula.add(row, sums); };
template <class Formula>
concept OfEpoch = requires(const Formula& formula, const EpochOutputs& outputs) { formula.of_epoch(outputs); };

}  // namespace fastreg
