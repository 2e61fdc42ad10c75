// The descriptions of the losses: their names, fields and targets, and the last activation that a loss computes itself.
// The formulas are in math/losses.h and math/row_losses.h; the list at the end is the registry. There are no standard
// containers here, because kernel objects include this file, too.
#pragma once
#include "fastreg/enums.h"
#include "fastreg/fields.h"

namespace fastreg {

// values: any numbers. counts: numbers >= 0. probabilities: numbers in [0, 1]. signs: -1 or 1, or 0 or 1. distribution:
// a row of shares, each >= 0. labels: one class index for each row, instead of a matrix.
enum class Targets : std::uint8_t { values, counts, probabilities, signs, distribution, labels };

// In addition to its name and fields, each loss has
//   kTargets   the kind of its targets
//   kAbsorbs   the last activation that it computes itself, from the values before it, since that is more accurate;
//              linear: none. A loss that absorbs one has a field from_logits: then the network outputs those values.
// and it may have
//   refuses(cols)   null if a network may have this many outputs, else what there must be, after "loss: "
namespace losses {

struct MeanSquaredError {
  static constexpr const char* kName = "MeanSquaredError";
  static constexpr auto kFields = fields();
  static constexpr Targets kTargets = Targets::values;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

struct Huber {
  static constexpr const char* kName = "Huber";
  float delta = 1.0f;
  static constexpr auto kFields = fields(field("delta", &Huber::delta, kPositive));
  static constexpr Targets kTargets = Targets::values;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

struct BinaryCrossentropy {
  static constexpr const char* kName = "BinaryCrossentropy";
  bool from_logits = false;
  float label_smoothing = 0.0f;
  static constexpr auto kFields =
      fields(field("from_logits", &BinaryCrossentropy::from_logits),
             field("label_smoothing", &BinaryCrossentropy::label_smoothing, kClosedFraction));
  static constexpr Targets kTargets = Targets::probabilities;
  static constexpr ActivationKind kAbsorbs = ActivationKind::sigmoid;
};

struct CategoricalCrossentropy {
  static constexpr const char* kName = "CategoricalCrossentropy";
  bool from_logits = false;
  float label_smoothing = 0.0f;
  static constexpr auto kFields =
      fields(field("from_logits", &CategoricalCrossentropy::from_logits),
             field("label_smoothing", &CategoricalCrossentropy::label_smoothing, kClosedFraction));
  static constexpr Targets kTargets = Targets::distribution;
  static constexpr ActivationKind kAbsorbs = ActivationKind::softmax;
};

struct SparseCategoricalCrossentropy {
  static constexpr const char* kName = "SparseCategoricalCrossentropy";
  bool from_logits = false;
  static constexpr auto kFields = fields(field("from_logits", &SparseCategoricalCrossentropy::from_logits));
  static constexpr Targets kTargets = Targets::labels;
  static constexpr ActivationKind kAbsorbs = ActivationKind::softmax;
};

struct MeanAbsoluteError {
  static constexpr const char* kName = "MeanAbsoluteError";
  static constexpr auto kFields = fields();
  static constexpr Targets kTargets = Targets::values;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

struct MeanAbsolutePercentageError {
  static constexpr const char* kName = "MeanAbsolutePercentageError";
  static constexpr auto kFields = fields();
  static constexpr Targets kTargets = Targets::values;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

struct MeanSquaredLogarithmicError {
  static constexpr const char* kName = "MeanSquaredLogarithmicError";
  static constexpr auto kFields = fields();
  static constexpr Targets kTargets = Targets::counts;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

struct LogCosh {
  static constexpr const char* kName = "LogCosh";
  static constexpr auto kFields = fields();
  static constexpr Targets kTargets = Targets::values;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

struct Poisson {
  static constexpr const char* kName = "Poisson";
  static constexpr auto kFields = fields();
  static constexpr Targets kTargets = Targets::counts;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

struct KLDivergence {
  static constexpr const char* kName = "KLDivergence";
  static constexpr auto kFields = fields();
  static constexpr Targets kTargets = Targets::probabilities;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

struct CosineSimilarity {
  static constexpr const char* kName = "CosineSimilarity";
  static constexpr auto kFields = fields();
  static constexpr Targets kTargets = Targets::values;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

struct Hinge {
  static constexpr const char* kName = "Hinge";
  static constexpr auto kFields = fields();
  static constexpr Targets kTargets = Targets::signs;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

struct SquaredHinge {
  static constexpr const char* kName = "SquaredHinge";
  static constexpr auto kFields = fields();
  static constexpr Targets kTargets = Targets::signs;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

struct CategoricalHinge {
  static constexpr const char* kName = "CategoricalHinge";
  static constexpr auto kFields = fields();
  static constexpr Targets kTargets = Targets::distribution;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

// The deviance of a distribution whose variance grows as a power of its mean.
struct Tweedie {
  static constexpr const char* kName = "Tweedie";
  float power = 1.5f;
  static constexpr auto kFields = fields(field("power", &Tweedie::power, kOneToTwo));
  static constexpr Targets kTargets = Targets::counts;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

// Outputs for each quantile: those of the first one, then those of the next. The targets are repeated likewise.
struct Quantile {
  static constexpr const char* kName = "Quantile";
  Numbers quantiles{{0.5f}, 1};
  static constexpr auto kFields = fields(field("quantiles", &Quantile::quantiles, kOpenFraction));
  static constexpr Targets kTargets = Targets::values;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
  constexpr const char* refuses(std::size_t cols) const {
    return cols % quantiles.count == 0 ? nullptr : "the outputs must be as many for each quantile";
  }
};

// The first half of the outputs are means, the second half logarithms of variances. The targets are given twice.
struct GaussianNLL {
  static constexpr const char* kName = "GaussianNLL";
  bool full = false;
  float epsilon = 1e-6f;
  static constexpr auto kFields =
      fields(field("full", &GaussianNLL::full), field("epsilon", &GaussianNLL::epsilon, kNormal));
  static constexpr Targets kTargets = Targets::values;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
  constexpr const char* refuses(std::size_t cols) const {
    return cols % 2 == 0 ? nullptr : "the outputs must be as many variances as means";
  }
};

struct BinaryFocalCrossentropy {
  static constexpr const char* kName = "BinaryFocalCrossentropy";
  bool apply_class_balancing = false;
  float alpha = 0.25f, gamma = 2.0f;
  bool from_logits = false;
  float label_smoothing = 0.0f;
  static constexpr auto kFields =
      fields(field("apply_class_balancing", &BinaryFocalCrossentropy::apply_class_balancing),
             field("alpha", &BinaryFocalCrossentropy::alpha, kClosedFraction),
             field("gamma", &BinaryFocalCrossentropy::gamma, kNotNegative),
             field("from_logits", &BinaryFocalCrossentropy::from_logits),
             field("label_smoothing", &BinaryFocalCrossentropy::label_smoothing, kClosedFraction));
  static constexpr Targets kTargets = Targets::probabilities;
  static constexpr ActivationKind kAbsorbs = ActivationKind::sigmoid;
};

struct CategoricalFocalCrossentropy {
  static constexpr const char* kName = "CategoricalFocalCrossentropy";
  Numbers alpha{{0.25f}, 1};   // for all classes, or for each
  float gamma = 2.0f;
  bool from_logits = false;
  float label_smoothing = 0.0f;
  static constexpr auto kFields =
      fields(field("alpha", &CategoricalFocalCrossentropy::alpha, kNotNegative),
             field("gamma", &CategoricalFocalCrossentropy::gamma, kNotNegative),
             field("from_logits", &CategoricalFocalCrossentropy::from_logits),
             field("label_smoothing", &CategoricalFocalCrossentropy::label_smoothing, kClosedFraction));
  static constexpr Targets kTargets = Targets::distribution;
  static constexpr ActivationKind kAbsorbs = ActivationKind::softmax;
  constexpr const char* refuses(std::size_t cols) const {
    return alpha.count == 1 || alpha.count == cols ? nullptr : "alpha must be one number, or one for each class";
  }
};

struct CategoricalGeneralizedCrossEntropy {
  static constexpr const char* kName = "CategoricalGeneralizedCrossEntropy";
  float q = 0.5f;
  static constexpr auto kFields = fields(field("q", &CategoricalGeneralizedCrossEntropy::q, kPositiveFraction));
  static constexpr Targets kTargets = Targets::labels;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

// A loss that the program computes (LossFunction of fastreg/trainer.h): its index in the list of functions, and whether
// its targets are labels. It is not part of the registry, because a file cannot contain it.
struct Function {
  static constexpr const char* kName = "Function";
  std::size_t index = 0;
  bool labels = false;
  static constexpr auto kFields =
      fields(required_field("index", &Function::index, kIndex), field("labels", &Function::labels));
  static constexpr Targets kTargets = Targets::values;
  static constexpr ActivationKind kAbsorbs = ActivationKind::linear;
};

}  // namespace losses

using Losses = List<losses::MeanSquaredError, losses::BinaryCrossentropy, losses::CategoricalCrossentropy,
                    losses::SparseCategoricalCrossentropy, losses::Huber, losses::MeanAbsoluteError,
                    losses::MeanAbsolutePercentageError, losses::MeanSquaredLogarithmicError, losses::LogCosh,
                    losses::Poisson, losses::KLDivergence, losses::CosineSimilarity, losses::Hinge,
                    losses::SquaredHinge, losses::CategoricalHinge, losses::Tweedie, losses::Quantile,
                    losses::GaussianNLL, losses::BinaryFocalCrossentropy, losses::CategoricalFocalCrossentropy,
                    losses::CategoricalGeneralizedCrossEntropy>;
using AllLosses = decltype(with<losses::Function>(Losses()));

}  // namespace fastreg
