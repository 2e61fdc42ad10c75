// V on aarch64: 4 lanes, fused multiply-add, 32 registers. The interface is documented in simd.h.
#pragma once
#include <arm_neon.h>

namespace fastreg {
namespace FASTREG_ISA {
namespace {

constexpr std::size_t kRegisters = 32;

struct V {
  static constexpr std::size_t kLanes = 4;
  struct Mask {
    uint32x4_t m;
    static FASTREG_INLINE Mask first(std::size_t n) {
      const uint32x4_t lane = {0, 1, 2, 3};
      return {vcltq_u32(lane, vdupq_n_u32(n > 4 ? 4 : static_cast<std::uint32_t>(n)))};
    }
    static FASTREG_INLINE Mask of_bits(std::uint32_t bits) {
      const uint32x4_t lane = {1, 2, 4, 8};
      return {vtstq_u32(vdupq_n_u32(bits), lane)};
    }
    friend FASTREG_INLINE Mask operator&(Mask a, Mask b) { return {vandq_u32(a.m, b.m)}; }
    friend FASTREG_INLINE Mask operator|(Mask a, Mask b) { return {vorrq_u32(a.m, b.m)}; }
  };
  struct Int {
    uint32x4_t v;
    static FASTREG_INLINE Int set(std::uint32_t s) { return {vdupq_n_u32(s)}; }
    static FASTREG_INLINE Int load(const std::uint32_t* p) { return {vld1q_u32(p)}; }
    FASTREG_INLINE void store(std::uint32_t* p) const { vst1q_u32(p, v); }
    friend FASTREG_INLINE Int operator+(Int a, Int b) { return {vaddq_u32(a.v, b.v)}; }
    friend FASTREG_INLINE Int operator^(Int a, Int b) { return {veorq_u32(a.v, b.v)}; }
    friend FASTREG_INLINE void multiply(Int a, Int same, Int* high, Int* low) {
      const uint32x4_t first = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a.v), vget_low_u32(same.v)));
      const uint32x4_t second = vreinterpretq_u32_u64(vmull_high_u32(a.v, same.v));
      high->v = vuzp2q_u32(first, second);
      low->v = vuzp1q_u32(first, second);
    }
    friend FASTREG_INLINE std::uint32_t halves_ge_bits(Int a, Int b) {
      const uint16x8_t bit = {1, 2, 4, 8, 16, 32, 64, 128};
      return vaddvq_u16(vandq_u16(vcgeq_u16(vreinterpretq_u16_u32(a.v), vreinterpretq_u16_u32(b.v)), bit));
    }
  };

  float32x4_t v;
  V() = default;
  FASTREG_INLINE V(float32x4_t x) : v(x) {}
  FASTREG_INLINE V(float s) : v(vdupq_n_f32(s)) {}

