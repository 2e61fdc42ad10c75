// The closed lists that every kernel uses. They are plain enums without standard containers, because the kernel
// objects, which are compiled once per ISA, include this file. Lists that only some kernels use are in files of their
// own: losses.h, metrics.h and optimizers.h. After an addition to one of those the matrix products are not compiled
// again.
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
