// The regularizers: the name of each, its fields and their allowed values, and the list of all of them.
#pragma once
#include "fastreg/fields.h"

namespace fastreg {

// Adds l1 * sum|w| + l2 * sum w^2 to the loss. proximal: the l1 part is a soft threshold in the optimizer's own metric
// (Yun, Lozano, Yang 2021) instead of a subgradient, which gives exact zeros.
struct Penalty {
  static constexpr const char* kName = "L1L2";
  float l1 = 0.0f, l2 = 0.0f;
  bool proximal = false;
  bool operator==(const Penalty&) const = default;
  static constexpr auto kFields =
      fields(field("l1", &Penalty::l1, kNotNegative), field("l2", &Penalty::l2, kNotNegative),
             field("proximal", &Penalty::proximal));
};

using Regularizers = List<Penalty>;

}  // namespace fastreg
