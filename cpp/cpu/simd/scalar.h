// V1: the vector interface of simd.h at width 1, for single-column buffers. fma rounds as the ISA's V does.
#pragma once

namespace fastreg {
namespace FASTREG_ISA {
namespace {

struct V1 {
  static constexpr std::size_t kLanes = 1;
  struct Mask {
    bool m;
    static FASTREG_INLINE Mask first(std::size_t n) { return {n > 0}; }
    static FASTREG_INLINE Mask of_bits(std::uint32_t bits) { return {(bits & 1) != 0}; }
    friend FASTREG_INLINE Mask operator&(Mask a, Mask b) { return {a.m && b.m}; }
    friend FASTREG_INLINE Mask operator|(Mask a, Mask b) { return {a.m || b.m}; }
  };

  float v;
  V1() = default;
  FASTREG_INLINE V1(float s) : v(s) {}

  static FASTREG_INLINE V1 load(const float* p) { return V1(*p); }
  static FASTREG_INLINE V1 load_first(const float* p, std::size_t n) { return V1(n ? *p : 0.0f); }
  FASTREG_INLINE void store(float* p) const { *p = v; }
  FASTREG_INLINE void store_first(float* p, std::size_t n) const {
    if (n) *p = v;
  }

  friend FASTREG_INLINE V1 operator+(V1 a, V1 b) { return V1(a.v + b.v); }
  friend FASTREG_INLINE V1 operator-(V1 a, V1 b) { return V1(a.v - b.v); }
  friend FASTREG_INLINE V1 operator*(V1 a, V1 b) { return V1(a.v * b.v); }
  friend FASTREG_INLINE V1 operator/(V1 a, V1 b) { return V1(a.v / b.v); }
  friend FASTREG_INLINE Mask operator<(V1 a, V1 b) { return {a.v < b.v}; }
  friend FASTREG_INLINE Mask operator<=(V1 a, V1 b) { return {a.v <= b.v}; }
  friend FASTREG_INLINE Mask operator>(V1 a, V1 b) { return {a.v > b.v}; }
  friend FASTREG_INLINE Mask operator>=(V1 a, V1 b) { return {a.v >= b.v}; }
  friend FASTREG_INLINE Mask operator==(V1 a, V1 b) { return {a.v == b.v}; }
  friend FASTREG_INLINE Mask operator!=(V1 a, V1 b) { return {a.v != b.v}; }
#if defined(__FMA__) || defined(__aarch64__)
  friend FASTREG_INLINE V1 fma(V1 a, V1 b, V1 c) { return V1(__builtin_fmaf(a.v, b.v, c.v)); }
  friend FASTREG_INLINE V1 fnma(V1 a, V1 b, V1 c) { return V1(__builtin_fmaf(-a.v, b.v, c.v)); }
#else
  friend FASTREG_INLINE V1 fma(V1 a, V1 b, V1 c) { return V1(a.v * b.v + c.v); }
  friend FASTREG_INLINE V1 fnma(V1 a, V1 b, V1 c) { return V1(c.v - a.v * b.v); }
#endif
  friend FASTREG_INLINE V1 min(V1 a, V1 b) { return V1(a.v < b.v ? a.v : b.v); }
  friend FASTREG_INLINE V1 max(V1 a, V1 b) { return V1(a.v > b.v ? a.v : b.v); }
  friend FASTREG_INLINE V1 abs(V1 a) { return V1(__builtin_fabsf(a.v)); }
  friend FASTREG_INLINE V1 copysign(V1 a, V1 b) { return V1(__builtin_copysignf(a.v, b.v)); }
  friend FASTREG_INLINE V1 give_sign(V1 a, V1 b) { return copysign(a, b); }
  friend FASTREG_INLINE V1 sqrt(V1 a) { return V1(__builtin_sqrtf(a.v)); }
  // Adding 1.5 * 2^23 rounds to the nearest whole number, ties to even. Larger values and NaN have no fraction to
  // round.
  friend FASTREG_INLINE V1 round(V1 a) {
    if (!(__builtin_fabsf(a.v) < 4194304.0f)) return a;
    return V1((a.v + 12582912.0f) - 12582912.0f);
  }
  friend FASTREG_INLINE V1 select(Mask m, V1 a, V1 b) { return m.m ? a : b; }
  friend FASTREG_INLINE bool reaches(V1 a, V1 limit) { return !(a.v < limit.v); }
  friend FASTREG_INLINE V1 where(Mask m, V1 a) { return m.m ? a : V1(0.0f); }
  friend FASTREG_INLINE V1 exp2_of(V1 n) {
    const std::uint32_t bits = static_cast<std::uint32_t>(static_cast<std::int32_t>(n.v) + 127) << 23;
    return V1(__builtin_bit_cast(float, bits));
  }
  friend FASTREG_INLINE V1 ldexp(V1 a, V1 n) {
    const V1 half = round(n * V1(0.5f));
    return a * exp2_of(half) * exp2_of(n - half);
  }
  friend FASTREG_INLINE V1 split_exponent(V1 x, V1* m) {
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, x.v);
    const std::int32_t e = static_cast<std::int32_t>(bits - 0x3f3504f3u) >> 23;
    m->v = __builtin_bit_cast(float, bits - (static_cast<std::uint32_t>(e) << 23));
    return V1(static_cast<float>(e));
  }
  friend FASTREG_INLINE float sum(V1 a) { return a.v; }
  friend FASTREG_INLINE float max_lanes(V1 a) { return a.v; }
};

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
