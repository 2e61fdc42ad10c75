// The descriptions of the layers that normalise or scale features.
#pragma once
#include <optional>

#include "fastreg/activations.h"
#include "fastreg/constraints.h"
#include "fastreg/fields.h"
#include "fastreg/initializers.h"
#include "fastreg/multipliers.h"
#include "fastreg/regularizers.h"

namespace fastreg {

// y = gamma (x - mean) / sqrt(var + epsilon) + beta, of a batch's columns. momentum is the weight of the old moving
// average, as in Keras; without one the average is that of all batches since the optimizer's first step. If the layer
// is not trainable, it uses the moving statistics also in training, and they do not change.
struct BatchNormalization {
  static constexpr const char* kName = "BatchNormalization";
  std::optional<float> momentum = 0.99f;
  float epsilon = 1e-3f;
  bool center = true, scale = true;
  Initializer beta_initializer = Zeros{}, gamma_initializer = Ones{};
  Initializer moving_mean_initializer = Zeros{}, moving_variance_initializer = Ones{};
  Penalty beta_regularizer{}, gamma_regularizer{};
  std::optional<Constraint> beta_constraint{}, gamma_constraint{};
  bool trainable = true;
  Multipliers multipliers{};
  static constexpr auto kFields =
      fields(field("momentum", &BatchNormalization::momentum, kClosedFraction),
             field("epsilon", &BatchNormalization::epsilon, kNormal), field("center", &BatchNormalization::center),
             field("scale", &BatchNormalization::scale),
             field("beta_initializer", &BatchNormalization::beta_initializer),
             field("gamma_initializer", &BatchNormalization::gamma_initializer),
             field("moving_mean_initializer", &BatchNormalization::moving_mean_initializer),
             field("moving_variance_initializer", &BatchNormalization::moving_variance_initializer),
             field("beta_regularizer", &BatchNormalization::beta_regularizer),
             field("gamma_regularizer", &BatchNormalization::gamma_regularizer),
             field("beta_constraint", &BatchNormalization::beta_constraint),
             field("gamma_constraint", &BatchNormalization::gamma_constraint),
             field("trainable", &BatchNormalization::trainable),
             field("multipliers", &BatchNormalization::multipliers));
};

// The same formula for the columns of each row by itself.
struct LayerNormalization {
  static constexpr const char* kName = "LayerNormalization";
  float epsilon = 1e-3f;
  bool center = true, scale = true;
  Initializer beta_initializer = Zeros{}, gamma_initializer = Ones{};
  Penalty beta_regularizer{}, gamma_regularizer{};
  std::optional<Constraint> beta_constraint{}, gamma_constraint{};
  bool trainable = true;
  Multipliers multipliers{};
  static constexpr auto kFields =
      fields(field("epsilon", &LayerNormalization::epsilon, kNormal), field("center", &LayerNormalization::center),
             field("scale", &LayerNormalization::scale),
             field("beta_initializer", &LayerNormalization::beta_initializer),
             field("gamma_initializer", &LayerNormalization::gamma_initializer),
             field("beta_regularizer", &LayerNormalization::beta_regularizer),
             field("gamma_regularizer", &LayerNormalization::gamma_regularizer),
             field("beta_constraint", &LayerNormalization::beta_constraint),
             field("gamma_constraint", &LayerNormalization::gamma_constraint),
             field("trainable", &LayerNormalization::trainable),
             field("multipliers", &LayerNormalization::multipliers));
};

// y = scale x / sqrt(mean x^2 + epsilon) of each row.
struct RMSNormalization {
  static constexpr const char* kName = "RMSNormalization";
  float epsilon = 1e-6f;
  bool trainable = true;
  Multipliers multipliers{};
  static constexpr auto kFields = fields(field("epsilon", &RMSNormalization::epsilon, kNormal),
                                         field("trainable", &RMSNormalization::trainable),
             field("multipliers", &RMSNormalization::multipliers));
};

// y = x / sqrt(max(sum x^2, 1e-12)) of each row.
struct UnitNormalization {
  static constexpr const char* kName = "UnitNormalization";
  static constexpr auto kFields = fields();
};

// y = scale x, with a learned factor for each column.
struct Scale {
  static constexpr const char* kName = "Scale";
  Initializer scale_initializer = Ones{};
  Penalty scale_regularizer{};
  std::optional<Constraint> scale_constraint{};
  bool trainable = true;
  Multipliers multipliers{};
  static constexpr auto kFields = fields(field("scale_initializer", &Scale::scale_initializer),
                                         field("scale_regularizer", &Scale::scale_regularizer),
                                         field("scale_constraint", &Scale::scale_constraint),
                                         field("trainable", &Scale::trainable),
             field("multipliers", &Scale::multipliers));
};

// y = x above 0, alpha x below, with a learned alpha for each column.
struct PReLU {
  static constexpr const char* kName = "PReLU";
  Initializer alpha_initializer = Zeros{};
  Penalty alpha_regularizer{};
  std::optional<Constraint> alpha_constraint{};
  bool trainable = true;
  Multipliers multipliers{};
  static constexpr auto kFields = fields(field("alpha_initializer", &PReLU::alpha_initializer),
                                         field("alpha_regularizer", &PReLU::alpha_regularizer),
                                         field("alpha_constraint", &PReLU::alpha_constraint),
                                         field("trainable", &PReLU::trainable),
             field("multipliers", &PReLU::multipliers));
};

// y = x + alpha (f(x) - x), with a learned alpha for each column; f is the activation, which is no one of whole rows.
struct ParametricActivation {
  static constexpr const char* kName = "ParametricActivation";
  ActivationSpec activation{};
  Initializer alpha_initializer = Ones{};
  Penalty alpha_regularizer{};
  bool trainable = true;
  Multipliers multipliers{};
  static constexpr auto kFields =
      fields(required_field("activation", &ParametricActivation::activation),
             field("alpha_initializer", &ParametricActivation::alpha_initializer),
             field("alpha_regularizer", &ParametricActivation::alpha_regularizer),
             field("trainable", &ParametricActivation::trainable),
             field("multipliers", &ParametricActivation::multipliers));
};

}  // namespace fastreg