  static FASTREG_INLINE V load(const float* p) { return vld1q_f32(p); }
  static FASTREG_INLINE V load_first(const float* p, std::size_t n) {
    if (n >= 4) return load(p);
    const float32x4_t x = {n > 0 ? p[0] : 0.0f, n > 1 ? p[1] : 0.0f, n > 2 ? p[2] : 0.0f, 0.0f};
    return x;
  }
  static FASTREG_INLINE V load(const double* p) {
    return vcvt_high_f32_f64(vcvt_f32_f64(vld1q_f64(p)), vld1q_f64(p + 2));
  }
  static FASTREG_INLINE V load_first(const double* p, std::size_t n) {
    if (n >= 4) return load(p);
    const float64x2_t low = {n > 0 ? p[0] : 0.0, n > 1 ? p[1] : 0.0}, high = {n > 2 ? p[2] : 0.0, 0.0};
    return vcvt_high_f32_f64(vcvt_f32_f64(low), high);
  }
  static FASTREG_INLINE V load(const std::uint8_t* p) { return load_first(p, 4); }
  static FASTREG_INLINE V load_first(const std::uint8_t* p, std::size_t n) {
    const uint8x8_t bytes = vcreate_u8(first_bytes(p, n >= 4 ? 4 : n));
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))));
  }
  FASTREG_INLINE void store(float* p) const { vst1q_f32(p, v); }
  FASTREG_INLINE void store_first(float* p, std::size_t n) const {
    if (n >= 4) return store(p);
    if (n > 0) p[0] = vgetq_lane_f32(v, 0);
    if (n > 1) p[1] = vgetq_lane_f32(v, 1);
    if (n > 2) p[2] = vgetq_lane_f32(v, 2);
  }

  friend FASTREG_INLINE V operator+(V a, V b) { return vaddq_f32(a.v, b.v); }
  friend FASTREG_INLINE V operator-(V a, V b) { return vsubq_f32(a.v, b.v); }
  friend FASTREG_INLINE V operator*(V a, V b) { return vmulq_f32(a.v, b.v); }
  friend FASTREG_INLINE V operator/(V a, V b) { return vdivq_f32(a.v, b.v); }
  friend FASTREG_INLINE Mask operator<(V a, V b) { return {vcltq_f32(a.v, b.v)}; }
  friend FASTREG_INLINE Mask operator<=(V a, V b) { return {vcleq_f32(a.v, b.v)}; }
  friend FASTREG_INLINE Mask operator>(V a, V b) { return {vcgtq_f32(a.v, b.v)}; }
  friend FASTREG_INLINE Mask operator>=(V a, V b) { return {vcgeq_f32(a.v, b.v)}; }
  friend FASTREG_INLINE Mask operator==(V a, V b) { return {vceqq_f32(a.v, b.v)}; }
  friend FASTREG_INLINE Mask operator!=(V a, V b) { return {vmvnq_u32(vceqq_f32(a.v, b.v))}; }
  friend FASTREG_INLINE V fma(V a, V b, V c) { return vfmaq_f32(c.v, a.v, b.v); }
  friend FASTREG_INLINE V fnma(V a, V b, V c) { return vfmsq_f32(c.v, a.v, b.v); }
  friend FASTREG_INLINE V min(V a, V b) { return vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v); }
  friend FASTREG_INLINE V max(V a, V b) { return vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v); }
  friend FASTREG_INLINE V abs(V a) { return vabsq_f32(a.v); }
  friend FASTREG_INLINE V copysign(V a, V b) { return vbslq_f32(vdupq_n_u32(0x80000000u), b.v, a.v); }
  friend FASTREG_INLINE V give_sign(V a, V b) { return copysign(a, b); }
  friend FASTREG_INLINE V sqrt(V a) { return vsqrtq_f32(a.v); }
  friend FASTREG_INLINE V round(V a) { return vrndnq_f32(a.v); }
  friend FASTREG_INLINE V select(Mask m, V a, V b) { return vbslq_f32(m.m, a.v, b.v); }
  friend FASTREG_INLINE bool reaches(V a, V limit) {
    return vmaxvq_u32(vreinterpretq_u32_f32(a.v)) >= vgetq_lane_u32(vreinterpretq_u32_f32(limit.v), 0);
  }
  friend FASTREG_INLINE V where(Mask m, V a) {
    return vreinterpretq_f32_u32(vandq_u32(m.m, vreinterpretq_u32_f32(a.v)));
  }
  friend FASTREG_INLINE V exp2_of(V n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n.v), vdupq_n_s32(127)), 23));
  }
  friend FASTREG_INLINE V ldexp(V a, V n) {
    const V half = round(n * V(0.5f));
    return a * exp2_of(half) * exp2_of(n - half);
  }
  friend FASTREG_INLINE V split_exponent(V x, V* m) {
    const int32x4_t bits = vreinterpretq_s32_f32(x.v);
    const int32x4_t e = vshrq_n_s32(vsubq_s32(bits, vdupq_n_s32(0x3f3504f3)), 23);
    m->v = vreinterpretq_f32_s32(vsubq_s32(bits, vshlq_n_s32(e, 23)));
    return vcvtq_f32_s32(e);
  }
  friend FASTREG_INLINE float sum(V a) {
    const float32x2_t d = vadd_f32(vget_low_f32(a.v), vget_high_f32(a.v));
    return vget_lane_f32(d, 0) + vget_lane_f32(d, 1);
  }
  friend FASTREG_INLINE float max_lanes(V a) { return vmaxvq_f32(a.v); }
};

FASTREG_INLINE V in_register(V a) {
  asm("" : "+w"(a.v));
  return a;
}

FASTREG_INLINE void transpose(V (&r)[4]) {
  const float32x4x2_t a = vtrnq_f32(r[0].v, r[1].v), b = vtrnq_f32(r[2].v, r[3].v);
  r[0].v = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
  r[1].v = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
  r[2].v = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
  r[3].v = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

FASTREG_INLINE V sum_each(const V (&r)[4]) {
  const float32x4_t m = vaddq_f32(vcombine_f32(vget_low_f32(r[0].v), vget_low_f32(r[1].v)),
                                  vcombine_f32(vget_high_f32(r[0].v), vget_high_f32(r[1].v)));
  const float32x4_t n = vaddq_f32(vcombine_f32(vget_low_f32(r[2].v), vget_low_f32(r[3].v)),
                                  vcombine_f32(vget_high_f32(r[2].v), vget_high_f32(r[3].v)));
  return vpaddq_f32(m, n);
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
