// The regularizers: the name of each, its fields and their allowed values, and the list of all of them.
#pragma once
#include <cstdint>

#include "fastreg/fields.h"

namespace fastreg {

// Adds l1 * sum|w| + l2 * sum w^2 to the loss. proximal: the l1 part is a soft threshold in the optimizer's own metric
// (Yun, Lozano, Yang 2021) instead of a subgradient, which gives exact zeros.
enum class OrthogonalMode : std::uint8_t { rows, columns };
template <>
struct Choices<OrthogonalMode> {
  static constexpr const char* kNames[] = {"rows", "columns"};
};

// The penalty of a weight. orthogonal, orthogonal_mode: those of an OrthogonalRegularizer, which is another type in
// JSON and has neither l1 nor l2.
struct Penalty {
  static constexpr const char* kName = "L1L2";
  float l1 = 0.0f, l2 = 0.0f;
  bool proximal = false;
  float orthogonal = 0.0f;
  OrthogonalMode orthogonal_mode = OrthogonalMode::rows;
  bool operator==(const Penalty&) const = default;
  static constexpr auto kFields =
      fields(field("l1", &Penalty::l1, kNotNegative), field("l2", &Penalty::l2, kNotNegative),
             field("proximal", &Penalty::proximal));
};

// For kernels only: adds factor times the mean of |cos(angle)| over all pairs of different rows, or columns, to the
// loss.
struct OrthogonalRegularizer {
  static constexpr const char* kName = "OrthogonalRegularizer";
  float factor = 0.01f;
  OrthogonalMode mode = OrthogonalMode::rows;
  static constexpr auto kFields = fields(field("factor", &OrthogonalRegularizer::factor, kNotNegative),
                                         field("mode", &OrthogonalRegularizer::mode));
};

using Regularizers = List<Penalty, OrthogonalRegularizer>;

}  // namespace fastreg
