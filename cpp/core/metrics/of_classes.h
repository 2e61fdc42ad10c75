// Metrics of classes: shares of hits, and what follows from counts of positive outputs.
#pragma once
#include <algorithm>
#include <vector>

#include "core/metrics/forms.h"

namespace fastreg {

template <>
struct MetricFormula<metrics::Accuracy> : OnOutputs {
  explicit MetricFormula(const metrics::Accuracy&) {}
  float row(const ScoredRow& row) const {
    return mean_over_columns(row, [](double y, double t) { return y == t ? 1.0 : 0.0; });
  }
};

template <>
struct MetricFormula<metrics::BinaryAccuracy> : MetricDefaults {
  float threshold;
  explicit MetricFormula(const metrics::BinaryAccuracy& description) : threshold(description.threshold) {}
  float row(const ScoredRow& row) const {
    float hits = 0.0f;
    for (std::size_t j = 0; j < row.cols; ++j)
      hits += (row.y[j] > threshold) == (row.target[j] > 0.5f) ? 1.0f : 0.0f;
    return hits / static_cast<float>(row.cols);
  }
};

// The share of rows whose largest output is in the column of the label, or of the largest target.
struct ClassHits : MetricDefaults {
  static constexpr bool kUsesClasses = true;
  static std::size_t sums(std::size_t) { return 1; }
  void add(const ScoredRow& row, double* sums) const { sums[0] += row.found == row.wanted ? row.weight : 0.0; }
  double final(const double* sums, const MetricTotals& totals) const { return share(sums[0], totals.weight); }
};
template <>
struct MetricFormula<metrics::CategoricalAccuracy> : ClassHits {
  explicit MetricFormula(const metrics::CategoricalAccuracy&) {}
};
template <>
struct MetricFormula<metrics::SparseCategoricalAccuracy> : ClassHits {
  explicit MetricFormula(const metrics::SparseCategoricalAccuracy&) {}
};

// The share of rows in which fewer than k outputs are larger than that of the wanted column.
struct HitsAmongLargest : MetricDefaults {
  static constexpr bool kUsesClasses = true;
  std::size_t k;
  explicit HitsAmongLargest(std::size_t largest) : k(largest) {}
  static std::size_t sums(std::size_t) { return 1; }
  void add(const ScoredRow& row, double* sums) const {
    const float wanted = row.y[row.wanted];
    const auto larger = static_cast<std::size_t>(std::count_if(
        row.y, row.y + row.cols, [=](float y) { return y > wanted || (std::isnan(wanted) && !std::isnan(y)); }));
    if (larger < k) sums[0] += row.weight;
  }
  double final(const double* sums, const MetricTotals& totals) const { return share(sums[0], totals.weight); }
};
template <>
struct MetricFormula<metrics::TopKCategoricalAccuracy> : HitsAmongLargest {
  explicit MetricFormula(const metrics::TopKCategoricalAccuracy& metric) : HitsAmongLargest(metric.k) {}
};
template <>
struct MetricFormula<metrics::SparseTopKCategoricalAccuracy> : HitsAmongLargest {
  explicit MetricFormula(const metrics::SparseTopKCategoricalAccuracy& metric) : HitsAmongLargest(metric.k) {}
};

// ---------------------------------------------------------------------------------------------- positive outputs

struct PositiveCounts {
  double true_positives, false_positives, true_negatives, false_negatives;
};

// Counts the outputs of a row, in the four sums of PositiveCounts.
struct CountsPositives : MetricDefaults {
  static constexpr bool kUsesClasses = true;
  metrics::Counting counting;
  explicit CountsPositives(const metrics::Counting& given) : counting(given) {}
  static std::size_t sums(std::size_t) { return 4; }
  void add(const ScoredRow& row, double* sums) const {
    const std::size_t begin = counting.class_id ? *counting.class_id : 0;
    const std::size_t end = counting.class_id ? begin + 1 : row.cols;
    const std::size_t last = counting.top_k ? last_of_largest(row, *counting.top_k) : 0;
    for (std::size_t j = begin; j < end; ++j) {
      bool found = counting.top_k || row.y[j] > counting.threshold.value_or(0.5f);
      if (counting.top_k) {
        found = precedes(row, j, last) || j == last;
        if (counting.threshold) found = found && row.y[j] > *counting.threshold;
      }
      const std::size_t sum = row.positive(j) ? (found ? 0 : 3) : (found ? 1 : 2);
      sums[sum] += row.weight;
    }
  }
  static PositiveCounts counts(const double* sums) { return {sums[0], sums[1], sums[2], sums[3]}; }

