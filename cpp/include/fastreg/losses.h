// The descriptions of the losses: their names, fields and targets, and the last activation that a loss computes itself.
// The formulas are in math/losses.h and math/row_losses.h; the list at the end is the registry. There are no standard
// containers here, because kernel objects include this file, too.
#pragma once
#include "fastreg/enums.h"
#include "fastreg/fields.h"

namespace fastreg {

// values: any numbers. probabilities: numbers in [0, 1]. distribution: a row of shares, each >= 0. labels: one class
// index for each row, instead of a matrix.
enum class Targets : std::uint8_t { values, probabilities, distribution, labels };

// In addition to its name and fields, each loss has
//   kTargets   the kind of its targets
//   kAbsorbs   the last activation that it computes itself, from the values before it, since that is more accurate;
//              linear: none. A loss that absorbs one has a field from_logits: then the network outputs those values.
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
  static constexpr auto kFields = fields(field("from_logits", &BinaryCrossentropy::from_logits));
  static constexpr Targets kTargets = Targets::probabilities;
  static constexpr ActivationKind kAbsorbs = ActivationKind::sigmoid;
};

struct CategoricalCrossentropy {
  static constexpr const char* kName = "CategoricalCrossentropy";
  bool from_logits = false;
  static constexpr auto kFields = fields(field("from_logits", &CategoricalCrossentropy::from_logits));
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

}  // namespace losses

using Losses = List<losses::MeanSquaredError, losses::BinaryCrossentropy, losses::CategoricalCrossentropy,
                    losses::SparseCategoricalCrossentropy, losses::Huber>;

}  // namespace fastreg
