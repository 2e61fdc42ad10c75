// Metrics of numbers: errors and correlations.
#pragma once
#include <algorithm>
#include <utility>
#include <vector>

#include "core/metrics/exact_sums.h"
#include "core/metrics/forms.h"

namespace fastreg {

// Keras's: the least magnitude that a relative error is divided by, and what is added before a logarithm.
inline constexpr double kMetricEpsilon = 1e-7;

template <>
struct MetricFormula<metrics::MeanSquaredError> : OnOutputs {
  explicit MetricFormula(const metrics::MeanSquaredError&) {}
  float row(const ScoredRow& row) const {
    float sum = 0.0f;
    for (std::size_t j = 0; j < row.cols; ++j) sum += (row.y[j] - row.target[j]) * (row.y[j] - row.target[j]);
    return sum / static_cast<float>(row.cols);
  }
};

template <>
struct MetricFormula<metrics::MeanAbsoluteError> : OnOutputs {
  explicit MetricFormula(const metrics::MeanAbsoluteError&) {}
  float row(const ScoredRow& row) const {
    float sum = 0.0f;
    for (std::size_t j = 0; j < row.cols; ++j) sum += std::fabs(row.y[j] - row.target[j]);
    return sum / static_cast<float>(row.cols);
  }
};

template <>
struct MetricFormula<metrics::RootMeanSquaredError> : OnOutputs {
  explicit MetricFormula(const metrics::RootMeanSquaredError&) {}
  static std::size_t sums(std::size_t) { return 1; }
  void add(const ScoredRow& row, double* sums) const {
    double squares = 0.0;
    for (std::size_t j = 0; j < row.cols; ++j) {
      const double error = static_cast<double>(row.y[j]) - static_cast<double>(row.target[j]);
      squares += error * error;
    }
    sums[0] += row.weight * squares;
  }
  double final(const double* sums, const MetricTotals& totals) const {
    return std::sqrt(share(sums[0], totals.weight * static_cast<double>(totals.cols)));
  }
};

template <>
struct MetricFormula<metrics::MeanAbsolutePercentageError> : OnOutputs {
  explicit MetricFormula(const metrics::MeanAbsolutePercentageError&) {}
  float row(const ScoredRow& row) const {
    return mean_over_columns(
        row, [](double y, double t) { return 100.0 * std::fabs(t - y) / std::max(std::fabs(t), kMetricEpsilon); });
  }
};

template <>
struct MetricFormula<metrics::MeanSquaredLogarithmicError> : OnOutputs {
  explicit MetricFormula(const metrics::MeanSquaredLogarithmicError&) {}
  float row(const ScoredRow& row) const {
    return mean_over_columns(row, [](double y, double t) {
      if (std::isnan(y)) return y;
      const double difference = std::log1p(std::max(y, kMetricEpsilon)) - std::log1p(std::max(t, kMetricEpsilon));
      return difference * difference;
    });
  }
};

template <>
struct MetricFormula<metrics::LogCoshError> : OnOutputs {
  explicit MetricFormula(const metrics::LogCoshError&) {}
  float row(const ScoredRow& row) const {
    return mean_over_columns(row, [](double y, double t) {
      const double error = std::fabs(y - t);
      return error + std::log1p(std::exp(-2.0 * error)) - std::log(2.0);
    });
  }
};

template <>
struct MetricFormula<metrics::Poisson> : OnOutputs {
  explicit MetricFormula(const metrics::Poisson&) {}
  float row(const ScoredRow& row) const {
    return mean_over_columns(row, [](double y, double t) { return y - t * std::log(y + kMetricEpsilon); });
  }
};

template <>
struct MetricFormula<metrics::CosineSimilarity> : OnOutputs {
  explicit MetricFormula(const metrics::CosineSimilarity&) {}
  float row(const ScoredRow& row) const {
    double products = 0.0, outputs = 0.0, targets = 0.0;
    for (std::size_t j = 0; j < row.cols; ++j) {
      const double y = static_cast<double>(row.y[j]), t = static_cast<double>(row.target[j]);
      products += y * t;
      outputs += y * y;
      targets += t * t;
    }
    constexpr double kLeast = 1e-12;   // of a squared length, as in Keras
    return static_cast<float>(products / std::sqrt(std::max(outputs, kLeast) * std::max(targets, kLeast)));
  }
};

// The median of the absolute errors of each column, averaged over the columns. With weights it is the error at which
// half of the weight is reached, or the mean of the two around it if that is exactly between two errors.
template <>
struct MetricFormula<metrics::MedianAbsoluteError> : OnOutputs {
  explicit MetricFormula(const metrics::MedianAbsoluteError&) {}
  double of_epoch(const MetricRows& rows) const {
    double sum = 0.0;
    for (std::size_t j = 0; j < rows.cols; ++j) sum += median(rows, j);
    return sum / static_cast<double>(rows.cols);
  }

