// Adds the products of pairs to the sums of 16 columns, with AVX512_BF16.
#pragma once
#include "cpu/simd/bfloat16/sums_avx512.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// The pairs of 16 columns.
struct PairsOfColumns {
  __m512bh pairs;
  static FASTREG_INLINE PairsOfColumns load(const std::uint16_t* from) { return {(__m512bh)_mm512_load_si512(from)}; }
};

// For each column: sums += left[1] right[1], then sums += left[0] right[0].
FASTREG_INLINE void add_pairs(Sums& sums, const std::uint16_t* left, const PairsOfColumns& right) {
  std::int32_t pair;
  __builtin_memcpy(&pair, left, sizeof pair);
  sums.columns = _mm512_dpbf16_ps(sums.columns, (__m512bh)_mm512_set1_epi32(pair), right.pairs);
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
