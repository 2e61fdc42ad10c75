// The layers, the penalties and the initializers: what each is called, its fields and what they may be, and the list of
// each kind. How layers compute is in cpp/core/layers/, how initial weights are drawn in cpp/core/initializers.cpp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <variant>

#include "fastreg/enums.h"
#include "fastreg/fields.h"

namespace fastreg {

struct Zeros {
  static constexpr const char* kName = "Zeros";
  static constexpr auto kFields = fields();
};
struct Ones {
  static constexpr const char* kName = "Ones";
  static constexpr auto kFields = fields();
};
struct Constant {
  static constexpr const char* kName = "Constant";
  double value = 0.0;
  static constexpr auto kFields = fields(field("value", &Constant::value));
};

inline constexpr Interval kDeviation{0.0, std::numeric_limits<double>::infinity(), false, false, ">= 0"};

struct RandomNormal {
  static constexpr const char* kName = "RandomNormal";
  double mean = 0.0, stddev = 0.05;
  static constexpr auto kFields =
      fields(field("mean", &RandomNormal::mean), field("stddev", &RandomNormal::stddev, kDeviation));
};
// Uniform in [minval, maxval).
struct RandomUniform {
  static constexpr const char* kName = "RandomUniform";
  double minval = -0.05, maxval = 0.05;
  static constexpr auto kFields =
      fields(field("minval", &RandomUniform::minval), field("maxval", &RandomUniform::maxval));

  template <class Fail>
  void check_fields_together(Fail fail) const {
    if (!(minval <= maxval)) fail("maxval", ">= minval", maxval);
  }
};
// RandomNormal, drawn again where it is more than two standard deviations off.
struct TruncatedNormal {
  static constexpr const char* kName = "TruncatedNormal";
  double mean = 0.0, stddev = 0.05;
  static constexpr auto kFields =
      fields(field("mean", &TruncatedNormal::mean), field("stddev", &TruncatedNormal::stddev, kDeviation));
};
struct GlorotUniform {
  static constexpr const char* kName = "GlorotUniform";
  static constexpr auto kFields = fields();
};
struct GlorotNormal {
  static constexpr const char* kName = "GlorotNormal";
  static constexpr auto kFields = fields();
};
struct HeUniform {
  static constexpr const char* kName = "HeUniform";
  static constexpr auto kFields = fields();
};
struct HeNormal {
  static constexpr const char* kName = "HeNormal";
  static constexpr auto kFields = fields();
};
struct LecunUniform {
  static constexpr const char* kName = "LecunUniform";
  static constexpr auto kFields = fields();
};
struct LecunNormal {
  static constexpr const char* kName = "LecunNormal";
  static constexpr auto kFields = fields();
};

using Initializers = List<Zeros, Ones, Constant, RandomNormal, RandomUniform, TruncatedNormal, GlorotUniform,
                          GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal>;
using Initializer = Initializers::Into<std::variant>;

// Adds l1 * sum|w| + l2 * sum w^2 to the loss. proximal: the l1 part is a soft threshold in the optimizer's own metric
// (Yun, Lozano, Yang 2021) instead of a subgradient, which gives exact zeros.
struct Penalty {
  static constexpr const char* kName = "L1L2";
  float l1 = 0.0f, l2 = 0.0f;
  bool proximal = false;
  bool operator==(const Penalty&) const = default;
  static constexpr auto kFields = fields(field("l1", &Penalty::l1, kNotNegative), field("l2", &Penalty::l2, kNotNegative),
                                         field("proximal", &Penalty::proximal));
};

using Regularizers = List<Penalty>;

// trainable: false leaves the layer's weights as they are in training; they have no moments and no penalty.

// y = activation(x W + b), W: (in, units), b: (units).
struct Dense {
  static constexpr const char* kName = "Dense";
  std::size_t units = 1;
  ActivationKind activation = ActivationKind::linear;
  bool use_bias = true;
  Initializer kernel_initializer = GlorotUniform{};
  Initializer bias_initializer = Zeros{};
  Penalty kernel_regularizer{}, bias_regularizer{};
  bool trainable = true;
  static constexpr auto kFields =
      fields(required_field("units", &Dense::units, kWidth), field("activation", &Dense::activation),
             field("use_bias", &Dense::use_bias), field("kernel_initializer", &Dense::kernel_initializer),
             field("bias_initializer", &Dense::bias_initializer),
             field("kernel_regularizer", &Dense::kernel_regularizer),
             field("bias_regularizer", &Dense::bias_regularizer), field("trainable", &Dense::trainable));
};

struct Activation {
  static constexpr const char* kName = "Activation";
  ActivationKind activation = ActivationKind::linear;
  static constexpr auto kFields = fields(required_field("activation", &Activation::activation));
};

// y = gamma (x - mean) / sqrt(var + epsilon) + beta. momentum is the weight of the old moving average (Keras). Where it is
// not trainable, it uses the moving statistics in training too, and they stay as they are.
struct BatchNormalization {
  static constexpr const char* kName = "BatchNormalization";
  float momentum = 0.99f, epsilon = 1e-3f;
  bool center = true, scale = true, trainable = true;
  static constexpr auto kFields =
      fields(field("momentum", &BatchNormalization::momentum, kClosedFraction),
             field("epsilon", &BatchNormalization::epsilon, kNormal), field("center", &BatchNormalization::center),
             field("scale", &BatchNormalization::scale), field("trainable", &BatchNormalization::trainable));
};

// Inverted dropout: rate is the probability to drop, in [0, 1); what is kept is scaled by 1 / (1 - rate).
// seed: keys the masks in place of the network's.
struct Dropout {
  static constexpr const char* kName = "Dropout";
  float rate = 0.5f;
  std::optional<std::uint64_t> seed = std::nullopt;
  static constexpr auto kFields =
      fields(field("rate", &Dropout::rate, kFraction), field("seed", &Dropout::seed));
};

// Joins read two values or more and have no weights. Of equally wide ones the sum and the product, element by element;
// of any, their columns side by side.
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

using Layers = List<Dense, Activation, BatchNormalization, Dropout, Add, Multiply, Concatenate>;
using Layer = Layers::Into<std::variant>;

}  // namespace fastreg
