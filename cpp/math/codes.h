// Formulas of a table's numbers (fastreg/table_layer.h), in double as they are where a table is encoded.
#pragma once
#include "math/inline.h"

namespace fastreg::math {

// Numbers beyond this count as this, so that no difference of two is infinite.
constexpr double kLargestCode = 1e300;

// x within [-limit, limit]; NaN stays NaN. Neither this nor what follows has a branch, so that loops become vectors.
FASTREG_INLINE double limited(double x, double limit) {
  const double above = x < -limit ? -limit : x;
  return limit < above ? limit : above;
}

// The softly limited number: z / sqrt(1 + (z / 3)^2) for z = (x - centre) scale. At 1e6 the limit is long reached.
FASTREG_INLINE double softly_limited(double x, double centre, double scale) {
  const double z = limited((x - centre) * scale, 1e6), third = z / 3.0;
  return z / __builtin_sqrt(1.0 + third * third);
}

// The part of a bin that is below x, within [0, 1].
FASTREG_INLINE double part_of_bin(double x, double low, double high) {
  const double part = (x - low) / (high - low), above = part < 0.0 ? 0.0 : part;
  return 1.0 < above ? 1.0 : above;
}

}  // namespace fastreg::math
