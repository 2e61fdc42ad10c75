// The descriptions of the metrics: their names, fields and targets, and whether higher or lower values are better. The
// formulas are in core/metric_formulas.h; the list at the end is the registry.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>

#include "fastreg/fields.h"

namespace fastreg {

// The targets that a metric needs: a matrix, labels, or either.
enum class MetricTargets : std::uint8_t { matrix, labels, any };

// Whether lower or higher values are better.
enum class Direction : std::uint8_t { min, max };

inline constexpr Interval kThreshold{0.0, 1.0, true, false, "in (0, 1]"};

// In addition to its name, fields, targets and direction, a metric may have
//   outputs()   how many outputs the network must have; 0, or no such function: any number
namespace metrics {

struct BinaryAccuracy {
  static constexpr const char* kName = "BinaryAccuracy";
  static constexpr auto kFields = fields();
  static constexpr MetricTargets kTargets = MetricTargets::matrix;
  static constexpr Direction kDirection = Direction::max;
};

struct CategoricalAccuracy {
  static constexpr const char* kName = "CategoricalAccuracy";
  static constexpr auto kFields = fields();
  static constexpr MetricTargets kTargets = MetricTargets::matrix;
  static constexpr Direction kDirection = Direction::max;
};

struct SparseCategoricalAccuracy {
  static constexpr const char* kName = "SparseCategoricalAccuracy";
  static constexpr auto kFields = fields();
  static constexpr MetricTargets kTargets = MetricTargets::labels;
  static constexpr Direction kDirection = Direction::max;
};

struct MeanSquaredError {
  static constexpr const char* kName = "MeanSquaredError";
  static constexpr auto kFields = fields();
  static constexpr MetricTargets kTargets = MetricTargets::matrix;
  static constexpr Direction kDirection = Direction::min;
};

struct MeanAbsoluteError {
  static constexpr const char* kName = "MeanAbsoluteError";
  static constexpr auto kFields = fields();
  static constexpr MetricTargets kTargets = MetricTargets::matrix;
  static constexpr Direction kDirection = Direction::min;
};

// The area under the receiver operating characteristic.
struct AUC {
  static constexpr const char* kName = "AUC";
  static constexpr auto kFields = fields();
  static constexpr MetricTargets kTargets = MetricTargets::matrix;
  static constexpr Direction kDirection = Direction::max;
  static constexpr std::size_t outputs() { return 1; }
};

enum class Average : std::uint8_t { micro, macro, weighted };

// 2 true positives / (2 true positives + false positives + false negatives) of each column, averaged. Without an average
// there must be one column. An output is positive if it is above the threshold or, without one, if it is the largest of
// its row; a single output if it is above 0.5.
struct F1Score {
  static constexpr const char* kName = "F1Score";
  std::optional<Average> average{};
  std::optional<float> threshold{};
  static constexpr auto kFields =
      fields(field("average", &F1Score::average), field("threshold", &F1Score::threshold, kThreshold));
  static constexpr MetricTargets kTargets = MetricTargets::any;
  static constexpr Direction kDirection = Direction::max;
  constexpr std::size_t outputs() const { return average ? 0 : 1; }
};

}  // namespace metrics

template <>
struct Choices<metrics::Average> {
  static constexpr const char* kNames[] = {"micro", "macro", "weighted"};
};

using Metrics = List<metrics::BinaryAccuracy, metrics::CategoricalAccuracy, metrics::SparseCategoricalAccuracy,
                     metrics::MeanSquaredError, metrics::MeanAbsoluteError, metrics::AUC, metrics::F1Score>;

}  // namespace fastreg
