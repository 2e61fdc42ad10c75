// The vector type V of the ISA that this translation unit is compiled for, and V1, the same at width 1. The only folder
// that knows intrinsics; formulas and loops are templates over V and find its functions by argument-dependent lookup.
//
// V      floats: load, store, load_first(p, n) and store_first(p, n) for n < kLanes elements (the rest reads as zero);
//        loads take doubles (rounded to nearest) and bytes too; arithmetic, fma(a, b, c) = a b + c, fnma(a, b, c) =
//        c - a b (two roundings where the ISA has no fused form), min and max (b where unordered), give_sign(a, b) = a
//        with the sign of b, for a >= 0, twice_sqrt_plus(a, c) = 2 sqrt(a) + c for finite a >= 0 (within two units of
//        the last place; AVX-512 takes an a below 2^-126 for that), round (to even), select(mask, a, b), where(mask, a)
//        = a or 0, reaches(a, limit), true if a lane of a >= 0 is at least limit > 0 (either for NaN),
//        exp2_of(n) = 2^n for whole n in [-126, 127], ldexp(a, n) = a 2^n for whole n in [-252, 254],
//        split_exponent(x, &m) = e with x = m 2^e and m in [sqrt(1/2), sqrt(2)) for positive normal x, sum and max_lanes
//        (across lanes, in an order fixed by the width).
//        sum_each(r) of kLanes vectors has sum(r[i]) in lane i, to the bit; transpose(r) turns their square.
//        in_register(a) is a, but the compiler does not read it from memory again for each use.
// V::Mask  comparisons; first(n) has the first n lanes set, of_bits(b) lane l where bit l of b is set.
// V::Int   as many 32-bit unsigned integers: multiply(a, same, &high, &low) gives the halves of the 64-bit products, same
//        being one number in all lanes; halves_ge_bits compares 16-bit halves, the low one of each lane first.
// kRegisters  vector registers, from which tiles.h takes its tile.
#pragma once
#include <cstddef>
#include <cstdint>

#include "math/inline.h"

#define FASTREG_NOINLINE __attribute__((noinline))
// For lambdas, between parameters and body.
#define FASTREG_LAMBDA __attribute__((always_inline))

#define FASTREG_QUOTE_2(x) #x
#define FASTREG_QUOTE(x) FASTREG_QUOTE_2(x)

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// The n <= 8 bytes at p, the first one lowest, with zeros above; reads no other.
FASTREG_INLINE std::uint64_t first_bytes(const std::uint8_t* p, std::size_t n) {
  if (n >= 4) {
    std::uint32_t low, high;
    __builtin_memcpy(&low, p, 4);
    __builtin_memcpy(&high, p + n - 4, 4);
    return low | static_cast<std::uint64_t>(high) << 8 * (n - 4);
  }
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < n; ++i) bytes |= static_cast<std::uint64_t>(p[i]) << 8 * i;
  return bytes;
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg

// clang-format off
#define FASTREG_SIMD_FILE(isa) FASTREG_QUOTE(cpu/simd/isa.h)
// clang-format on
#include FASTREG_SIMD_FILE(FASTREG_ISA)
#include "cpu/simd/scalar.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// Where V has no form of its own.
template <class T>
FASTREG_INLINE T twice_sqrt_plus(T a, T c) {
  return fma(T(2.0f), sqrt(a), c);
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