 private:
  static double median(const MetricRows& rows, std::size_t column) {
    std::vector<std::pair<double, double>> errors;   // each with its weight
    double total = 0.0;
    for (std::size_t i = 0; i < rows.rows; ++i) {
      const double weight = rows.weight != nullptr ? static_cast<double>(rows.weight[i]) : 1.0;
      if (weight == 0.0) continue;
      const std::size_t at = i * rows.cols + column;
      const double error = std::fabs(static_cast<double>(rows.y[at]) - static_cast<double>(rows.target[at]));
      if (std::isnan(error)) return kNoNumber;
      errors.emplace_back(error, weight);
      total += weight;
    }
    std::sort(errors.begin(), errors.end());
    double reached = 0.0;
    for (std::size_t i = 0; i < errors.size(); ++i) {
      reached += errors[i].second;
      if (2.0 * reached == total && i + 1 < errors.size()) return 0.5 * (errors[i].first + errors[i + 1].first);
      if (2.0 * reached >= total) return errors[i].first;
    }
    return kNoNumber;   // there are no rows
  }
};

// 1 - left / all, where all == 0 gives 1 if nothing is left, and otherwise 0.
inline double explained(double left, double all) {
  if (std::isnan(left)) return left;
  if (all > 0.0) return 1.0 - left / all;
  return left > 0.0 ? 0.0 : 1.0;
}

template <>
struct MetricFormula<metrics::R2Score> : OnOutputs {
  metrics::R2Score metric;
  explicit MetricFormula(const metrics::R2Score& description) : metric(description) {}
  // Three of each column, the number of rows that count, and their weight.
  static constexpr std::size_t kExactSums = 10;
  static std::size_t sums(std::size_t cols) { return 6 * cols + 4; }
  void add(const ScoredRow& row, double* sums) const {
    for (std::size_t j = 0; j < row.cols; ++j, sums += 6) {
      const double t = static_cast<double>(row.target[j]), error = static_cast<double>(row.y[j]) - t;
      add_float(sums, row.weight, t);
      add_floats(sums + 2, row.weight, t, t);
      sums[4] += row.weight * error * error;
    }
    sums[0] += 1.0;
    add_exactly(sums + 2, {row.weight});
  }
  void finals(const double* sums, const MetricTotals& totals, std::vector<double>& values) const {
    const double rows = sums[6 * totals.cols];
    const Exact weights = exact(sums + 6 * totals.cols + 2);
    double plain = 0.0, weighted = 0.0, variance = 0.0;
    for (std::size_t j = 0; j < totals.cols; ++j, sums += 6) {
      const bool any = totals.weight > 0.0;
      const double all = any ? squares_about_mean(exact(sums + 2), exact(sums), weights, totals.weight) : 0.0;
      const double r2 = any ? explained(sums[4], all) : kNoNumber;
      if (!metric.class_aggregation) values.push_back(adjusted(r2, rows));
      plain += r2;
      weighted += r2 * all;
      variance += all;
    }
    if (!metric.class_aggregation) return;
    const double mean = plain / static_cast<double>(totals.cols);
    const bool by_variance = *metric.class_aggregation == metrics::Aggregation::variance_weighted_average;
    values.push_back(adjusted(by_variance && variance > 0.0 ? weighted / variance : mean, rows));
  }

