// The same conversions as convert_avx512.h with the same results, on every processor.
#pragma once
#include "core/bfloat16.h"
#include "math/inline.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

struct Pairs {
  std::uint16_t number[32];   // pair i: numbers 2 i and 2 i + 1
};

FASTREG_INLINE std::uint32_t bits_of(float a) { return __builtin_bit_cast(std::uint32_t, a); }
FASTREG_INLINE float value_of(std::uint16_t number) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(number) << 16);
}

// The nearest bfloat16, ties to even. A denormal number becomes zero, and NaN stays NaN.
FASTREG_INLINE std::uint16_t bfloat16_of(float a) {
  const std::uint32_t bits = bits_of(a), exponent = bits & 0x7f800000u;
  if (exponent == 0) return static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  if (exponent == 0x7f800000u && (bits & 0x007fffffu) != 0) return static_cast<std::uint16_t>(bits >> 16 | 0x0040u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

FASTREG_INLINE std::uint16_t term(float a, bool second) {
  const std::uint16_t first = bfloat16_of(a);
  if (!second) return first;
  return (first & 0x7fffu) == 0x7f80u ? 0 : bfloat16_of(a - value_of(first));
}

// Whether all of n numbers are 0 or of a size between 2^-60 and 2^60. A product of two such numbers is exact, so adding
// it is the same as a fused multiply-add, which is slow where the processor has none.
FASTREG_INLINE bool have_exact_products(const std::uint16_t* numbers, std::size_t n) {
  bool all = true;
  for (std::size_t i = 0; i < n; ++i) {
    const unsigned size = numbers[i] & 0x7fffu, exponent = size >> 7;
    all &= size == 0 || (exponent >= 127 - 60 && exponent < 127 + 60);
  }
  return all;
}

template <bool kExact>
FASTREG_INLINE float multiply_add(std::uint16_t a, std::uint16_t b, float c) {
  return kExact ? value_of(a) * value_of(b) + c : __builtin_fmaf(value_of(a), value_of(b), c);
}

FASTREG_INLINE Pairs no_pairs() { return {}; }

FASTREG_INLINE Pairs neighbours(const float* p, std::size_t count, bool second) {
  Pairs out{};
  for (std::size_t i = 0; i < count; ++i) out.number[i] = term(p[i], second);
  return out;
}

FASTREG_INLINE Pairs zipped(const float* a, const float* b, std::size_t count, bool second) {
  Pairs out{};
  for (std::size_t i = 0; i < count; ++i) {
    out.number[2 * i] = term(a[i], second);
    if (b != nullptr) out.number[2 * i + 1] = term(b[i], second);
  }
  return out;
}

FASTREG_INLINE void store(const Pairs& pairs, std::uint16_t* to) {
  for (std::size_t i = 0; i < 32; ++i) to[i] = pairs.number[i];
}

FASTREG_INLINE void transpose(Pairs (&r)[16]) {
  for (std::size_t i = 0; i < 16; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      for (std::size_t half = 0; half < 2; ++half) {
        const std::uint16_t kept = r[i].number[2 * j + half];
        r[i].number[2 * j + half] = r[j].number[2 * i + half];
        r[j].number[2 * i + half] = kept;
      }
    }
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
