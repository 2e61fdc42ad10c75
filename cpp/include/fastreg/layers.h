// The descriptions of the layers: their names, their fields with ranges, and the list of all of them, from which
// everything else is derived. cpp/core/layers/ has their computations.
#pragma once
#include <cstddef>
#include <optional>
#include <variant>

#include "fastreg/activation_layers.h"
#include "fastreg/constraints.h"
#include "fastreg/enums.h"
#include "fastreg/feature_layers.h"
#include "fastreg/fields.h"
#include "fastreg/initializers.h"
#include "fastreg/multipliers.h"
#include "fastreg/noise_layers.h"
#include "fastreg/normalization_layers.h"
#include "fastreg/periodic_layer.h"
#include "fastreg/regularizers.h"
#include "fastreg/table_layer.h"

namespace fastreg {

// With trainable false, training does not change the weights of the layer, which then have no moments and no penalty.
// A layer that has weights has Multipliers of their rates and decays. A constraint of a weight has a field of its own.

// y = activation(x W + b), W: (in, units), b: (units).
struct Dense {
  static constexpr const char* kName = "Dense";
  std::size_t units = 1;
  ActivationSpec activation{};
  bool use_bias = true;
  Initializer kernel_initializer = GlorotUniform{};
  Initializer bias_initializer = Zeros{};
  Penalty kernel_regularizer{}, bias_regularizer{};
  Penalty activity_regularizer{};   // as that of ActivityRegularization, of y; proximal is not allowed
  std::optional<Constraint> kernel_constraint{}, bias_constraint{};
  bool trainable = true;
  Multipliers multipliers{};
  static constexpr auto kFields =
      fields(required_field("units", &Dense::units, kWidth), field("activation", &Dense::activation),
             field("use_bias", &Dense::use_bias), field("kernel_initializer", &Dense::kernel_initializer),
             field("bias_initializer", &Dense::bias_initializer),
             field("kernel_regularizer", &Dense::kernel_regularizer),
             field("bias_regularizer", &Dense::bias_regularizer),
             field("activity_regularizer", &Dense::activity_regularizer),
             field("kernel_constraint", &Dense::kernel_constraint),
             field("bias_constraint", &Dense::bias_constraint), field("trainable", &Dense::trainable),
             field("multipliers", &Dense::multipliers));
};

struct Activation {
  static constexpr const char* kName = "Activation";
  ActivationSpec activation{};
  static constexpr auto kFields = fields(required_field("activation", &Activation::activation));
  ActivationSpec spec() const { return activation; }
};

// Joins read two or more values, or as many as kInputs says, and have no weights. Add, Subtract, Multiply, Average,
// Maximum and Minimum compute element by element, from left to right, and their values have the same width, or a single
// column that stands for every column; Concatenate puts the columns of any values side by side.
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

// A layer that is nothing but an activation, which spec() returns.
template <class AnyLayer>
concept IsActivation = requires(const AnyLayer& layer) { ActivationSpec(layer.spec()); };

using Layers = List<Dense, Activation, BatchNormalization, Dropout,
                    ReLU, LeakyReLU, ELU, SoftmaxLayer, Identity, PReLU,
                    LayerNormalization, RMSNormalization, UnitNormalization, Scale,
                    GaussianNoise, GaussianDropout, AlphaDropout, ActivityRegularization,
                    Add, Multiply, Concatenate, Subtract, Average, Maximum, Minimum, Dot,
                    Embedding, CategoryEncoding, Rescaling, Normalization, TableInput, PeriodicEmbedding,
                    ParametricActivation>;
using Layer = Layers::Into<std::variant>;

}  // namespace fastreg