 private:
  double adjusted(double r2, double rows) const {
    const double regressors = static_cast<double>(metric.num_regressors);
    if (regressors == 0.0 || rows <= regressors + 1.0) return r2;
    return 1.0 - (1.0 - r2) * (rows - 1.0) / (rows - regressors - 1.0);
  }
};

template <>
struct MetricFormula<metrics::ExplainedVariance> : OnOutputs {
  explicit MetricFormula(const metrics::ExplainedVariance&) {}
  // Four of each column, and the weight of the rows.
  static constexpr std::size_t kExactSums = 10;
  static std::size_t sums(std::size_t cols) { return 8 * cols + 2; }
  void add(const ScoredRow& row, double* sums) const {
    for (std::size_t j = 0; j < row.cols; ++j, sums += 8) {
      const double t = static_cast<double>(row.target[j]), error = static_cast<double>(row.y[j]) - t;
      add_float(sums, row.weight, t);
      add_floats(sums + 2, row.weight, t, t);
      add_exactly(sums + 4, exact_product(row.weight, error));
      add_product(sums + 6, row.weight, error, error);
    }
    add_exactly(sums, {row.weight});
  }
  double final(const double* sums, const MetricTotals& totals) const {
    if (!(totals.weight > 0.0)) return kNoNumber;
    const Exact weights = exact(sums + 8 * totals.cols);
    double sum = 0.0;
    for (std::size_t j = 0; j < totals.cols; ++j, sums += 8) {
      if (std::isnan(sums[6])) return kNoNumber;
      sum += explained(squares_about_mean(exact(sums + 6), exact(sums + 4), weights, totals.weight),
                       squares_about_mean(exact(sums + 2), exact(sums), weights, totals.weight));
    }
    return sum / static_cast<double>(totals.cols);
  }
};

// The weighted sums of pairs of numbers.
struct Pairs {
  double weight;
  Exact weights, t, y, tt, yy, ty;
  // Within the product of the deviations, also where these count as 0 because only rounding is left.
  double covariance() const {
    const double most = std::sqrt(variance_of_t() * variance_of_y());
    double found = ty.value / weight - t.value / weight * (y.value / weight);
    if (lie_close(tt, t) || lie_close(yy, y)) {
      const double exactly = products_about_means(ty, t, y, weights) / weight;
      if (std::isfinite(exactly)) found = exactly;
    }
    return std::clamp(found, -most, most);
  }
  bool lie_close(const Exact& squares, const Exact& sum) const {
    return !far_apart(squares.value - sum.value * sum.value / weight, squares.value);
  }
  double variance_of_t() const { return squares_about_mean(tt, t, weights, weight) / weight; }
  double variance_of_y() const { return squares_about_mean(yy, y, weights, weight) / weight; }
  // NaN if one of the two is constant.
  double pearson() const {
    const double deviations = std::sqrt(variance_of_t() * variance_of_y());
    return deviations > 0.0 ? covariance() / deviations : kNoNumber;
  }
  double concordance() const {
    const double shift = (t.value - y.value) / weight, whole = variance_of_t() + variance_of_y() + shift * shift;
    return whole > 0.0 ? 2.0 * covariance() / whole : kNoNumber;
  }
};

template <class Metric>
struct Correlation : OnOutputs {
  static constexpr bool kPearson = std::is_same_v<Metric, metrics::PearsonCorrelation>;
  bool along_columns;
  explicit Correlation(const Metric& metric) : along_columns(metric.axis == Axis::columns) {}
  // Five of each column, and the weight of the rows.
  static constexpr std::size_t kExactSums = 12;
  std::size_t sums(std::size_t cols) const { return along_columns ? 2 : 10 * cols + 2; }
  static double of(const double* sums, const Exact& weights, double weight) {
    if (std::isnan(sums[8])) return kNoNumber;
    const Pairs pairs{weight, weights, exact(sums), exact(sums + 2), exact(sums + 4), exact(sums + 6), exact(sums + 8)};
    return kPearson ? pairs.pearson() : pairs.concordance();
  }
  static void add_pair(double weight, double t, double y, double* sums) {
    add_float(sums, weight, t);
    add_float(sums + 2, weight, y);
    add_floats(sums + 4, weight, t, t);
    add_floats(sums + 6, weight, y, y);
    add_floats(sums + 8, weight, t, y);
  }
  void add(const ScoredRow& row, double* sums) const {
    double own[10] = {};
    for (std::size_t j = 0; j < row.cols; ++j) {
      const double y = static_cast<double>(row.y[j]), t = static_cast<double>(row.target[j]);
      add_pair(along_columns ? 1.0 : row.weight, t, y, along_columns ? own : sums + 10 * j);
    }
    const double cols = static_cast<double>(row.cols);
    if (along_columns)
      sums[0] += row.weight * of(own, {cols}, cols);
    else
      add_exactly(sums + 10 * row.cols, {row.weight});
  }
  double final(const double* sums, const MetricTotals& totals) const {
    if (!(totals.weight > 0.0)) return kNoNumber;
    if (along_columns) return sums[0] / totals.weight;
    const Exact weights = exact(sums + 10 * totals.cols);
    double sum = 0.0;
    for (std::size_t j = 0; j < totals.cols; ++j) sum += of(sums + 10 * j, weights, totals.weight);
    return sum / static_cast<double>(totals.cols);
  }
};

template <>
struct MetricFormula<metrics::PearsonCorrelation> : Correlation<metrics::PearsonCorrelation> {
  using Correlation::Correlation;
};
template <>
struct MetricFormula<metrics::ConcordanceCorrelation> : Correlation<metrics::ConcordanceCorrelation> {
  using Correlation::Correlation;
};

}  // namespace fastreg
