// Sums of 16 columns in a vector of AVX-512, and the results that they become.
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

// Adds a bias, which may be null, and with relu replaces what is below 0 by 0.
class Finish {
 public:
  FASTREG_INLINE Finish(const float* bias, bool relu)
      : bias_(bias != nullptr ? _mm512_loadu_ps(bias) : _mm512_setzero_ps()),
        least_(_mm512_set1_ps(relu ? 0.0f : -__builtin_inff())) {}
  FASTREG_INLINE void put(const Sums& sums, float* to) const {
    const __m512 value = _mm512_add_ps(sums.columns, bias_);
    _mm512_storeu_ps(to, _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(value, least_, _CMP_NLT_UQ), value));
  }

 private:
  __m512 bias_, least_;
};

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
