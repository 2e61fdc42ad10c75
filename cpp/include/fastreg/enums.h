// The closed lists that every kernel uses. They are plain enums without standard containers, because the kernel
// objects, which are compiled once per ISA, include this file. Lists that only some kernels use are in files of their
// own: losses.h, metrics.h and optimizers.h. After an addition to one of those the matrix products are not compiled
// again.
#pragma once
#include <cstdint>

namespace fastreg {

// The index of an activation in the list of cpp/math/activations.h and, behind that, of
// cpp/math/separate_activations.h, which is where activations are added. The ones that C++ code names have an
// enumerator; the others are found by their name (spec.h).
enum class ActivationKind : std::uint8_t {
  linear, relu, leaky_relu, elu, gelu, silu, tanh, sigmoid, softplus, softmax
};

// An activation with the values of its parameters, in the order that its formula has them in. Those in the first list
// have none, and a network refuses them with any: LeakyReluParameters{0.1f}.spec() of fastreg/activations.h is a
// leaky_relu with another slope.
struct ActivationSpec {
  ActivationKind kind = ActivationKind::linear;
  float parameters[3] = {0.0f, 0.0f, 0.0f};

  constexpr ActivationSpec() = default;
  constexpr ActivationSpec(ActivationKind chosen) : kind(chosen) {}
  constexpr ActivationSpec(ActivationKind chosen, float first, float second = 0.0f, float third = 0.0f)
      : kind(chosen), parameters{first, second, third} {}
  constexpr bool operator==(const ActivationSpec&) const = default;
};

// What the caller's rows of features may consist of.
enum class ElementType : std::uint8_t { float32, float64, uint8 };

// What a row of x is divided by: sqrt(sum x^2), of which a square below 1e-12 counts as that; sqrt(mean x^2 + epsilon);
// or, after its mean is subtracted, sqrt(biased variance + epsilon).
enum class RowStatistic : std::uint8_t { none, unit, root_mean_square, standard };

// How the matrix products of dense layers are computed. highest: float32 operands and float32 sums. high: each operand
// as the sum of two bfloat16 numbers, three products, float32 sums. medium: operands rounded to bfloat16, float32 sums.
// matmul_precision_computes in fastreg/runtime.h says which of them this CPU computes; the others stand for highest.
enum class MatmulPrecision : std::uint8_t { highest, high, medium };

// Slope of leaky_relu below zero and scale of elu, Keras's defaults.
inline constexpr float kLeakyReluSlope = 0.2f;
inline constexpr float kEluAlpha = 1.0f;

}  // namespace fastreg
