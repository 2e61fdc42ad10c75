// The parameters of activations: of each that has some, their names, ranges and defaults, which are Keras's, and the
// list of all of these. cpp/math/ has the formulas of all activations.
#pragma once
#include <optional>

#include "fastreg/enums.h"
#include "fastreg/fields.h"

namespace fastreg {

// spec(): how the activation is computed with these values; with the defaults, where there is one, in the same way as
// before it had parameters.

// x above the threshold, at most max_value, and negative_slope (x - threshold) elsewhere.
struct ReluParameters {
  static constexpr const char* kName = "relu";
  std::optional<float> max_value = std::nullopt;
  float negative_slope = 0.0f, threshold = 0.0f;
  static constexpr auto kFields = fields(field("max_value", &ReluParameters::max_value, kNotNegative),
                                         field("negative_slope", &ReluParameters::negative_slope, kNotNegative),
                                         field("threshold", &ReluParameters::threshold, kNotNegative));
  ActivationSpec spec() const;
};
struct LeakyReluParameters {
  static constexpr const char* kName = "leaky_relu";
  float negative_slope = kLeakyReluSlope;
  static constexpr auto kFields = fields(field("negative_slope", &LeakyReluParameters::negative_slope, kNotNegative));
  ActivationSpec spec() const;
};
struct EluParameters {
  static constexpr const char* kName = "elu";
  float alpha = kEluAlpha;
  static constexpr auto kFields = fields(field("alpha", &EluParameters::alpha));
  ActivationSpec spec() const;
};
struct GeluParameters {
  static constexpr const char* kName = "gelu";
  bool approximate = false;
  static constexpr auto kFields = fields(field("approximate", &GeluParameters::approximate));
  ActivationSpec spec() const;
};
struct CeluParameters {
  static constexpr const char* kName = "celu";
  float alpha = 1.0f;
  static constexpr auto kFields = fields(field("alpha", &CeluParameters::alpha, kNormal));
  ActivationSpec spec() const;
};
struct SquareplusParameters {
  static constexpr const char* kName = "squareplus";
  float b = 4.0f;
  static constexpr auto kFields = fields(field("b", &SquareplusParameters::b, kNormal));
  ActivationSpec spec() const;
};
struct SoftShrinkParameters {
  static constexpr const char* kName = "soft_shrink";
  float threshold = 0.5f;
  static constexpr auto kFields = fields(field("threshold", &SoftShrinkParameters::threshold, kNotNegative));
  ActivationSpec spec() const;
};
struct HardShrinkParameters {
  static constexpr const char* kName = "hard_shrink";
  float threshold = 0.5f;
  static constexpr auto kFields = fields(field("threshold", &HardShrinkParameters::threshold, kNotNegative));
  ActivationSpec spec() const;
};
struct ThresholdParameters {
  static constexpr const char* kName = "threshold";
  float threshold = 0.0f, default_value = 0.0f;
  static constexpr auto kFields = fields(required_field("threshold", &ThresholdParameters::threshold),
                                         required_field("default_value", &ThresholdParameters::default_value));
  ActivationSpec spec() const;
};

using ActivationParameters =
    List<ReluParameters, LeakyReluParameters, EluParameters, GeluParameters, CeluParameters, SquareplusParameters,
         SoftShrinkParameters, HardShrinkParameters, ThresholdParameters>;

}  // namespace fastreg
