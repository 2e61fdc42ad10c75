// V at x86-64-v4: 16 lanes, masks in mask registers. The interface is documented in simd.h.
#pragma once

#include "cpu/simd/intrinsics.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

constexpr std::size_t kRegisters = 32;

struct V {
  static constexpr std::size_t kLanes = 16;
  struct Mask {
    __mmask16 m;
    static FASTREG_INLINE Mask first(std::size_t n) {
      return {static_cast<__mmask16>(n >= 16 ? 0xffffu : (1u << n) - 1u)};
    }
    static FASTREG_INLINE Mask of_bits(std::uint32_t bits) { return {static_cast<__mmask16>(bits)}; }
    friend FASTREG_INLINE Mask operator&(Mask a, Mask b) { return {static_cast<__mmask16>(a.m & b.m)}; }
    friend FASTREG_INLINE Mask operator|(Mask a, Mask b) { return {static_cast<__mmask16>(a.m | b.m)}; }
  };
  struct Int {
    __m512i v;
    static FASTREG_INLINE Int set(std::uint32_t s) { return {_mm512_set1_epi32(static_cast<int>(s))}; }
    static FASTREG_INLINE Int load(const std::uint32_t* p) { return {_mm512_loadu_si512(p)}; }
    FASTREG_INLINE void store(std::uint32_t* p) const { _mm512_storeu_si512(p, v); }
    friend FASTREG_INLINE Int operator+(Int a, Int b) { return {_mm512_add_epi32(a.v, b.v)}; }
    friend FASTREG_INLINE Int operator^(Int a, Int b) { return {_mm512_xor_si512(a.v, b.v)}; }
    friend FASTREG_INLINE void multiply(Int a, Int same, Int* high, Int* low) {
      const __m512 even = _mm512_castsi512_ps(_mm512_mul_epu32(a.v, same.v));
      const __m512i second = _mm512_castps_si512(_mm512_movehdup_ps(_mm512_castsi512_ps(a.v)));
      const __m512 odd = _mm512_castsi512_ps(_mm512_mul_epu32(second, same.v));
      high->v = _mm512_castps_si512(_mm512_mask_movehdup_ps(odd, 0x5555, even));
      low->v = _mm512_castps_si512(_mm512_mask_moveldup_ps(even, 0xaaaa, odd));
    }
    friend FASTREG_INLINE std::uint32_t halves_ge_bits(Int a, Int b) { return _mm512_cmpge_epu16_mask(a.v, b.v); }
  };

  __m512 v;
  V() = default;
  FASTREG_INLINE V(__m512 x) : v(x) {}
  FASTREG_INLINE V(float s) : v(_mm512_set1_ps(s)) {}

  static FASTREG_INLINE V load(const float* p) { return _mm512_loadu_ps(p); }
  static FASTREG_INLINE V load_first(const float* p, std::size_t n) {
    return _mm512_maskz_loadu_ps(Mask::first(n).m, p);
  }
  static FASTREG_INLINE V load(const double* p) { return join(_mm512_loadu_pd(p), _mm512_loadu_pd(p + 8)); }
  static FASTREG_INLINE V load_first(const double* p, std::size_t n) {
    const __mmask16 m = Mask::first(n).m;
    return join(_mm512_maskz_loadu_pd(static_cast<__mmask8>(m), p),
                _mm512_maskz_loadu_pd(static_cast<__mmask8>(m >> 8), p + 8));
  }
  static FASTREG_INLINE V load(const std::uint8_t* p) {
    return of_bytes(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static FASTREG_INLINE V load_first(const std::uint8_t* p, std::size_t n) {
    return of_bytes(_mm_maskz_loadu_epi8(Mask::first(n).m, p));
  }
  FASTREG_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  FASTREG_INLINE void store_first(float* p, std::size_t n) const { _mm512_mask_storeu_ps(p, Mask::first(n).m, v); }

  friend FASTREG_INLINE V operator+(V a, V b) { return _mm512_add_ps(a.v, b.v); }
  friend FASTREG_INLINE V operator-(V a, V b) { return _mm512_sub_ps(a.v, b.v); }
  friend FASTREG_INLINE V operator*(V a, V b) { return _mm512_mul_ps(a.v, b.v); }
  friend FASTREG_INLINE V operator/(V a, V b) { return _mm512_div_ps(a.v, b.v); }
  friend FASTREG_INLINE Mask operator<(V a, V b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
  friend FASTREG_INLINE Mask operator<=(V a, V b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
  friend FASTREG_INLINE Mask operator>(V a, V b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
  friend FASTREG_INLINE Mask operator>=(V a, V b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
  friend FASTREG_INLINE Mask operator==(V a, V b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
  friend FASTREG_INLINE Mask operator!=(V a, V b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ)}; }
  friend FASTREG_INLINE V fma(V a, V b, V c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }
  friend FASTREG_INLINE V fnma(V a, V b, V c) { return _mm512_fnmadd_ps(a.v, b.v, c.v); }
  friend FASTREG_INLINE V min(V a, V b) { return _mm512_min_ps(a.v, b.v); }
  friend FASTREG_INLINE V max(V a, V b) { return _mm512_max_ps(a.v, b.v); }
  friend FASTREG_INLINE V abs(V a) { return _mm512_abs_ps(a.v); }
  friend FASTREG_INLINE V copysign(V a, V b) {
    const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80000000u));
    return _mm512_castsi512_ps(
        _mm512_ternarylogic_epi32(sign, _mm512_castps_si512(b.v), _mm512_castps_si512(a.v), 0xca));
  }
  friend FASTREG_INLINE V give_sign(V a, V b) {
    const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80000000u));
    return _mm512_castsi512_ps(
        _mm512_ternarylogic_epi32(_mm512_castps_si512(a.v), _mm512_castps_si512(b.v), sign, 0xf8));
  }
  friend FASTREG_INLINE V sqrt(V a) { return _mm512_sqrt_ps(a.v); }
  // A square root occupies the divider for twice as long as a division. From y = 1 / sqrt(a), exact to 14 bits, a
  // Newton step gives a y (3 - a y^2) = 2 sqrt(a). Intel specifies the bits of y exactly, and AMD processors give the
  // same ones (bench/NOTES.md). The maximum keeps y finite where a is tiny, and keeps NaN.
  friend FASTREG_INLINE V twice_sqrt_plus(V a, V c) {
    const V x = max(V(0x1p-126f), a);
    const V y = _mm512_rsqrt14_ps(x.v);
    const V root = x * y;
    return fma(root, fnma(root, y, V(3.0f)), c);
  }
  friend FASTREG_INLINE V round(V a) {
    return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  friend FASTREG_INLINE V select(Mask m, V a, V b) { return _mm512_mask_blend_ps(m.m, b.v, a.v); }
  friend FASTREG_INLINE bool reaches(V a, V limit) { return _mm512_cmp_ps_mask(a.v, limit.v, _CMP_NLT_UQ) != 0; }
  friend FASTREG_INLINE V where(Mask m, V a) { return _mm512_maskz_mov_ps(m.m, a.v); }
  friend FASTREG_INLINE V exp2_of(V n) {
    const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));
  }
  friend FASTREG_INLINE V ldexp(V a, V n) { return _mm512_scalef_ps(a.v, n.v); }
  friend FASTREG_INLINE V split_exponent(V x, V* m) {
    const __m512i bits = _mm512_castps_si512(x.v);
    const __m512i e = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3f3504f3)), 23);
    m->v = _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(e, 23)));
    return _mm512_cvtepi32_ps(e);
  }
  friend FASTREG_INLINE float sum(V a) {
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
  }
  friend FASTREG_INLINE float max_lanes(V a) {
    const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_shuffle_ps(d, d, 1)));
  }

 private:
  static FASTREG_INLINE V join(__m512d low, __m512d high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
  }
  static FASTREG_INLINE V of_bytes(__m128i bytes) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)); }
};

