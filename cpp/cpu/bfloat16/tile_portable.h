// Tiles as AMX has them, in memory, with the same order of sums: a product of tiles adds, for each element, the chain
// of the first numbers of all pairs to the chain of the second ones, and the result to the element. It expects that
// denormal numbers are flushed to zero, as they are in a team.
#pragma once
#include "cpu/bfloat16/convert_portable.h"

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
  }
  template <int C, int A, int B>
  void multiply() {
    for (std::size_t e = 0; e < kElements; ++e) {
      const std::uint16_t* left = operand_[A - 4] + e / kTileRows * kTileDepth;
      const std::uint16_t* right = operand_[B - 4] + e % kTileRows * 2;
      float first = 0.0f, second = 0.0f;
      for (std::size_t pair = 0; pair < kTileDepth / 2; ++pair, left += 2, right += kTileDepth) {
        first = __builtin_fmaf(value_of(left[0]), value_of(right[0]), first);
        second = __builtin_fmaf(value_of(left[1]), value_of(right[1]), second);
      }
      sums_[C][e] += first + second;
    }
  }

 private:
  static constexpr std::size_t kElements = kTileRows * kTileRows;
  float sums_[4][kElements];
  const std::uint16_t* operand_[4] = {};   // registers 4 to 7
};

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
