// The closed lists that every kernel knows. Plain enums and no standard containers: the kernel objects, which are
// compiled once per ISA, include this file too. What fewer of them know has a file of its own: losses.h, metrics.h and
// optimizers.h. An addition to one of those compiles the matrix products no second time.
#pragma once
#include <cstdint>

namespace fastreg {

// The index of an activation in the list of cpp/math/activations.h, which is where activations are added. The ones that
// C++ code names have an enumerator; the others are found by their name (spec.h).
enum class ActivationKind : std::uint8_t {
  linear, relu, leaky_relu, elu, gelu, silu, tanh, sigmoid, softplus, softmax
};

// What the caller's rows of features may consist of.
enum class ElementType : std::uint8_t { float32, float64, uint8 };

// Slope of leaky_relu below zero and scale of elu, Keras's defaults.
inline constexpr float kLeakyReluSlope = 0.2f;
inline constexpr float kEluAlpha = 1.0f;

}  // namespace fastreg