FASTREG_INLINE V in_register(V a) {
  asm("" : "+v"(a.v));
  return a;
}

// Four rounds of pairwise exchanges: single lanes and pairs of lanes within the 128-bit quarters, then the quarters.
// Transposes the squares of 4 rows and columns that the quarters of four neighbouring vectors are.
FASTREG_INLINE void transpose_quarters(V (&r)[16]) {
  __m512 t[16];
  FASTREG_UNROLL
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i].v, r[i + 1].v);
    t[i + 1] = _mm512_unpackhi_ps(r[i].v, r[i + 1].v);
  }
  FASTREG_UNROLL
  for (int i = 0; i < 16; i += 4) {
    r[i].v = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1].v = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2].v = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3].v = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
}

FASTREG_INLINE void transpose(V (&r)[16]) {
  transpose_quarters(r);
  __m512 t[16];
  FASTREG_UNROLL
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_f32x4(r[i].v, r[i + 4].v, 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(r[i].v, r[i + 4].v, 0xdd);
    t[i + 8] = _mm512_shuffle_f32x4(r[i + 8].v, r[i + 12].v, 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(r[i + 8].v, r[i + 12].v, 0xdd);
  }
  FASTREG_UNROLL
  for (int i = 0; i < 4; ++i) {
    r[i].v = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
    r[i + 4].v = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 8].v = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
    r[i + 12].v = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

// Loads that put four columns of rows i, i + 4, i + 8 and i + 12 side by side take the place of two of the four rounds
// of shuffles, of which many processors do only one a cycle.
FASTREG_INLINE void load_transposed(const float* p, std::size_t stride, V (&r)[16]) {
  FASTREG_UNROLL
  for (std::size_t i = 0; i < 16; ++i) {
    const float* const row = p + i % 4 * stride + i / 4 * 4;
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(row));
    v = _mm512_mask_broadcast_f32x4(v, 0x00f0, _mm_loadu_ps(row + 4 * stride));
    v = _mm512_mask_broadcast_f32x4(v, 0x0f00, _mm_loadu_ps(row + 8 * stride));
    r[i].v = _mm512_mask_broadcast_f32x4(v, 0xf000, _mm_loadu_ps(row + 12 * stride));
  }
  transpose_quarters(r);
}

// Adds halves of vectors, then quarters, pairing vectors whose sums end up side by side; then adds pairs of lanes.
FASTREG_INLINE V sum_each(const V (&r)[16]) {
  __m512 q[4];
  FASTREG_UNROLL
  for (int s = 0; s < 4; ++s) {
    const __m512 a = r[s].v, b = r[4 + s].v, c = r[8 + s].v, d = r[12 + s].v;
    const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    q[s] = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
  }
  const __m512 m = _mm512_add_ps(_mm512_shuffle_ps(q[0], q[1], 0x44), _mm512_shuffle_ps(q[0], q[1], 0xee));
  const __m512 n = _mm512_add_ps(_mm512_shuffle_ps(q[2], q[3], 0x44), _mm512_shuffle_ps(q[2], q[3], 0xee));
  return _mm512_add_ps(_mm512_shuffle_ps(m, n, 0x88), _mm512_shuffle_ps(m, n, 0xdd));
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
