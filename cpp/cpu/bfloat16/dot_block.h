// A block of a product by sums of pairs. The sum of an element is one chain over the pairs of k in their order; with
// two terms, those of one tile are (second of A, first of B), (first, first), (first, second).
#pragma once
#include "core/bfloat16.h"
#include "math/inline.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

struct BlockRegisters {
  static constexpr bool kThreeProducts = false;   // this unit is only twice as fast as products of float32 numbers

  // R rows of a tile of the left, and all columns of a tile of the right operand.
  template <std::size_t R>
  static FASTREG_INLINE void add_tile(Sums (&sums)[R], const std::uint16_t* left, const std::uint16_t* right) {
    for (std::size_t pair = 0; pair < kTileDepth; pair += 2, right += kTileDepth) {
      const PairsOfColumns columns = PairsOfColumns::load(right);
      FASTREG_UNROLL
      for (std::size_t r = 0; r < R; ++r) add_pairs(sums[r], left + r * kTileDepth + pair, columns);
    }
  }

  template <std::size_t R>
  static __attribute__((noinline)) void add_rows(const std::uint16_t* left, const std::uint16_t* right,
                                                 std::size_t depth, std::size_t terms, bool first, float* to) {
    Sums sums[R];
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) sums[r] = first ? Sums::zero() : Sums::load(to + r * kTileGroup);
    for (; depth > 0; --depth, left += terms * kTileNumbers, right += terms * kTileNumbers) {
      if (terms == 2) add_tile(sums, left + kTileNumbers, right);
      add_tile(sums, left, right);
      if (terms == 2) add_tile(sums, left, right + kTileNumbers);
    }
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) sums[r].store(to + r * kTileGroup);
  }

  // sums (kTileGroup, kTileGroup) = or += the product of `depth` tiles of a group of the left and one of the right
  // operand. next: the distance of two tiles of the same step in a group. Only the first `rows` rows are needed.
  void add(const std::uint16_t* left, const std::uint16_t* right, std::size_t next, std::size_t depth,
           std::size_t terms, bool first, std::size_t rows, float* sums) const {
    for (std::size_t i = 0; i < rows; i += kTileRows, left += next, sums += kTileRows * kTileGroup) {
      for (std::size_t j = 0; j < kTileGroup; j += kTileRows) {
        const std::uint16_t* const columns = j == 0 ? right : right + next;
        if (rows - i > 8) {
          add_rows<16>(left, columns, depth, terms, first, sums + j);
        } else if (rows - i > 4) {
          add_rows<8>(left, columns, depth, terms, first, sums + j);
        } else if (rows - i > 1) {
          add_rows<4>(left, columns, depth, terms, first, sums + j);
        } else {
          add_rows<1>(left, columns, depth, terms, first, sums + j);
        }
      }
    }
  }
};

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
