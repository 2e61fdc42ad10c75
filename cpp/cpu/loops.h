// Helpers for the loops of several kernels: sizes, strips of columns, the bits of a dropout mask.
#pragma once
#include "core/kernels.h"
#include "cpu/simd/simd.h"

// Fetches the line of memory at p into the L2 cache. tests/cpp/observed_fetches.h has another one.
#ifndef FASTREG_FETCH
#define FASTREG_FETCH(p) __builtin_prefetch(p, 0, 2)
#endif

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// A partial sum over rows ends after this many rows, which bounds the rounding error for long batches.
constexpr std::size_t kSumBlock = 256;

FASTREG_INLINE std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }
FASTREG_INLINE std::size_t rounded(std::size_t n) { return (n + kLane - 1) / kLane * kLane; }

template <std::size_t N>
struct StripWidth {
  static constexpr std::size_t kVectors = N;
};

// Calls body(c, width) for each strip of a range of columns, where width is a compile-time number of vectors, at most
// N.
template <std::size_t N = 4, class Body>
FASTREG_INLINE void for_strips(Range cols, Body body) {
  constexpr std::size_t kLeast = kLane / V::kLanes < N ? kLane / V::kLanes : N;
  std::size_t c = cols.begin;
  for (; c + N * V::kLanes <= cols.end; c += N * V::kLanes) body(c, StripWidth<N>());
  for (; c < cols.end; c += kLeast * V::kLanes) body(c, StripWidth<kLeast>());
}

// The keep bits of elements e, e + 1, ..., where e is a multiple of T's width.
template <class T>
FASTREG_INLINE typename T::Mask kept(const std::uint16_t* mask, std::size_t e) {
  std::uint32_t bits = mask[e / 16];
  if constexpr (T::kLanes < 16) bits >>= e % 16;
  return T::Mask::of_bits(bits);
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
