// V at x86-64-v3: 8 lanes with fused multiply-add. The interface is documented in simd.h.
#pragma once
#include <immintrin.h>

namespace fastreg {
namespace FASTREG_ISA {
namespace {

constexpr std::size_t kRegisters = 16;

struct V {
  static constexpr std::size_t kLanes = 8;
  struct Mask {
    __m256 m;
    static FASTREG_INLINE __m256i first_lanes(std::size_t n) {
      const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
      return _mm256_cmpgt_epi32(_mm256_set1_epi32(n > 8 ? 8 : static_cast<int>(n)), lane);
    }
    static FASTREG_INLINE Mask first(std::size_t n) { return {_mm256_castsi256_ps(first_lanes(n))}; }
    static FASTREG_INLINE Mask of_bits(std::uint32_t bits) {
      const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
      const __m256i set = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), lane);
      return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(set, lane))};
    }
    friend FASTREG_INLINE Mask operator&(Mask a, Mask b) { return {_mm256_and_ps(a.m, b.m)}; }
    friend FASTREG_INLINE Mask operator|(Mask a, Mask b) { return {_mm256_or_ps(a.m, b.m)}; }
  };
  struct Int {
    __m256i v;
    static FASTREG_INLINE Int set(std::uint32_t s) { return {_mm256_set1_epi32(static_cast<int>(s))}; }
    static FASTREG_INLINE Int load(const std::uint32_t* p) {
      return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
    }
    FASTREG_INLINE void store(std::uint32_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
    friend FASTREG_INLINE Int operator+(Int a, Int b) { return {_mm256_add_epi32(a.v, b.v)}; }
    friend FASTREG_INLINE Int operator^(Int a, Int b) { return {_mm256_xor_si256(a.v, b.v)}; }
    friend FASTREG_INLINE void multiply(Int a, Int same, Int* high, Int* low) {
      const __m256i even = _mm256_mul_epu32(a.v, same.v), odd = _mm256_mul_epu32(_mm256_srli_epi64(a.v, 32), same.v);
      high->v = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
      low->v = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
    }
    friend FASTREG_INLINE std::uint32_t halves_ge_bits(Int a, Int b) {
      const __m256i ge = _mm256_cmpeq_epi16(_mm256_max_epu16(a.v, b.v), a.v);
      const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(ge), _mm256_extracti128_si256(ge, 1));
      return static_cast<std::uint32_t>(_mm_movemask_epi8(bytes));
    }
  };

  __m256 v;
  V() = default;
  FASTREG_INLINE V(__m256 x) : v(x) {}
  FASTREG_INLINE V(float s) : v(_mm256_set1_ps(s)) {}

  static FASTREG_INLINE V load(const float* p) { return _mm256_loadu_ps(p); }
  static FASTREG_INLINE V load_first(const float* p, std::size_t n) {
    return _mm256_maskload_ps(p, Mask::first_lanes(n));
  }
  static FASTREG_INLINE V load(const double* p) { return join(_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)); }
  static FASTREG_INLINE V load_first(const double* p, std::size_t n) {
    const __m256i m = Mask::first_lanes(n);
    return join(_mm256_maskload_pd(p, _mm256_cvtepi32_epi64(_mm256_castsi256_si128(m))),
                _mm256_maskload_pd(p + 4, _mm256_cvtepi32_epi64(_mm256_extracti128_si256(m, 1))));
  }
  static FASTREG_INLINE V load(const std::uint8_t* p) {
    return of_bytes(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static FASTREG_INLINE V load_first(const std::uint8_t* p, std::size_t n) {
    return n >= 8 ? load(p) : of_bytes(_mm_cvtsi64_si128(static_cast<long long>(first_bytes(p, n))));
  }
  FASTREG_INLINE void store(float* p) const { _mm256_storeu_ps(p, v); }
  FASTREG_INLINE void store_first(float* p, std::size_t n) const { _mm256_maskstore_ps(p, Mask::first_lanes(n), v); }

  friend FASTREG_INLINE V operator+(V a, V b) { return _mm256_add_ps(a.v, b.v); }
  friend FASTREG_INLINE V operator-(V a, V b) { return _mm256_sub_ps(a.v, b.v); }
  friend FASTREG_INLINE V operator*(V a, V b) { return _mm256_mul_ps(a.v, b.v); }
  friend FASTREG_INLINE V operator/(V a, V b) { return _mm256_div_ps(a.v, b.v); }
  friend FASTREG_INLINE Mask operator<(V a, V b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
  friend FASTREG_INLINE Mask operator<=(V a, V b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
  friend FASTREG_INLINE Mask operator>(V a, V b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
  friend FASTREG_INLINE Mask operator>=(V a, V b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
  friend FASTREG_INLINE Mask operator==(V a, V b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
  friend FASTREG_INLINE Mask operator!=(V a, V b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_NEQ_UQ)}; }
  friend FASTREG_INLINE V fma(V a, V b, V c) { return _mm256_fmadd_ps(a.v, b.v, c.v); }
  friend FASTREG_INLINE V fnma(V a, V b, V c) { return _mm256_fnmadd_ps(a.v, b.v, c.v); }
  friend FASTREG_INLINE V min(V a, V b) { return _mm256_min_ps(a.v, b.v); }
  friend FASTREG_INLINE V max(V a, V b) { return _mm256_max_ps(a.v, b.v); }
  friend FASTREG_INLINE V abs(V a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v); }
  friend FASTREG_INLINE V copysign(V a, V b) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, a.v), _mm256_and_ps(sign, b.v));
  }
  friend FASTREG_INLINE V give_sign(V a, V b) { return _mm256_or_ps(a.v, _mm256_and_ps(_mm256_set1_ps(-0.0f), b.v)); }
  friend FASTREG_INLINE V sqrt(V a) { return _mm256_sqrt_ps(a.v); }
  friend FASTREG_INLINE V round(V a) { return _mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  friend FASTREG_INLINE V select(Mask m, V a, V b) { return _mm256_blendv_ps(b.v, a.v, m.m); }
  // Integer operations, because they use an execution port that floating-point arithmetic leaves free.
  friend FASTREG_INLINE bool reaches(V a, V limit) {
    const __m256i offset = _mm256_sub_epi32(_mm256_castps_si256(_mm256_set1_ps(-0.0f)), _mm256_castps_si256(limit.v));
    return _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a.v), offset))) != 0;
  }
  friend FASTREG_INLINE V where(Mask m, V a) { return _mm256_and_ps(m.m, a.v); }
  friend FASTREG_INLINE V exp2_of(V n) {
    const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
  }
  friend FASTREG_INLINE V ldexp(V a, V n) {
    const V half = round(n * V(0.5f));
    return a * exp2_of(half) * exp2_of(n - half);
  }
  friend FASTREG_INLINE V split_exponent(V x, V* m) {
    const __m256i bits = _mm256_castps_si256(x.v);
    const __m256i e = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f3504f3)), 23);
    m->v = _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(e, 23)));
    return _mm256_cvtepi32_ps(e);
  }
  friend FASTREG_INLINE float sum(V a) {
    const __m128 q = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
  }
  friend FASTREG_INLINE float max_lanes(V a) {
    const __m128 q = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_shuffle_ps(d, d, 1)));
  }

 private:
  static FASTREG_INLINE V join(__m256d low, __m256d high) {
    return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low));
  }
  static FASTREG_INLINE V of_bytes(__m128i bytes) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)); }
};

