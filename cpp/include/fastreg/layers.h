// The descriptions of the layers: their names, their fields with ranges, and the list of all of them, from which
// everything else is derived. cpp/core/layers/ has their computations.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>

#include "fastreg/constraints.h"
#include "fastreg/enums.h"
#include "fastreg/feature_layers.h"
#include "fastreg/fields.h"
#include "fastreg/initializers.h"
#include "fastreg/multipliers.h"
#include "fastreg/regularizers.h"

namespace fastreg {

// With trainable false, training does not change the weights of the layer, which then have no moments and no penalty.
// A layer that has weights has Multipliers of their rates and decays. A constraint of a weight has a field of its own.

// y = activation(x W + b), W: (in, units), b: (units).
struct Dense {
  static constexpr const char* kName = "Dense";
  std::size_t units = 1;
  ActivationKind activation = ActivationKind::linear;
  bool use_bias = true;
  Initializer kernel_initializer = GlorotUniform{};
  Initializer bias_initializer = Zeros{};
  Penalty kernel_regularizer{}, bias_regularizer{};
  std::optional<Constraint> kernel_constraint{}, bias_constraint{};
  bool trainable = true;
  Multipliers multipliers{};
  static constexpr auto kFields =
      fields(required_field("units", &Dense::units, kWidth), field("activation", &Dense::activation),
             field("use_bias", &Dense::use_bias), field("kernel_initializer", &Dense::kernel_initializer),
             field("bias_initializer", &Dense::bias_initializer),
             field("kernel_regularizer", &Dense::kernel_regularizer),
             field("bias_regularizer", &Dense::bias_regularizer),
             field("kernel_constraint", &Dense::kernel_constraint),
             field("bias_constraint", &Dense::bias_constraint), field("trainable", &Dense::trainable),
             field("multipliers", &Dense::multipliers));
};

struct Activation {
  static constexpr const char* kName = "Activation";
  ActivationKind activation = ActivationKind::linear;
  static constexpr auto kFields = fields(required_field("activation", &Activation::activation));
};

// y = gamma (x - mean) / sqrt(var + epsilon) + beta. momentum is the weight of the old moving average, as in Keras. If
// the layer is not trainable, it uses the moving statistics also in training, and they do not change.
struct BatchNormalization {
  static constexpr const char* kName = "BatchNormalization";
  float momentum = 0.99f, epsilon = 1e-3f;
  bool center = true, scale = true, trainable = true;
  Multipliers multipliers{};
  static constexpr auto kFields =
      fields(field("momentum", &BatchNormalization::momentum, kClosedFraction),
             field("epsilon", &BatchNormalization::epsilon, kNormal), field("center", &BatchNormalization::center),
             field("scale", &BatchNormalization::scale), field("trainable", &BatchNormalization::trainable),
             field("multipliers", &BatchNormalization::multipliers));
};

// Inverted dropout: rate is the probability to drop an element, in [0, 1); the others are scaled by 1 / (1 - rate).
// seed, if it is set, is used for the masks instead of the network's.
struct Dropout {
  static constexpr const char* kName = "Dropout";
  float rate = 0.5f;
  std::optional<std::uint64_t> seed = std::nullopt;
  static constexpr auto kFields =
      fields(field("rate", &Dropout::rate, kFraction), field("seed", &Dropout::seed));
};

// Joins read two or more values, or as many as kInputs says, and have no weights. Add, Subtract, Multiply, Average,
// Maximum and Minimum compute element by element, from left to right, and their values have the same width; Concatenate
// puts the columns of any values side by side.
struct Add {
  static constexpr const char* kName = "Add";
  static constexpr bool kJoin = true;
  static constexpr auto kFields = fields();
};
struct Multiply {
  static constexpr const char* kName = "Multiply";
  static constexpr bool kJoin = true;
  static constexpr auto kFields = fields();
};
struct Concatenate {
  static constexpr const char* kName = "Concatenate";
  static constexpr bool kJoin = true;
  static constexpr auto kFields = fields();
};
struct Subtract {
  static constexpr const char* kName = "Subtract";
  static constexpr bool kJoin = true;
  static constexpr std::size_t kInputs = 2;
  static constexpr auto kFields = fields();
};
struct Average {
  static constexpr const char* kName = "Average";
  static constexpr bool kJoin = true;
  static constexpr auto kFields = fields();
};
struct Maximum {
  static constexpr const char* kName = "Maximum";
  static constexpr bool kJoin = true;
  static constexpr auto kFields = fields();
};
struct Minimum {
  static constexpr const char* kName = "Minimum";
  static constexpr bool kJoin = true;
  static constexpr auto kFields = fields();
};
// Each row of the two inputs holds vectors of `length` elements: one after the other, or, if it is transposed, element
// by element, the first of all vectors before the second. y has the scalar product of each vector of the first with
// each of the second, in this order. normalize: the vectors are divided by their Euclidean norms first.
struct Dot {
  static constexpr const char* kName = "Dot";
  static constexpr bool kJoin = true;
  static constexpr std::size_t kInputs = 2;
  std::size_t length = 1;
  bool first_transposed = false, second_transposed = false, normalize = false;
  static constexpr auto kFields =
      fields(required_field("length", &Dot::length, kWidth), field("first_transposed", &Dot::first_transposed),
             field("second_transposed", &Dot::second_transposed), field("normalize", &Dot::normalize));
};

using Layers = List<Dense, Activation, BatchNormalization, Dropout, Add, Multiply, Concatenate, Subtract, Average,
                    Maximum, Minimum, Dot, Embedding, CategoryEncoding, Rescaling, Normalization>;
using Layer = Layers::Into<std::variant>;

}  // namespace fastreg