 private:
  // Whether column a comes before column b when a row is sorted by its outputs, the largest first.
  static bool precedes(const ScoredRow& row, std::size_t a, std::size_t b) {
    return row.y[a] > row.y[b] || (row.y[a] == row.y[b] && a < b);
  }
  // The column of the k-th largest output.
  static std::size_t last_of_largest(const ScoredRow& row, std::size_t k) {
    std::size_t last = static_cast<std::size_t>(row.found);
    for (std::size_t rank = 1; rank < k; ++rank) {
      std::size_t next = row.cols;
      for (std::size_t j = 0; j < row.cols; ++j)
        if (precedes(row, last, j) && (next == row.cols || precedes(row, j, next))) next = j;
      if (next == row.cols) break;   // outputs that are NaN have no place
      last = next;
    }
    return last;
  }
};

template <>
struct MetricFormula<metrics::Precision> : CountsPositives {
  explicit MetricFormula(const metrics::Precision& metric) : CountsPositives(metric.counting()) {}
  double final(const double* sums, const MetricTotals&) const {
    const PositiveCounts n = counts(sums);
    return share(n.true_positives, n.true_positives + n.false_positives);
  }
};
template <>
struct MetricFormula<metrics::Recall> : CountsPositives {
  explicit MetricFormula(const metrics::Recall& metric) : CountsPositives(metric.counting()) {}
  double final(const double* sums, const MetricTotals&) const {
    const PositiveCounts n = counts(sums);
    return share(n.true_positives, n.true_positives + n.false_negatives);
  }
};
template <>
struct MetricFormula<metrics::Specificity> : CountsPositives {
  explicit MetricFormula(const metrics::Specificity& metric) : CountsPositives(metric.counting()) {}
  double final(const double* sums, const MetricTotals&) const {
    const PositiveCounts n = counts(sums);
    return share(n.true_negatives, n.true_negatives + n.false_positives);
  }
};
template <>
struct MetricFormula<metrics::TruePositives> : CountsPositives {
  explicit MetricFormula(const metrics::TruePositives& metric) : CountsPositives(metric.counting()) {}
  double final(const double* sums, const MetricTotals& totals) const {
    return totals.scale * counts(sums).true_positives;
  }
};
template <>
struct MetricFormula<metrics::TrueNegatives> : CountsPositives {
  explicit MetricFormula(const metrics::TrueNegatives& metric) : CountsPositives(metric.counting()) {}
  double final(const double* sums, const MetricTotals& totals) const {
    return totals.scale * counts(sums).true_negatives;
  }
};
template <>
struct MetricFormula<metrics::FalsePositives> : CountsPositives {
  explicit MetricFormula(const metrics::FalsePositives& metric) : CountsPositives(metric.counting()) {}
  double final(const double* sums, const MetricTotals& totals) const {
    return totals.scale * counts(sums).false_positives;
  }
};
template <>
struct MetricFormula<metrics::FalseNegatives> : CountsPositives {
  explicit MetricFormula(const metrics::FalseNegatives& metric) : CountsPositives(metric.counting()) {}
  double final(const double* sums, const MetricTotals& totals) const {
    return totals.scale * counts(sums).false_negatives;
  }
};

// F of a column is (1 + b) TP / ((TP + FP) + b (TP + FN)), b being the square of beta. The sums of a column are its
// true positives, its predicted positives and its actual positives; a column without any has 0. The weighted average
// weights columns by their actual positives.
struct FScores : MetricDefaults {
  static constexpr bool kUsesClasses = true;
  std::optional<metrics::Average> average;
  double b;
  std::optional<float> threshold;
  OptionalIndex class_id;
  FScores(const std::optional<metrics::Average>& mean, double beta, const std::optional<float>& limit,
          const OptionalIndex& column)
      : average(mean), b(beta * beta), threshold(limit), class_id(column) {}
  static std::size_t sums(std::size_t cols) { return 3 * cols; }
  void add(const ScoredRow& row, double* sums) const {
    const bool largest = !threshold && row.cols > 1;
    const float limit = threshold.value_or(0.5f);
    for (std::size_t j = 0; j < row.cols; ++j, sums += 3) {
      const bool predicted = largest ? static_cast<std::size_t>(row.found) == j : row.y[j] > limit;
      const bool actual = row.positive(j);
      sums[0] += predicted && actual ? row.weight : 0.0;
      sums[1] += predicted ? row.weight : 0.0;
      sums[2] += actual ? row.weight : 0.0;
    }
  }
  double of(double hits, double predicted, double actual) const {
    return share((1.0 + b) * hits, predicted + b * actual);
  }
  void finals(const double* sums, const MetricTotals& totals, std::vector<double>& values) const {
    if (class_id) {
      sums += 3 * *class_id;
      values.push_back(of(sums[0], sums[1], sums[2]));
      return;
    }
    double hits = 0.0, predicted = 0.0, actual = 0.0, plain = 0.0, weighted = 0.0;
    for (std::size_t j = 0; j < totals.cols; ++j, sums += 3) {
      const double f = of(sums[0], sums[1], sums[2]);
      if (!average) values.push_back(f);
      hits += sums[0];
      predicted += sums[1];
      actual += sums[2];
      plain += f;
      weighted += f * sums[2];
    }
    if (average == metrics::Average::micro) values.push_back(of(hits, predicted, actual));
    if (average == metrics::Average::weighted) values.push_back(share(weighted, actual));
    if (average == metrics::Average::macro) values.push_back(plain / static_cast<double>(totals.cols));
  }
};
template <>
struct MetricFormula<metrics::FBetaScore> : FScores {
  explicit MetricFormula(const metrics::FBetaScore& m) : FScores(m.average, m.beta, m.threshold, m.class_id) {}
};
template <>
struct MetricFormula<metrics::F1Score> : FScores {
  explicit MetricFormula(const metrics::F1Score& m) : FScores(m.average, 1.0, m.threshold, m.class_id) {}
};

// ---------------------------------------------------------------------------------- agreement of two labellings

// Each row has a class that is found and one that is wanted: with several outputs the columns of the largest ones, with
// one output 1 if it is above the threshold, and otherwise 0. The sums of a class are its hits, and how often it is
// found and wanted; one further sum is that of the distances of the two classes, to which power `distance` says.
struct Labellings : MetricDefaults {
  static constexpr bool kUsesClasses = true;
  float threshold;
  int distance;
  explicit Labellings(float limit, int power = 0) : threshold(limit), distance(power) {}
  static std::size_t classes(std::size_t cols) { return std::max<std::size_t>(cols, 2); }
  static std::size_t sums(std::size_t cols) { return 3 * classes(cols) + 1; }
  double apart(std::size_t a, std::size_t b) const {
    const double gap = a > b ? static_cast<double>(a - b) : static_cast<double>(b - a);
    return distance == 0 ? (a == b ? 0.0 : 1.0) : distance == 1 ? gap : gap * gap;
  }
  void add(const ScoredRow& row, double* sums) const {
    const bool one = row.cols == 1;
    const std::size_t found = one ? (row.y[0] > threshold ? 1 : 0) : static_cast<std::size_t>(row.found);
    const std::size_t wanted = one ? (row.positive(0) ? 1 : 0) : static_cast<std::size_t>(row.wanted);
    if (found == wanted) sums[3 * found] += row.weight;
    sums[3 * found + 1] += row.weight;
    sums[3 * wanted + 2] += row.weight;
    sums[3 * classes(row.cols)] += row.weight * apart(found, wanted);
  }
};

template <>
struct MetricFormula<metrics::BalancedAccuracy> : Labellings {
  explicit MetricFormula(const metrics::BalancedAccuracy& metric) : Labellings(metric.threshold) {}
  double final(const double* sums, const MetricTotals& totals) const {
    double shares = 0.0, wanted = 0.0;
    for (std::size_t j = 0; j < classes(totals.cols); ++j, sums += 3) {
      shares += share(sums[0], sums[2]);
      wanted += sums[2] > 0.0 ? 1.0 : 0.0;
    }
    return share(shares, wanted);
  }
};

template <>
struct MetricFormula<metrics::MatthewsCorrelation> : Labellings {
  explicit MetricFormula(const metrics::MatthewsCorrelation& metric) : Labellings(metric.threshold) {}
  double final(const double* sums, const MetricTotals& totals) const {
    const double n = totals.weight;
    double hits = 0.0, both = 0.0, found = 0.0, wanted = 0.0;
    for (std::size_t j = 0; j < classes(totals.cols); ++j, sums += 3) {
      hits += sums[0];
      both += sums[1] * sums[2];
      found += sums[1] * sums[1];
      wanted += sums[2] * sums[2];
    }
    const double spread = (n * n - found) * (n * n - wanted);
    return spread > 0.0 ? (hits * n - both) / std::sqrt(spread) : 0.0;
  }
};

template <>
struct MetricFormula<metrics::CohenKappa> : Labellings {
  explicit MetricFormula(const metrics::CohenKappa& metric)
      : Labellings(metric.threshold, metric.weights ? (*metric.weights == metrics::Disagreement::linear ? 1 : 2) : 0) {}
  double final(const double* sums, const MetricTotals& totals) const {
    const std::size_t count = classes(totals.cols);
    double expected = 0.0;   // the distance of classes that are drawn independently
    if (distance == 0) {
      double equal = 0.0;
      for (std::size_t j = 0; j < count; ++j) equal += sums[3 * j + 1] * sums[3 * j + 2];
      expected = (totals.weight * totals.weight - equal) / totals.weight;
    } else {
      for (std::size_t a = 0; a < count; ++a)
        for (std::size_t b = 0; b < count; ++b)
          expected += apart(a, b) * sums[3 * a + 1] * sums[3 * b + 2] / totals.weight;
    }
    return expected > 0.0 ? 1.0 - sums[3 * count] / expected : kNoNumber;
  }
};

}  // namespace fastreg