FASTREG_INLINE V in_register(V a) {
  asm("" : "+x"(a.v));
  return a;
}

FASTREG_INLINE void transpose(V (&r)[8]) {
  __m256 t[8];
  FASTREG_UNROLL
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i].v, r[i + 1].v);
    t[i + 1] = _mm256_unpackhi_ps(r[i].v, r[i + 1].v);
  }
  FASTREG_UNROLL
  for (int i = 0; i < 8; i += 4) {
    r[i].v = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1].v = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2].v = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3].v = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  FASTREG_UNROLL
  for (int i = 0; i < 4; ++i) {
    const __m256 low = r[i].v, high = r[i + 4].v;
    r[i].v = _mm256_permute2f128_ps(low, high, 0x20);
    r[i + 4].v = _mm256_permute2f128_ps(low, high, 0x31);
  }
}

// Adds the two halves of vectors first, pairing vectors whose sums end up in different halves; then adds pairs of
// lanes.
FASTREG_INLINE V sum_each(const V (&r)[8]) {
  __m256 q[4];
  FASTREG_UNROLL
  for (int s = 0; s < 4; ++s) {
    const __m256 a = r[s].v, b = r[4 + s].v;
    q[s] = _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
  }
  const __m256 m = _mm256_add_ps(_mm256_shuffle_ps(q[0], q[1], 0x44), _mm256_shuffle_ps(q[0], q[1], 0xee));
  const __m256 n = _mm256_add_ps(_mm256_shuffle_ps(q[2], q[3], 0x44), _mm256_shuffle_ps(q[2], q[3], 0xee));
  return _mm256_add_ps(_mm256_shuffle_ps(m, n, 0x88), _mm256_shuffle_ps(m, n, 0xdd));
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
