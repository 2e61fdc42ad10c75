// Metrics that look at all thresholds. They sort the outputs of an epoch; thresholds are the outputs themselves, so
// that nothing is interpolated between a few of them.
#pragma once
#include <algorithm>
#include <vector>

#include "core/metrics/forms.h"

namespace fastreg {

struct OfOrder : MetricDefaults {
  static constexpr bool kNeedsOrder = true;
};

// Some outputs in descending order. Equal ones are taken together.
class SortedOutputs {
 public:
  // The weights of the positive and of the other outputs above a threshold.
  struct Above {
    double positives = 0.0, negatives = 0.0;
  };

  // Of the columns [begin, end) of all rows with a weight above 0.
  SortedOutputs(const MetricRows& rows, std::size_t begin, std::size_t end) {
    outputs_.reserve(rows.rows * (end - begin));
    for (std::size_t i = 0; i < rows.rows; ++i) {
      const double weight = rows.weight != nullptr ? static_cast<double>(rows.weight[i]) : 1.0;
      if (weight == 0.0) continue;
      for (std::size_t j = begin; j < end; ++j) {
        const std::size_t at = i * rows.cols + j;
        const bool positive =
            rows.target != nullptr ? rows.target[at] > 0.5f : static_cast<std::size_t>(rows.labels[i]) == j;
        has_nan_ = has_nan_ || std::isnan(rows.y[at]);
        outputs_.push_back({rows.y[at], positive, weight});
        (positive ? all_.positives : all_.negatives) += weight;
      }
    }
    if (!has_nan_)
      std::sort(outputs_.begin(), outputs_.end(), [](const Output& a, const Output& b) { return a.y > b.y; });
  }

  bool has_nan() const { return has_nan_; }
  const Above& all() const { return all_; }

  // Calls step(above before, above after) for each value of the outputs, from the largest on.
  template <class Step>
  void for_each_threshold(Step&& step) const {
    Above before;
    for (std::size_t i = 0; i < outputs_.size();) {
      Above after = before;
      const float y = outputs_[i].y;
      for (; i < outputs_.size() && outputs_[i].y == y; ++i)
        (outputs_[i].positive ? after.positives : after.negatives) += outputs_[i].weight;
      step(before, after);
      before = after;
    }
  }

 private:
  struct Output {
    float y;
    bool positive;
    double weight;
  };
  std::vector<Output> outputs_;
  Above all_;
  bool has_nan_ = false;
};

// ROC: the share of pairs of a positive and a negative output in which the positive one is larger; of equal outputs a
// half counts. NaN without outputs of both kinds.
inline double area_of_roc(const SortedOutputs& outputs) {
  const SortedOutputs::Above& all = outputs.all();
  if (outputs.has_nan() || all.positives == 0.0 || all.negatives == 0.0) return kNoNumber;
  double pairs = 0.0;
  outputs.for_each_threshold([&](const auto& before, const auto& after) {
    const double positives = after.positives - before.positives;
    pairs += positives * (all.negatives - 0.5 * (before.negatives + after.negatives));
  });
  return pairs / (all.positives * all.negatives);
}

// PR: the average precision, the sum over thresholds of the precision times the increase in recall. NaN without
// positive outputs.
inline double area_of_pr(const SortedOutputs& outputs) {
  const double positives = outputs.all().positives;
  if (outputs.has_nan() || positives == 0.0) return kNoNumber;
  double sum = 0.0;
  outputs.for_each_threshold([&](const auto& before, const auto& after) {
    sum += (after.positives - before.positives) * after.positives / (after.positives + after.negatives);
  });
  return sum / positives;
}

template <>
struct MetricFormula<metrics::AUC> : OfOrder {
  metrics::AUC metric;
  explicit MetricFormula(const metrics::AUC& description) : metric(description) {}
  double of(const MetricRows& rows, std::size_t begin, std::size_t end) const {
    const SortedOutputs outputs(rows, begin, end);
    return metric.curve == metrics::Curve::ROC ? area_of_roc(outputs) : area_of_pr(outputs);
  }
  double of_epoch(const MetricRows& rows) const {
    if (!metric.multi_label) return of(rows, 0, rows.cols);
    double sum = 0.0;
    for (std::size_t j = 0; j < rows.cols; ++j) sum += of(rows, j, j + 1);
    return sum / static_cast<double>(rows.cols);
  }
};

// The measures at one threshold. A share of nothing is 0.
struct AtThreshold {
  const SortedOutputs::Above &above, &all;
  double precision() const { return share(above.positives, above.positives + above.negatives); }
  double recall() const { return share(above.positives, all.positives); }
  double specificity() const { return share(all.negatives - above.negatives, all.negatives); }
};

// The largest value of `wanted` among the thresholds at which `bounded` is at least `bound`; 0 if there are none. One
// threshold is above all outputs.
template <class Wanted, class Bounded>
double best_at(const MetricRows& rows, const OptionalIndex& class_id, double bound, Wanted&& wanted,
               Bounded&& bounded) {
  const SortedOutputs outputs(rows, class_id.value_or(0), class_id ? *class_id + 1u : rows.cols);
  if (outputs.has_nan()) return kNoNumber;
  double best = 0.0;
  const auto judge = [&](const SortedOutputs::Above& above) {
    const AtThreshold at{above, outputs.all()};
    if (bounded(at) >= bound) best = std::max(best, wanted(at));
  };
  judge({});
  outputs.for_each_threshold([&](const auto&, const auto& after) { judge(after); });
  return best;
}

inline constexpr auto kPrecision = [](const AtThreshold& at) { return at.precision(); };
inline constexpr auto kRecall = [](const AtThreshold& at) { return at.recall(); };
inline constexpr auto kSpecificity = [](const AtThreshold& at) { return at.specificity(); };

template <>
struct MetricFormula<metrics::PrecisionAtRecall> : OfOrder {
  metrics::PrecisionAtRecall m;
  explicit MetricFormula(const metrics::PrecisionAtRecall& metric) : m(metric) {}
  double of_epoch(const MetricRows& rows) const { return best_at(rows, m.class_id, m.recall, kPrecision, kRecall); }
};
template <>
struct MetricFormula<metrics::RecallAtPrecision> : OfOrder {
  metrics::RecallAtPrecision m;
  explicit MetricFormula(const metrics::RecallAtPrecision& metric) : m(metric) {}
  double of_epoch(const MetricRows& rows) const { return best_at(rows, m.class_id, m.precision, kRecall, kPrecision); }
};
template <>
struct MetricFormula<metrics::SensitivityAtSpecificity> : OfOrder {
  metrics::SensitivityAtSpecificity m;
  explicit MetricFormula(const metrics::SensitivityAtSpecificity& metric) : m(metric) {}
  double of_epoch(const MetricRows& rows) const {
    return best_at(rows, m.class_id, m.specificity, kRecall, kSpecificity);
  }
};
template <>
struct MetricFormula<metrics::SpecificityAtSensitivity> : OfOrder {
  metrics::SpecificityAtSensitivity m;
  explicit MetricFormula(const metrics::SpecificityAtSensitivity& metric) : m(metric) {}
  double of_epoch(const MetricRows& rows) const {
    return best_at(rows, m.class_id, m.sensitivity, kSpecificity, kRecall);
  }
};

}  // namespace fastreg
