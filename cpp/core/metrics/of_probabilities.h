// Metrics of probabilities: cross-entropies, calibration, and those of the hinge family, which are of scores.
#pragma once
#include <algorithm>

#include "core/metrics/of_numbers.h"

namespace fastreg {

inline double clipped_probability(double p) {
  return std::isnan(p) ? p : std::clamp(p, kMetricEpsilon, 1.0 - kMetricEpsilon);
}

template <>
struct MetricFormula<metrics::BinaryCrossentropy> : MetricDefaults {
  metrics::BinaryCrossentropy metric;
  explicit MetricFormula(const metrics::BinaryCrossentropy& description) : metric(description) {}
  bool on_logits() const { return metric.from_logits; }
  float row(const ScoredRow& row) const {
    const double smoothing = static_cast<double>(metric.label_smoothing);
    return mean_over_columns(row, [&](double y, double t) {
      t = t * (1.0 - smoothing) + 0.5 * smoothing;
      if (metric.from_logits) return std::max(y, 0.0) - y * t + std::log1p(std::exp(-std::fabs(y)));
      const double p = clipped_probability(y);
      return -(t * std::log(p) + (1.0 - t) * std::log(1.0 - p));
    });
  }
};

// -log of the shares of a row's outputs: their softmax, or they divided by their sum.
struct LogShares {
  const ScoredRow& row;
  bool from_logits;
  double largest = 0.0, log_sum = 0.0, sum = 0.0;

