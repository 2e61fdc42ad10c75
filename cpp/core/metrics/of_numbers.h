// Metrics of numbers: errors and correlations.
#pragma once
#include <algorithm>
#include <utility>
#include <vector>

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

// The sum of weight * (x - mean)^2 of numbers with these weighted sums. What only rounding leaves counts as 0.
inline double squares_about_mean(double squares, double sum, double weight) {
  const double about = squares - sum * sum / weight;
  constexpr double kRounding = 1e-13;
  return about > kRounding * squares ? about : 0.0;
}

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
  // Three of each column, and the number of rows that count.
  static std::size_t sums(std::size_t cols) { return 3 * cols + 1; }
  void add(const ScoredRow& row, double* sums) const {
    sums[3 * row.cols] += 1.0;
    for (std::size_t j = 0; j < row.cols; ++j, sums += 3) {
      const double t = static_cast<double>(row.target[j]), error = static_cast<double>(row.y[j]) - t;
      sums[0] += row.weight * t;
      sums[1] += row.weight * t * t;
      sums[2] += row.weight * error * error;
    }
  }
  void finals(const double* sums, const MetricTotals& totals, std::vector<double>& values) const {
    const double rows = sums[3 * totals.cols];
    double plain = 0.0, weighted = 0.0, variance = 0.0;
    for (std::size_t j = 0; j < totals.cols; ++j, sums += 3) {
      const double all = totals.weight > 0.0 ? squares_about_mean(sums[1], sums[0], totals.weight) : 0.0;
      const double r2 = totals.weight > 0.0 ? explained(sums[2], all) : kNoNumber;
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
  static std::size_t sums(std::size_t cols) { return 4 * cols; }
  void add(const ScoredRow& row, double* sums) const {
    for (std::size_t j = 0; j < row.cols; ++j, sums += 4) {
      const double t = static_cast<double>(row.target[j]), error = static_cast<double>(row.y[j]) - t;
      sums[0] += row.weight * t;
      sums[1] += row.weight * t * t;
      sums[2] += row.weight * error;
      sums[3] += row.weight * error * error;
    }
  }
  double final(const double* sums, const MetricTotals& totals) const {
    if (!(totals.weight > 0.0)) return kNoNumber;
    double sum = 0.0;
    for (std::size_t j = 0; j < totals.cols; ++j, sums += 4) {
      if (std::isnan(sums[3])) return kNoNumber;
      sum += explained(squares_about_mean(sums[3], sums[2], totals.weight),
                       squares_about_mean(sums[1], sums[0], totals.weight));
    }
    return sum / static_cast<double>(totals.cols);
  }
};

// The weighted sums of pairs of numbers.
struct Pairs {
  double weight, t, y, tt, yy, ty;
  // Within the product of the deviations, also where these count as 0 because only rounding is left.
  double covariance() const {
    const double most = std::sqrt(variance_of_t() * variance_of_y());
    return std::clamp(ty / weight - t / weight * (y / weight), -most, most);
  }
  double variance_of_t() const { return squares_about_mean(tt, t, weight) / weight; }
  double variance_of_y() const { return squares_about_mean(yy, y, weight) / weight; }
  // NaN if one of the two is constant.
  double pearson() const {
    const double deviations = std::sqrt(variance_of_t() * variance_of_y());
    return deviations > 0.0 ? covariance() / deviations : kNoNumber;
  }
  double concordance() const {
    const double shift = (t - y) / weight, whole = variance_of_t() + variance_of_y() + shift * shift;
    return whole > 0.0 ? 2.0 * covariance() / whole : kNoNumber;
  }
};

template <class Metric>
struct Correlation : OnOutputs {
  static constexpr bool kPearson = std::is_same_v<Metric, metrics::PearsonCorrelation>;
  bool along_columns;
  explicit Correlation(const Metric& metric) : along_columns(metric.axis == Axis::columns) {}
  std::size_t sums(std::size_t cols) const { return along_columns ? 1 : 5 * cols; }
  static double of(const Pairs& pairs) {
    if (std::isnan(pairs.ty)) return kNoNumber;
    return kPearson ? pairs.pearson() : pairs.concordance();
  }
  void add(const ScoredRow& row, double* sums) const {
    Pairs pairs{static_cast<double>(row.cols), 0.0, 0.0, 0.0, 0.0, 0.0};
    for (std::size_t j = 0; j < row.cols; ++j) {
      const double y = static_cast<double>(row.y[j]), t = static_cast<double>(row.target[j]);
      const double terms[5] = {t, y, t * t, y * y, t * y};
      if (along_columns) {
        pairs = {pairs.weight, pairs.t + t, pairs.y + y, pairs.tt + t * t, pairs.yy + y * y, pairs.ty + t * y};
      } else {
        for (const double term : terms) *sums++ += row.weight * term;
      }
    }
    if (along_columns) sums[0] += row.weight * of(pairs);
  }
  double final(const double* sums, const MetricTotals& totals) const {
    if (!(totals.weight > 0.0)) return kNoNumber;
    if (along_columns) return sums[0] / totals.weight;
    double sum = 0.0;
    for (std::size_t j = 0; j < totals.cols; ++j, sums += 5)
      sum += of({totals.weight, sums[0], sums[1], sums[2], sums[3], sums[4]});
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
