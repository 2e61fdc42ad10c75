// The same sums as dot_avx512.h, on every processor. It expects that denormal numbers are flushed to zero, as they are
// in a team.
#pragma once
#include "cpu/bfloat16/convert_portable.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

struct Sums {
  float columns[kTileRows];
  static FASTREG_INLINE Sums zero() { return {}; }
  static FASTREG_INLINE Sums load(const float* from) {
    Sums out;
    for (std::size_t i = 0; i < kTileRows; ++i) out.columns[i] = from[i];
    return out;
  }
  FASTREG_INLINE void store(float* to) const {
    for (std::size_t i = 0; i < kTileRows; ++i) to[i] = columns[i];
  }
};

struct PairsOfColumns {
  const std::uint16_t* pairs;
  static FASTREG_INLINE PairsOfColumns load(const std::uint16_t* from) { return {from}; }
};

FASTREG_INLINE void add_pairs(Sums& sums, const std::uint16_t* left, const PairsOfColumns& right) {
  for (std::size_t i = 0; i < kTileRows; ++i) {
    const float after_second = __builtin_fmaf(value_of(left[1]), value_of(right.pairs[2 * i + 1]), sums.columns[i]);
    sums.columns[i] = __builtin_fmaf(value_of(left[0]), value_of(right.pairs[2 * i]), after_second);
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
