// The vector type V of the ISA that this translation unit is compiled for, and V1, which is the same with one lane.
// This folder is the only place that knows intrinsics. Formulas and loops are templates over V and find its functions
// by argument-dependent lookup.
//
// V      a vector of kLanes floats:
//        load, store: a whole vector; load also takes doubles (rounded to nearest) and bytes
//        load_first(p, n), store_first(p, n): only the first n < kLanes elements; the others are loaded as zero
//        fma(a, b, c) = a b + c, fnma(a, b, c) = c - a b: with two roundings where the ISA has no fused form
//        min, max: b where a or b is NaN
//        give_sign(a, b): a with the sign of b, for a >= 0
//        twice_sqrt_plus(a, c) = 2 sqrt(a) + c: for finite a >= 0, within two units in the last place (AVX-512 treats
//            an a below 2^-126 as 2^-126)
//        round: to the nearest whole number, ties to even
//        select(mask, a, b): a where the mask is set, else b; where(mask, a): a where it is set, else 0
//        reaches(a, limit): true if any lane of a >= 0 is at least limit > 0; for NaN either answer is possible
//        exp2_of(n) = 2^n: for whole n in [-126, 127]; ldexp(a, n) = a 2^n: for whole n in [-252, 254]
//        split_exponent(x, &m) = e: such that x = m 2^e and m in [sqrt(1/2), sqrt(2)), for positive normal x
//        sum, max_lanes: across the lanes, in an order that the number of lanes determines
//        sum_each(r): for kLanes vectors, lane i is sum(r[i]), with the same bits
//        transpose(r): transposes the square matrix of kLanes vectors in place
//        load_transposed(p, stride, r): loads kLanes rows of a matrix, `stride` floats apart, and transposes them
//        in_register(a): a itself, but the compiler does not load it from memory again for each use
// V::Mask  the result of a comparison. first(n) has the first n lanes set; of_bits(b) has lane l set if bit l of b is.
// V::Int   kLanes 32-bit unsigned integers. multiply(a, same, &high, &low) gives the halves of the 64-bit products;
//        `same` has the same number in all lanes. halves_ge_bits compares 16-bit halves, the low half of a lane first.
// kRegisters  the number of vector registers. tiles.h chooses the shapes of tiles by it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "math/inline.h"

#define FASTREG_NOINLINE __attribute__((noinline))
// Forces a lambda to be inlined. It stands between the parameters and the body.
#define FASTREG_LAMBDA __attribute__((always_inline))

#define FASTREG_QUOTE_2(x) #x
#define FASTREG_QUOTE(x) FASTREG_QUOTE_2(x)

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// The n <= 8 bytes at p as an integer: the first byte is the lowest, and the upper ones are zero. Reads no other bytes.
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

// The general forms, for a V that has none of its own.
template <class T>
FASTREG_INLINE T twice_sqrt_plus(T a, T c) {
  return fma(T(2.0f), sqrt(a), c);
}
template <class T>
FASTREG_INLINE void load_transposed(const float* p, std::size_t stride, T (&r)[T::kLanes]) {
  FASTREG_UNROLL
  for (std::size_t i = 0; i < T::kLanes; ++i) r[i] = T::load(p + i * stride);
  transpose(r);
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