  LogShares(const ScoredRow& given, bool logits) : row(given), from_logits(logits) {
    if (from_logits) {
      largest = static_cast<double>(*std::max_element(row.y, row.y + row.cols));
      for (std::size_t j = 0; j < row.cols; ++j) sum += std::exp(static_cast<double>(row.y[j]) - largest);
      log_sum = std::log(sum);
    } else {
      for (std::size_t j = 0; j < row.cols; ++j) sum += static_cast<double>(row.y[j]);
    }
  }
  double minus_log(std::size_t column) const {
    const double y = static_cast<double>(row.y[column]);
    return from_logits ? log_sum + largest - y : -std::log(clipped_probability(y / sum));
  }
};

template <>
struct MetricFormula<metrics::CategoricalCrossentropy> : MetricDefaults {
  metrics::CategoricalCrossentropy metric;
  explicit MetricFormula(const metrics::CategoricalCrossentropy& description) : metric(description) {}
  bool on_logits() const { return metric.from_logits; }
  float row(const ScoredRow& row) const {
    const LogShares shares(row, metric.from_logits);
    const double smoothing = static_cast<double>(metric.label_smoothing);
    double sum = 0.0;
    for (std::size_t j = 0; j < row.cols; ++j) {
      const double t =
          static_cast<double>(row.target[j]) * (1.0 - smoothing) + smoothing / static_cast<double>(row.cols);
      sum += t * shares.minus_log(j);
    }
    return static_cast<float>(sum);
  }
};

template <>
struct MetricFormula<metrics::SparseCategoricalCrossentropy> : MetricDefaults {
  static constexpr bool kUsesClasses = true;
  metrics::SparseCategoricalCrossentropy metric;
  explicit MetricFormula(const metrics::SparseCategoricalCrossentropy& description) : metric(description) {}
  bool on_logits() const { return metric.from_logits; }
  float row(const ScoredRow& row) const {
    return static_cast<float>(LogShares(row, metric.from_logits).minus_log(static_cast<std::size_t>(row.wanted)));
  }
};

// The squared distance of the row of outputs from the row of targets; with one output of one pair of numbers.
template <>
struct MetricFormula<metrics::BrierScore> : MetricDefaults {
  static constexpr bool kUsesClasses = true;
  explicit MetricFormula(const metrics::BrierScore&) {}
  float row(const ScoredRow& row) const {
    double sum = 0.0;
    for (std::size_t j = 0; j < row.cols; ++j) {
      const double error = static_cast<double>(row.y[j]) - row.target_of(j);
      sum += error * error;
    }
    return static_cast<float>(sum);
  }
};

// Rows are put into bins of equal width by their confidence c, which is the largest output, or the only one: bin m of M
// has (m-1)/M < c <= m/M. The metric is the mean over rows of |share of hits - mean confidence| of their bin. The sums
// of a bin are hits and confidences.
template <>
struct MetricFormula<metrics::ExpectedCalibrationError> : MetricDefaults {
  static constexpr bool kUsesClasses = true;
  std::size_t bins;
  explicit MetricFormula(const metrics::ExpectedCalibrationError& description) : bins(description.num_bins) {}
  std::size_t sums(std::size_t) const { return 2 * bins; }
  void add(const ScoredRow& row, double* sums) const {
    const bool one = row.cols == 1;
    const double confidence = static_cast<double>(row.y[one ? 0 : static_cast<std::size_t>(row.found)]);
    const double hit = one ? row.target_of(0) : row.found == row.wanted ? 1.0 : 0.0;
    const double place = std::ceil(confidence * static_cast<double>(bins)) - 1.0;
    // NaN goes into the first bin, whose sums become NaN.
    const double last = static_cast<double>(bins - 1);
    double* const bin = sums + 2 * static_cast<std::size_t>(place > 0.0 ? std::min(place, last) : 0.0);
    bin[0] += row.weight * hit;
    bin[1] += row.weight * confidence;
  }
  double final(const double* sums, const MetricTotals& totals) const {
    double gaps = 0.0;
    for (std::size_t bin = 0; bin < bins; ++bin) gaps += std::fabs(sums[2 * bin] - sums[2 * bin + 1]);
    return std::isnan(gaps) ? gaps : share(gaps, totals.weight);
  }
};

// A target of 0 means -1.
inline double hinge_of(double y, double t) {
  const double gap = 1.0 - y * (t == 0.0 ? -1.0 : t);
  return gap > 0.0 || std::isnan(gap) ? gap : 0.0;
}

template <>
struct MetricFormula<metrics::Hinge> : OnOutputs {
  explicit MetricFormula(const metrics::Hinge&) {}
  float row(const ScoredRow& row) const { return mean_over_columns(row, hinge_of); }
};

template <>
struct MetricFormula<metrics::SquaredHinge> : OnOutputs {
  explicit MetricFormula(const metrics::SquaredHinge&) {}
  float row(const ScoredRow& row) const {
    return mean_over_columns(row, [](double y, double t) { return hinge_of(y, t) * hinge_of(y, t); });
  }
};

template <>
struct MetricFormula<metrics::CategoricalHinge> : OnOutputs {
  explicit MetricFormula(const metrics::CategoricalHinge&) {}
  float row(const ScoredRow& row) const {
    double wanted = 0.0, others = -std::numeric_limits<double>::infinity();
    for (std::size_t j = 0; j < row.cols; ++j) {
      const double y = static_cast<double>(row.y[j]), t = static_cast<double>(row.target[j]);
      wanted += t * y;
      others = std::max(others, (1.0 - t) * y);
    }
    const double gap = others - wanted + 1.0;
    return static_cast<float>(gap > 0.0 || std::isnan(gap) ? gap : 0.0);
  }
};

template <>
struct MetricFormula<metrics::KLDivergence> : MetricDefaults {
  explicit MetricFormula(const metrics::KLDivergence&) {}
  float row(const ScoredRow& row) const {
    const auto clipped = [](double p) { return std::isnan(p) ? p : std::clamp(p, kMetricEpsilon, 1.0); };
    double sum = 0.0;
    for (std::size_t j = 0; j < row.cols; ++j) {
      const double t = clipped(static_cast<double>(row.target[j]));
      sum += t * std::log(t / clipped(static_cast<double>(row.y[j])));
    }
    return static_cast<float>(sum);
  }
};

}  // namespace fastreg
