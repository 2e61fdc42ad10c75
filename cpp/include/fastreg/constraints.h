// The descriptions of the constraints on weights: their names, their fields with ranges, and the list of all of them.
// cpp/core/constraints.cpp applies them after each update, before the next forward pass.
//
// A norm is one of the vectors that `axis` says: axis 0 of a kernel (inputs, units) is the vector of all weights of a
// unit, axis 1 that of all weights of an input, and both together are the whole kernel. A weight that is a vector has
// axis 0 only. With e = 1e-7, as in Keras, a vector of norm r is multiplied with
//
//   MaxNorm      min(r, max_value) / (r + e)
//   UnitNorm     1 / (r + e)
//   MinMaxNorm   ((1 - rate) r + rate clip(r, min_value, max_value)) / (r + e)
//
// and NonNeg replaces negative elements by 0.
#pragma once
#include <variant>

#include "fastreg/fields.h"

namespace fastreg {

// Which axes a norm is over, in JSON an integer or an array of integers. last: the last axis, -1 in JSON.
struct NormAxes {
  bool first = true, second = false, last = false;
  bool operator==(const NormAxes&) const = default;
};

struct MaxNorm {
  static constexpr const char* kName = "MaxNorm";
  float max_value = 2.0f;
  NormAxes axis{};
  bool operator==(const MaxNorm&) const = default;
  static constexpr auto kFields =
      fields(field("max_value", &MaxNorm::max_value, kNotNegative), field("axis", &MaxNorm::axis));
};
struct NonNeg {
  static constexpr const char* kName = "NonNeg";
  bool operator==(const NonNeg&) const = default;
  static constexpr auto kFields = fields();
};
struct UnitNorm {
  static constexpr const char* kName = "UnitNorm";
  NormAxes axis{};
  bool operator==(const UnitNorm&) const = default;
  static constexpr auto kFields = fields(field("axis", &UnitNorm::axis));
};
struct MinMaxNorm {
  static constexpr const char* kName = "MinMaxNorm";
  float min_value = 0.0f, max_value = 1.0f, rate = 1.0f;
  NormAxes axis{};
  bool operator==(const MinMaxNorm&) const = default;
  static constexpr auto kFields =
      fields(field("min_value", &MinMaxNorm::min_value, kNotNegative),
             field("max_value", &MinMaxNorm::max_value, kNotNegative),
             field("rate", &MinMaxNorm::rate, kClosedFraction), field("axis", &MinMaxNorm::axis));

  template <class Fail>
  void check_fields_together(Fail fail) const {
    if (!(min_value <= max_value)) fail("max_value", ">= min_value", max_value);
  }
};

using Constraints = List<MaxNorm, NonNeg, UnitNorm, MinMaxNorm>;
using Constraint = Constraints::Into<std::variant>;

}  // namespace fastreg
