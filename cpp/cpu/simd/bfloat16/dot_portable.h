// The same sums as dot_avx512.h, on every processor. It expects that denormal numbers are flushed to zero, as they are
// in a team.
#pragma once
#include "cpu/simd/bfloat16/convert_portable.h"
#include "cpu/simd/bfloat16/sums_portable.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

struct PairsOfColumns {
  const std::uint16_t* pairs;
  bool exact;
  static FASTREG_INLINE PairsOfColumns load(const std::uint16_t* from) {
    return {from, have_exact_products(from, kTileDepth)};
  }
};

template <bool kExact>
FASTREG_INLINE void add_columns(Sums& sums, const std::uint16_t* left, const std::uint16_t* pairs) {
  for (std::size_t i = 0; i < kTileRows; ++i) {
    const float after_second = multiply_add<kExact>(left[1], pairs[2 * i + 1], sums.columns[i]);
    sums.columns[i] = multiply_add<kExact>(left[0], pairs[2 * i], after_second);
  }
}

FASTREG_INLINE void add_pairs(Sums& sums, const std::uint16_t* left, const PairsOfColumns& right) {
  right.exact && have_exact_products(left, 2) ? add_columns<true>(sums, left, right.pairs)
                                              : add_columns<false>(sums, left, right.pairs);
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
