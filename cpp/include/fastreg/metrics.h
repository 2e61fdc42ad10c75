// The descriptions of the metrics: their names, fields and targets, and whether higher or lower values are better. The
// formulas are in core/metric_formulas.h; the list at the end is the registry.
#pragma once
#include <cstddef>
#include <cstdint>

#include "fastreg/fields.h"

namespace fastreg {

// The targets that a metric needs: a matrix, labels, or either.
enum class MetricTargets : std::uint8_t { matrix, labels, any };

// Whether lower or higher values are better.
enum class Direction : std::uint8_t { min, max };

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

}  // namespace metrics

using Metrics = List<metrics::BinaryAccuracy, metrics::CategoricalAccuracy, metrics::SparseCategoricalAccuracy,
                     metrics::MeanSquaredError, metrics::MeanAbsoluteError, metrics::AUC>;

}  // namespace fastreg
