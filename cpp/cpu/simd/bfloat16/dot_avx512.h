// Sums of 16 columns, to which AVX512_BF16 adds the products of pairs.
#pragma once
#include "core/bfloat16.h"
#include "cpu/simd/intrinsics.h"
#include "math/inline.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

struct Sums {
  __m512 columns;
  static FASTREG_INLINE Sums zero() { return {_mm512_setzero_ps()}; }
  static FASTREG_INLINE Sums load(const float* from) { return {_mm512_load_ps(from)}; }
  FASTREG_INLINE void store(float* to) const { _mm512_store_ps(to, columns); }
};

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
