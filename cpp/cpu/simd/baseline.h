// V at x86-64-v2 (SSE4.2): 4 lanes, no fused multiply-add. The interface is documented in simd.h.
#pragma once
#include <nmmintrin.h>

namespace fastreg {
namespace FASTREG_ISA {
namespace {

constexpr std::size_t kRegisters = 16;

struct V {
  static constexpr std::size_t kLanes = 4;
  struct Mask {
    __m128 m;
    static FASTREG_INLINE Mask first(std::size_t n) {
      const __m128i lane = _mm_setr_epi32(0, 1, 2, 3);
      return {_mm_castsi128_ps(_mm_cmpgt_epi32(_mm_set1_epi32(n > 4 ? 4 : static_cast<int>(n)), lane))};
    }
    static FASTREG_INLINE Mask of_bits(std::uint32_t bits) {
      const __m128i lane = _mm_setr_epi32(1, 2, 4, 8);
      return {_mm_castsi128_ps(_mm_cmpeq_epi32(_mm_and_si128(_mm_set1_epi32(static_cast<int>(bits)), lane), lane))};
    }
    friend FASTREG_INLINE Mask operator&(Mask a, Mask b) { return {_mm_and_ps(a.m, b.m)}; }
    friend FASTREG_INLINE Mask operator|(Mask a, Mask b) { return {_mm_or_ps(a.m, b.m)}; }
  };
  struct Int {
    __m128i v;
    static FASTREG_INLINE Int set(std::uint32_t s) { return {_mm_set1_epi32(static_cast<int>(s))}; }
    static FASTREG_INLINE Int load(const std::uint32_t* p) {
      return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))};
    }
    FASTREG_INLINE void store(std::uint32_t* p) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
    friend FASTREG_INLINE Int operator+(Int a, Int b) { return {_mm_add_epi32(a.v, b.v)}; }
    friend FASTREG_INLINE Int operator^(Int a, Int b) { return {_mm_xor_si128(a.v, b.v)}; }
    friend FASTREG_INLINE void multiply(Int a, Int same, Int* high, Int* low) {
      const __m128i even = _mm_mul_epu32(a.v, same.v), odd = _mm_mul_epu32(_mm_srli_epi64(a.v, 32), same.v);
      high->v = _mm_blend_epi16(_mm_srli_epi64(even, 32), odd, 0xcc);
      low->v = _mm_blend_epi16(even, _mm_slli_epi64(odd, 32), 0xcc);
    }
    friend FASTREG_INLINE std::uint32_t halves_ge_bits(Int a, Int b) {
      const __m128i ge = _mm_cmpeq_epi16(_mm_max_epu16(a.v, b.v), a.v);
      return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(ge, _mm_setzero_si128())));
    }
  };

  __m128 v;
  V() = default;
  FASTREG_INLINE V(__m128 x) : v(x) {}
  FASTREG_INLINE V(float s) : v(_mm_set1_ps(s)) {}

  static FASTREG_INLINE V load(const float* p) { return _mm_loadu_ps(p); }
  static FASTREG_INLINE V load_first(const float* p, std::size_t n) {
    if (n >= 4) return load(p);
    const float a = n > 0 ? p[0] : 0.0f, b = n > 1 ? p[1] : 0.0f, c = n > 2 ? p[2] : 0.0f;
    return _mm_setr_ps(a, b, c, 0.0f);
  }
  static FASTREG_INLINE V load(const double* p) {
    return _mm_movelh_ps(_mm_cvtpd_ps(_mm_loadu_pd(p)), _mm_cvtpd_ps(_mm_loadu_pd(p + 2)));
  }
  static FASTREG_INLINE V load_first(const double* p, std::size_t n) {
    if (n >= 4) return load(p);
    const double a = n > 0 ? p[0] : 0.0, b = n > 1 ? p[1] : 0.0, c = n > 2 ? p[2] : 0.0;
    return _mm_movelh_ps(_mm_cvtpd_ps(_mm_setr_pd(a, b)), _mm_cvtpd_ps(_mm_setr_pd(c, 0.0)));
  }
  static FASTREG_INLINE V load(const std::uint8_t* p) { return load_first(p, 4); }
  static FASTREG_INLINE V load_first(const std::uint8_t* p, std::size_t n) {
    const int bytes = static_cast<int>(first_bytes(p, n >= 4 ? 4 : n));
    return _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes)));
  }
  FASTREG_INLINE void store(float* p) const { _mm_storeu_ps(p, v); }
  FASTREG_INLINE void store_first(float* p, std::size_t n) const {
    if (n >= 4) return store(p);
    if (n > 0) p[0] = _mm_cvtss_f32(v);
    if (n > 1) p[1] = _mm_cvtss_f32(_mm_shuffle_ps(v, v, 1));
    if (n > 2) p[2] = _mm_cvtss_f32(_mm_movehl_ps(v, v));
  }

  friend FASTREG_INLINE V operator+(V a, V b) { return _mm_add_ps(a.v, b.v); }
  friend FASTREG_INLINE V operator-(V a, V b) { return _mm_sub_ps(a.v, b.v); }
  friend FASTREG_INLINE V operator*(V a, V b) { return _mm_mul_ps(a.v, b.v); }
  friend FASTREG_INLINE V operator/(V a, V b) { return _mm_div_ps(a.v, b.v); }
  friend FASTREG_INLINE Mask operator<(V a, V b) { return {_mm_cmplt_ps(a.v, b.v)}; }
  friend FASTREG_INLINE Mask operator<=(V a, V b) { return {_mm_cmple_ps(a.v, b.v)}; }
  friend FASTREG_INLINE Mask operator>(V a, V b) { return {_mm_cmpgt_ps(a.v, b.v)}; }
  friend FASTREG_INLINE Mask operator>=(V a, V b) { return {_mm_cmpge_ps(a.v, b.v)}; }
  friend FASTREG_INLINE Mask operator==(V a, V b) { return {_mm_cmpeq_ps(a.v, b.v)}; }
  friend FASTREG_INLINE Mask operator!=(V a, V b) { return {_mm_cmpneq_ps(a.v, b.v)}; }
  friend FASTREG_INLINE V fma(V a, V b, V c) { return _mm_add_ps(_mm_mul_ps(a.v, b.v), c.v); }
  friend FASTREG_INLINE V fnma(V a, V b, V c) { return _mm_sub_ps(c.v, _mm_mul_ps(a.v, b.v)); }
  friend FASTREG_INLINE V min(V a, V b) { return _mm_min_ps(a.v, b.v); }
  friend FASTREG_INLINE V max(V a, V b) { return _mm_max_ps(a.v, b.v); }
  friend FASTREG_INLINE V abs(V a) { return _mm_andnot_ps(_mm_set1_ps(-0.0f), a.v); }
  friend FASTREG_INLINE V copysign(V a, V b) {
    const __m128 sign = _mm_set1_ps(-0.0f);
    return _mm_or_ps(_mm_andnot_ps(sign, a.v), _mm_and_ps(sign, b.v));
  }
  friend FASTREG_INLINE V give_sign(V a, V b) { return _mm_or_ps(a.v, _mm_and_ps(_mm_set1_ps(-0.0f), b.v)); }
  friend FASTREG_INLINE V sqrt(V a) { return _mm_sqrt_ps(a.v); }
  friend FASTREG_INLINE V round(V a) { return _mm_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  friend FASTREG_INLINE V select(Mask m, V a, V b) { return _mm_blendv_ps(b.v, a.v, m.m); }
  friend FASTREG_INLINE bool reaches(V a, V limit) {
    const __m128i offset = _mm_sub_epi32(_mm_castps_si128(_mm_set1_ps(-0.0f)), _mm_castps_si128(limit.v));
    return _mm_movemask_ps(_mm_castsi128_ps(_mm_add_epi32(_mm_castps_si128(a.v), offset))) != 0;
  }
  friend FASTREG_INLINE V where(Mask m, V a) { return _mm_and_ps(m.m, a.v); }
  friend FASTREG_INLINE V exp2_of(V n) {
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(_mm_cvtps_epi32(n.v), _mm_set1_epi32(127)), 23));
  }
  friend FASTREG_INLINE V ldexp(V a, V n) {
    const V half = round(n * V(0.5f));
    return a * exp2_of(half) * exp2_of(n - half);
  }
  friend FASTREG_INLINE V split_exponent(V x, V* m) {
    const __m128i bits = _mm_castps_si128(x.v);
    const __m128i e = _mm_srai_epi32(_mm_sub_epi32(bits, _mm_set1_epi32(0x3f3504f3)), 23);
    m->v = _mm_castsi128_ps(_mm_sub_epi32(bits, _mm_slli_epi32(e, 23)));
    return _mm_cvtepi32_ps(e);
  }
  friend FASTREG_INLINE float sum(V a) {
    const __m128 d = _mm_add_ps(a.v, _mm_movehl_ps(a.v, a.v));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
  }
  friend FASTREG_INLINE float max_lanes(V a) {
    const __m128 d = _mm_max_ps(a.v, _mm_movehl_ps(a.v, a.v));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_shuffle_ps(d, d, 1)));
  }
};

FASTREG_INLINE V in_register(V a) {
  asm("" : "+x"(a.v));
  return a;
}

FASTREG_INLINE void transpose(V (&r)[4]) { _MM_TRANSPOSE4_PS(r[0].v, r[1].v, r[2].v, r[3].v); }

FASTREG_INLINE V sum_each(const V (&r)[4]) {
  const __m128 m = _mm_add_ps(_mm_movelh_ps(r[0].v, r[1].v), _mm_movehl_ps(r[1].v, r[0].v));
  const __m128 n = _mm_add_ps(_mm_movelh_ps(r[2].v, r[3].v), _mm_movehl_ps(r[3].v, r[2].v));
  return _mm_add_ps(_mm_shuffle_ps(m, n, 0x88), _mm_shuffle_ps(m, n, 0xdd));
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
