// The descriptions of the metrics: their names, fields and targets, and whether higher or lower values are better. The
// formulas are in core/metrics/; the list at the end is the registry.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "fastreg/fields.h"

namespace fastreg {

// The targets that a metric needs: a matrix, labels, or either. A label stands for a row of targets with a 1 in its
// column and 0 elsewhere.
enum class MetricTargets : std::uint8_t { matrix, labels, any };

// Whether lower or higher values are better.
enum class Direction : std::uint8_t { min, max };

inline constexpr Interval kThreshold{0.0, 1.0, true, false, "in (0, 1]"};
// The index of a column.

inline constexpr Interval kBins{1.0, 65536.0, false, true, "in [1, 65536)"};

// What a correlation runs along: the columns of each row, or the rows of each column. In JSON -1 or 0.
enum class Axis : std::int8_t { columns = -1, rows = 0 };

// Optional counts and indices of columns have this type; an optional uint64_t is a seed.
using OptionalIndex = std::optional<std::uint32_t>;

// In addition to its name, fields, targets and direction, a metric may have
//   outputs()         how many outputs the network must have; 0, or no such function: any number
//   least_outputs()   how many it must have at least
namespace metrics {

template <MetricTargets Wanted, Direction Better>
struct Traits {
  static constexpr MetricTargets kTargets = Wanted;
  static constexpr Direction kDirection = Better;
};
using HighOfMatrix = Traits<MetricTargets::matrix, Direction::max>;
using LowOfMatrix = Traits<MetricTargets::matrix, Direction::min>;
using HighOfLabels = Traits<MetricTargets::labels, Direction::max>;
using LowOfLabels = Traits<MetricTargets::labels, Direction::min>;
using HighOfAny = Traits<MetricTargets::any, Direction::max>;
using LowOfAny = Traits<MetricTargets::any, Direction::min>;

// ------------------------------------------------------------------------------------------------- shares of hits

// The share of outputs that equal their target.
struct Accuracy : HighOfMatrix {
  static constexpr const char* kName = "Accuracy";
  static constexpr auto kFields = fields();
};

struct BinaryAccuracy : HighOfMatrix {
  static constexpr const char* kName = "BinaryAccuracy";
  float threshold = 0.5f;
  static constexpr auto kFields = fields(field("threshold", &BinaryAccuracy::threshold, kClosedFraction));
};

struct CategoricalAccuracy : HighOfMatrix {
  static constexpr const char* kName = "CategoricalAccuracy";
  static constexpr auto kFields = fields();
};

struct SparseCategoricalAccuracy : HighOfLabels {
  static constexpr const char* kName = "SparseCategoricalAccuracy";
  static constexpr auto kFields = fields();
};

struct TopKCategoricalAccuracy : HighOfMatrix {
  static constexpr const char* kName = "TopKCategoricalAccuracy";
  std::size_t k = 5;
  static constexpr auto kFields = fields(field("k", &TopKCategoricalAccuracy::k, kWidth));
};

struct SparseTopKCategoricalAccuracy : HighOfLabels {
  static constexpr const char* kName = "SparseTopKCategoricalAccuracy";
  std::size_t k = 5;
  static constexpr auto kFields = fields(field("k", &SparseTopKCategoricalAccuracy::k, kWidth));
};

// The mean over the classes of the shares of their rows that are found. One output has the classes yes and no.
struct BalancedAccuracy : HighOfAny {
  static constexpr const char* kName = "BalancedAccuracy";
  float threshold = 0.5f;
  static constexpr auto kFields = fields(field("threshold", &BalancedAccuracy::threshold, kThreshold));
};

// ------------------------------------------------------------------------------------- counts of positive outputs

// What counts: the outputs of all columns, or of one of them. An output is positive if it is above the threshold, and,
// with top_k, only if it is among the top_k largest of its row; then the threshold has no default.
struct Counting {
  std::optional<float> threshold{};
  OptionalIndex top_k{}, class_id{};
  std::size_t least() const { return std::max<std::size_t>(top_k.value_or(1), class_id ? *class_id + 1u : 1u); }
};

struct Precision : HighOfAny {
  static constexpr const char* kName = "Precision";
  std::optional<float> thresholds{};
  OptionalIndex top_k{}, class_id{};
  static constexpr auto kFields =
      fields(field("thresholds", &Precision::thresholds, kClosedFraction), field("top_k", &Precision::top_k, kWidth),
             field("class_id", &Precision::class_id, kIndex));
  Counting counting() const { return {thresholds, top_k, class_id}; }
  std::size_t least_outputs() const { return counting().least(); }
};

struct Recall : HighOfAny {
  static constexpr const char* kName = "Recall";
  std::optional<float> thresholds{};
  OptionalIndex top_k{}, class_id{};
  static constexpr auto kFields =
      fields(field("thresholds", &Recall::thresholds, kClosedFraction), field("top_k", &Recall::top_k, kWidth),
             field("class_id", &Recall::class_id, kIndex));
  Counting counting() const { return {thresholds, top_k, class_id}; }
  std::size_t least_outputs() const { return counting().least(); }
};

struct Specificity : HighOfAny {
  static constexpr const char* kName = "Specificity";
  std::optional<float> thresholds{};
  OptionalIndex top_k{}, class_id{};
  static constexpr auto kFields =
      fields(field("thresholds", &Specificity::thresholds, kClosedFraction),
             field("top_k", &Specificity::top_k, kWidth), field("class_id", &Specificity::class_id, kIndex));
  Counting counting() const { return {thresholds, top_k, class_id}; }
  std::size_t least_outputs() const { return counting().least(); }
};

struct TruePositives : HighOfAny {
  static constexpr const char* kName = "TruePositives";
  std::optional<float> thresholds{};
  static constexpr auto kFields = fields(field("thresholds", &TruePositives::thresholds, kClosedFraction));
  Counting counting() const { return {thresholds}; }
};

struct TrueNegatives : HighOfAny {
  static constexpr const char* kName = "TrueNegatives";
  std::optional<float> thresholds{};
  static constexpr auto kFields = fields(field("thresholds", &TrueNegatives::thresholds, kClosedFraction));
  Counting counting() const { return {thresholds}; }
};

struct FalsePositives : LowOfAny {
  static constexpr const char* kName = "FalsePositives";
  std::optional<float> thresholds{};
  static constexpr auto kFields = fields(field("thresholds", &FalsePositives::thresholds, kClosedFraction));
  Counting counting() const { return {thresholds}; }
};

struct FalseNegatives : LowOfAny {
  static constexpr const char* kName = "FalseNegatives";
  std::optional<float> thresholds{};
  static constexpr auto kFields = fields(field("thresholds", &FalseNegatives::thresholds, kClosedFraction));
  Counting counting() const { return {thresholds}; }
};

enum class Average : std::uint8_t { micro, macro, weighted };

// (1 + beta^2) precision recall / (beta^2 precision + recall) of each column, averaged, or of one column. Without
// either there is a value for each column. An output is positive if it is above the threshold or, without one, if it is
// the largest of its row; a single output if it is above 0.5.
struct FBetaScore : HighOfAny {
  static constexpr const char* kName = "FBetaScore";
  std::optional<Average> average{};
  double beta = 1.0;
  std::optional<float> threshold{};
  OptionalIndex class_id{};
  static constexpr auto kFields =
      fields(field("average", &FBetaScore::average), field("beta", &FBetaScore::beta, kPositive),
             field("threshold", &FBetaScore::threshold, kThreshold), field("class_id", &FBetaScore::class_id, kIndex));
  constexpr std::size_t outputs() const { return average || class_id ? 0 : 1; }
  std::size_t least_outputs() const { return class_id ? *class_id + 1u : 1u; }
};

struct F1Score : HighOfAny {
  static constexpr const char* kName = "F1Score";
  std::optional<Average> average{};
  std::optional<float> threshold{};
  OptionalIndex class_id{};
  static constexpr auto kFields =
      fields(field("average", &F1Score::average), field("threshold", &F1Score::threshold, kThreshold),
             field("class_id", &F1Score::class_id, kIndex));
  constexpr std::size_t outputs() const { return average || class_id ? 0 : 1; }
  std::size_t least_outputs() const { return class_id ? *class_id + 1u : 1u; }
};

// ---------------------------------------------------------------------------------------- agreement of two labellings

struct MatthewsCorrelation : HighOfAny {
  static constexpr const char* kName = "MatthewsCorrelation";
  float threshold = 0.5f;
  static constexpr auto kFields = fields(field("threshold", &MatthewsCorrelation::threshold, kThreshold));
};

// How much the disagreement of two classes counts: 1, the distance of their columns, or its square.
enum class Disagreement : std::uint8_t { linear, quadratic };

struct CohenKappa : HighOfAny {
  static constexpr const char* kName = "CohenKappa";
  std::optional<Disagreement> weights{};
  float threshold = 0.5f;
  static constexpr auto kFields =
      fields(field("weights", &CohenKappa::weights), field("threshold", &CohenKappa::threshold, kThreshold));
};

// -------------------------------------------------------------------------------------- curves over all thresholds

enum class Curve : std::uint8_t { ROC, PR };

// The area under a curve: of all columns together, or, with multi_label, the mean of the areas of the columns.
struct AUC : HighOfAny {
  static constexpr const char* kName = "AUC";
  Curve curve = Curve::ROC;
  bool multi_label = false;
  static constexpr auto kFields = fields(field("curve", &AUC::curve), field("multi_label", &AUC::multi_label));
};

// The best of one measure among all thresholds at which another one reaches a bound.
struct PrecisionAtRecall : HighOfAny {
  static constexpr const char* kName = "PrecisionAtRecall";
  double recall = 0.5;
  OptionalIndex class_id{};
  static constexpr auto kFields = fields(required_field("recall", &PrecisionAtRecall::recall, kClosedFraction),
                                         field("class_id", &PrecisionAtRecall::class_id, kIndex));
  std::size_t least_outputs() const { return class_id ? *class_id + 1u : 1u; }
};

struct RecallAtPrecision : HighOfAny {
  static constexpr const char* kName = "RecallAtPrecision";
  double precision = 0.5;
  OptionalIndex class_id{};
  static constexpr auto kFields = fields(required_field("precision", &RecallAtPrecision::precision, kClosedFraction),
                                         field("class_id", &RecallAtPrecision::class_id, kIndex));
  std::size_t least_outputs() const { return class_id ? *class_id + 1u : 1u; }
};

struct SensitivityAtSpecificity : HighOfAny {
  static constexpr const char* kName = "SensitivityAtSpecificity";
  double specificity = 0.5;
  OptionalIndex class_id{};
  static constexpr auto kFields =
      fields(required_field("specificity", &SensitivityAtSpecificity::specificity, kClosedFraction),
             field("class_id", &SensitivityAtSpecificity::class_id, kIndex));
  std::size_t least_outputs() const { return class_id ? *class_id + 1u : 1u; }
};

struct SpecificityAtSensitivity : HighOfAny {
  static constexpr const char* kName = "SpecificityAtSensitivity";
  double sensitivity = 0.5;
  OptionalIndex class_id{};
  static constexpr auto kFields =
      fields(required_field("sensitivity", &SpecificityAtSensitivity::sensitivity, kClosedFraction),
             field("class_id", &SpecificityAtSensitivity::class_id, kIndex));
  std::size_t least_outputs() const { return class_id ? *class_id + 1u : 1u; }
};

// ------------------------------------------------------------------------------------------------- of probabilities

struct BinaryCrossentropy : LowOfMatrix {
  static constexpr const char* kName = "BinaryCrossentropy";
  bool from_logits = false;
  float label_smoothing = 0.0f;
  static constexpr auto kFields =
      fields(field("from_logits", &BinaryCrossentropy::from_logits),
             field("label_smoothing", &BinaryCrossentropy::label_smoothing, kClosedFraction));
};

struct CategoricalCrossentropy : LowOfMatrix {
  static constexpr const char* kName = "CategoricalCrossentropy";
  bool from_logits = false;
  float label_smoothing = 0.0f;
  static constexpr auto kFields =
      fields(field("from_logits", &CategoricalCrossentropy::from_logits),
             field("label_smoothing", &CategoricalCrossentropy::label_smoothing, kClosedFraction));
};

struct SparseCategoricalCrossentropy : LowOfLabels {
  static constexpr const char* kName = "SparseCategoricalCrossentropy";
  bool from_logits = false;
  static constexpr auto kFields = fields(field("from_logits", &SparseCategoricalCrossentropy::from_logits));
};

struct BrierScore : LowOfAny {
  static constexpr const char* kName = "BrierScore";
  static constexpr auto kFields = fields();
};

struct ExpectedCalibrationError : LowOfAny {
  static constexpr const char* kName = "ExpectedCalibrationError";
  std::size_t num_bins = 15;
  static constexpr auto kFields = fields(field("num_bins", &ExpectedCalibrationError::num_bins, kBins));
};

struct Hinge : LowOfMatrix {
  static constexpr const char* kName = "Hinge";
  static constexpr auto kFields = fields();
};

struct SquaredHinge : LowOfMatrix {
  static constexpr const char* kName = "SquaredHinge";
  static constexpr auto kFields = fields();
};

struct CategoricalHinge : LowOfMatrix {
  static constexpr const char* kName = "CategoricalHinge";
  static constexpr auto kFields = fields();
};

struct KLDivergence : LowOfMatrix {
  static constexpr const char* kName = "KLDivergence";
  static constexpr auto kFields = fields();
};

// ------------------------------------------------------------------------------------------------------- of numbers

struct MeanSquaredError : LowOfMatrix {
  static constexpr const char* kName = "MeanSquaredError";
  static constexpr auto kFields = fields();
};

struct MeanAbsoluteError : LowOfMatrix {
  static constexpr const char* kName = "MeanAbsoluteError";
  static constexpr auto kFields = fields();
};

struct RootMeanSquaredError : LowOfMatrix {
  static constexpr const char* kName = "RootMeanSquaredError";
  static constexpr auto kFields = fields();
};

struct MeanAbsolutePercentageError : LowOfMatrix {
  static constexpr const char* kName = "MeanAbsolutePercentageError";
  static constexpr auto kFields = fields();
};

struct MeanSquaredLogarithmicError : LowOfMatrix {
  static constexpr const char* kName = "MeanSquaredLogarithmicError";
  static constexpr auto kFields = fields();
};

struct MedianAbsoluteError : LowOfMatrix {
  static constexpr const char* kName = "MedianAbsoluteError";
  static constexpr auto kFields = fields();
};

struct LogCoshError : LowOfMatrix {
  static constexpr const char* kName = "LogCoshError";
  static constexpr auto kFields = fields();
};

struct Poisson : LowOfMatrix {
  static constexpr const char* kName = "Poisson";
  static constexpr auto kFields = fields();
};

struct CosineSimilarity : HighOfMatrix {
  static constexpr const char* kName = "CosineSimilarity";
  static constexpr auto kFields = fields();
};

enum class Aggregation : std::uint8_t { uniform_average, variance_weighted_average };

// Without an aggregation there is a value for each column.
struct R2Score : HighOfMatrix {
  static constexpr const char* kName = "R2Score";
  std::optional<Aggregation> class_aggregation = Aggregation::uniform_average;
  std::size_t num_regressors = 0;
  static constexpr auto kFields = fields(field("class_aggregation", &R2Score::class_aggregation),
                                         field("num_regressors", &R2Score::num_regressors, kIndex));
  constexpr std::size_t outputs() const { return class_aggregation ? 0 : 1; }
};

struct ExplainedVariance : HighOfMatrix {
  static constexpr const char* kName = "ExplainedVariance";
  static constexpr auto kFields = fields();
};

// Along the columns of each row, whose values are averaged, or along the rows of each column.
struct PearsonCorrelation : HighOfMatrix {
  static constexpr const char* kName = "PearsonCorrelation";
  Axis axis = Axis::columns;
  static constexpr auto kFields = fields(field("axis", &PearsonCorrelation::axis));
  std::size_t least_outputs() const { return axis == Axis::columns ? 2 : 1; }
};

struct ConcordanceCorrelation : HighOfMatrix {
  static constexpr const char* kName = "ConcordanceCorrelation";
  Axis axis = Axis::columns;
  static constexpr auto kFields = fields(field("axis", &ConcordanceCorrelation::axis));
  std::size_t least_outputs() const { return axis == Axis::columns ? 2 : 1; }
};

// A metric that the program computes (fastreg/metric_state.h): its index in the list of functions. It is not part of
// the registry, because a file cannot contain it.
struct Function : LowOfAny {
  static constexpr const char* kName = "Function";
  std::size_t index = 0;
  static constexpr auto kFields = fields(required_field("index", &Function::index, kIndex));
};

}  // namespace metrics

template <>
struct Choices<metrics::Average> {
  static constexpr const char* kNames[] = {"micro", "macro", "weighted"};
};
template <>
struct Choices<metrics::Disagreement> {
  static constexpr const char* kNames[] = {"linear", "quadratic"};
};
template <>
struct Choices<metrics::Curve> {
  static constexpr const char* kNames[] = {"ROC", "PR"};
};
template <>
struct Choices<metrics::Aggregation> {
  static constexpr const char* kNames[] = {"uniform_average", "variance_weighted_average"};
};

using Metrics =
    List<metrics::Accuracy, metrics::BinaryAccuracy, metrics::CategoricalAccuracy, metrics::SparseCategoricalAccuracy,
         metrics::TopKCategoricalAccuracy, metrics::SparseTopKCategoricalAccuracy, metrics::BalancedAccuracy,
         metrics::Precision, metrics::Recall, metrics::Specificity, metrics::TruePositives, metrics::TrueNegatives,
         metrics::FalsePositives, metrics::FalseNegatives, metrics::FBetaScore, metrics::F1Score,
         metrics::MatthewsCorrelation, metrics::CohenKappa, metrics::AUC, metrics::PrecisionAtRecall,
         metrics::RecallAtPrecision, metrics::SensitivityAtSpecificity, metrics::SpecificityAtSensitivity,
         metrics::BinaryCrossentropy, metrics::CategoricalCrossentropy, metrics::SparseCategoricalCrossentropy,
         metrics::BrierScore, metrics::ExpectedCalibrationError, metrics::Hinge, metrics::SquaredHinge,
         metrics::CategoricalHinge, metrics::KLDivergence, metrics::MeanSquaredError, metrics::MeanAbsoluteError,
         metrics::RootMeanSquaredError, metrics::MeanAbsolutePercentageError, metrics::MeanSquaredLogarithmicError,
         metrics::MedianAbsoluteError, metrics::LogCoshError, metrics::Poisson, metrics::CosineSimilarity,
         metrics::R2Score, metrics::ExplainedVariance, metrics::PearsonCorrelation, metrics::ConcordanceCorrelation>;

using AllMetrics = decltype(with<metrics::Function>(Metrics()));

}  // namespace fastreg
