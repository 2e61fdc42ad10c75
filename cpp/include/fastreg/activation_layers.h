// The descriptions of the layers that are nothing but an activation with its parameters. spec() is how each is
// computed.
#pragma once
#include <optional>

#include "fastreg/activations.h"
#include "fastreg/fields.h"

namespace fastreg {

struct ReLU {
  static constexpr const char* kName = "ReLU";
  std::optional<float> max_value = std::nullopt;
  float negative_slope = 0.0f, threshold = 0.0f;
  static constexpr auto kFields = fields(field("max_value", &ReLU::max_value, kNotNegative),
                                         field("negative_slope", &ReLU::negative_slope, kNotNegative),
                                         field("threshold", &ReLU::threshold, kNotNegative));
  ActivationSpec spec() const { return ReluParameters{max_value, negative_slope, threshold}.spec(); }
};

// Keras's default, which is not that of the activation leaky_relu.
struct LeakyReLU {
  static constexpr const char* kName = "LeakyReLU";
  float negative_slope = 0.3f;
  static constexpr auto kFields = fields(field("negative_slope", &LeakyReLU::negative_slope, kNotNegative));
  ActivationSpec spec() const { return LeakyReluParameters{negative_slope}.spec(); }
};

struct ELU {
  static constexpr const char* kName = "ELU";
  float alpha = kEluAlpha;
  static constexpr auto kFields = fields(field("alpha", &ELU::alpha));
  ActivationSpec spec() const { return EluParameters{alpha}.spec(); }
};

// The softmax of each row. (Softmax is the name of a struct of the kernel table.)
struct SoftmaxLayer {
  static constexpr const char* kName = "Softmax";
  static constexpr auto kFields = fields();
  ActivationSpec spec() const { return ActivationKind::softmax; }
};

struct Identity {
  static constexpr const char* kName = "Identity";
  static constexpr auto kFields = fields();
  ActivationSpec spec() const { return ActivationKind::linear; }
};

}  // namespace fastreg
