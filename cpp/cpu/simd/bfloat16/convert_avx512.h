// Conversion of float32 numbers to tiles, with AVX512_BF16. It treats denormal numbers as zero.
#pragma once
#include "core/bfloat16.h"
#include "cpu/simd/intrinsics.h"
#include "math/inline.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

using Pairs = __m512i;   // 16 pairs of bfloat16 numbers

// a - bfloat16(a), which is exact; 0 where bfloat16(a) is infinite.
FASTREG_INLINE __m512 second_term(__m512 a) {
  constexpr int kInfinite = 0x18;
  const __m256i rounded = (__m256i)_mm512_cvtneps_pbh(a);
  const __m512 first = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded), 16));
  return _mm512_maskz_sub_ps(_knot_mask16(_mm512_fpclass_ps_mask(first, kInfinite)), a, first);
}

FASTREG_INLINE __m512 load_some(const float* p, std::size_t count) {
  return count >= 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p);
}

// The pairs of `count` <= 32 neighbours.
FASTREG_INLINE Pairs neighbours(const float* p, std::size_t count, bool second) {
  __m512 a = load_some(p, count), b = load_some(p + 16, count > 16 ? count - 16 : 0);
  if (second) {
    a = second_term(a);
    b = second_term(b);
  }
  return (Pairs)_mm512_cvtne2ps_pbh(b, a);
}

// The pairs (a[i], b[i]) for i < count <= 16; b may be null, which stands for zeros.
FASTREG_INLINE Pairs zipped(const float* a, const float* b, std::size_t count, bool second) {
  __m512 x = load_some(a, count), y = b != nullptr ? load_some(b, count) : _mm512_setzero_ps();
  if (second) {
    x = second_term(x);
    y = second_term(y);
  }
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, (Pairs)_mm512_cvtne2ps_pbh(y, x));
}

FASTREG_INLINE Pairs no_pairs() { return _mm512_setzero_si512(); }
FASTREG_INLINE void store(Pairs pairs, std::uint16_t* to) { _mm512_store_si512(to, pairs); }

// Transposes a matrix of pairs in place.
FASTREG_INLINE void transpose(Pairs (&r)[16]) {
  Pairs t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
