// Tiles as AMX has them, in memory, with the same order of sums: a product of tiles adds, for each element, the chain
// of the first numbers of all pairs to the chain of the second ones, and the result to the element. It expects that
// denormal numbers are flushed to zero, as they are in a team.
#pragma once
#include "cpu/simd/bfloat16/convert_portable.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

class TileRegisters {
 public:
  template <int I>
  void clear() {
    for (float& sum : sums_[I]) sum = 0.0f;
  }
  template <int I>
  void load_sums(const float* from, std::size_t stride) {
    for (std::size_t e = 0; e < kElements; ++e) sums_[I][e] = from[e / kTileRows * stride + e % kTileRows];
  }
  template <int I>
  void store_sums(float* to, std::size_t stride) {
    for (std::size_t e = 0; e < kElements; ++e) to[e / kTileRows * stride + e % kTileRows] = sums_[I][e];
  }
  template <int I>
  void load(const std::uint16_t* tile) {
    operand_[I - 4] = tile;
    exact_[I - 4] = have_exact_products(tile, kTileNumbers);
  }
  template <int C, int A, int B>
  void multiply() {
    const std::uint16_t *const left = operand_[A - 4], *const right = operand_[B - 4];
    exact_[A - 4] && exact_[B - 4] ? add<true>(left, right, sums_[C]) : add<false>(left, right, sums_[C]);
  }

 private:
  static constexpr std::size_t kElements = kTileRows * kTileRows;

  template <bool kExact>
  static void add(const std::uint16_t* left, const std::uint16_t* right, float* sums) {
    for (std::size_t r = 0; r < kTileRows; ++r, left += kTileDepth, sums += kTileRows) {
      float first[kTileRows] = {}, second[kTileRows] = {};
      for (std::size_t k = 0; k < kTileDepth; k += 2) {
        const std::uint16_t* const pairs = right + k / 2 * kTileDepth;
        for (std::size_t c = 0; c < kTileRows; ++c) {
          first[c] = multiply_add<kExact>(left[k], pairs[2 * c], first[c]);
          second[c] = multiply_add<kExact>(left[k + 1], pairs[2 * c + 1], second[c]);
        }
      }
      for (std::size_t c = 0; c < kTileRows; ++c) sums[c] += first[c] + second[c];
    }
  }

  float sums_[4][kElements];
  const std::uint16_t* operand_[4] = {};   // registers 4 to 7
  bool exact_[4] = {};                     // have_exact_products of each
};

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
