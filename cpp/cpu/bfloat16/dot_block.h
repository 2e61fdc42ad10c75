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

  // R rows of a tile of the left, and all columns of C tiles of the right operand, `next` numbers apart.
  template <std::size_t R, std::size_t C>
  static FASTREG_INLINE void add_tile(Sums (&sums)[R][C], const std::uint16_t* left, const std::uint16_t* right,
                                      std::size_t next) {
    for (std::size_t pair = 0; pair < kTileDepth; pair += 2, right += kTileDepth) {
      FASTREG_UNROLL
      for (std::size_t c = 0; c < C; ++c) {
        const PairsOfColumns columns = PairsOfColumns::load(right + c * next);
        FASTREG_UNROLL
        for (std::size_t r = 0; r < R; ++r) add_pairs(sums[r][c], left + r * kTileDepth + pair, columns);
      }
    }
  }

  template <std::size_t R, std::size_t C>
  static __attribute__((noinline)) void add_rows(const std::uint16_t* left, const std::uint16_t* right,
                                                 std::size_t next, std::size_t depth, std::size_t terms, bool first,
                                                 float* to) {
    Sums sums[R][C];
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      FASTREG_UNROLL
      for (std::size_t c = 0; c < C; ++c)
        sums[r][c] = first ? Sums::zero() : Sums::load(to + r * kTileGroup + c * kTileRows);
    }
    for (; depth > 0; --depth, left += terms * kTileNumbers, right += terms * kTileNumbers) {
      if (terms == 2) add_tile(sums, left + kTileNumbers, right, next);
      add_tile(sums, left, right, next);
      if (terms == 2) add_tile(sums, left, right + kTileNumbers, next);
    }
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      FASTREG_UNROLL
      for (std::size_t c = 0; c < C; ++c) sums[r][c].store(to + r * kTileGroup + c * kTileRows);
    }
  }

  // sums (kTileGroup, kTileGroup) = or += the product of `depth` tiles of a group of the left and one of the right
  // operand. next: the distance of two tiles of the same step in a group. Only the first `rows` rows are needed. A chain
  // of sums waits for its own result, so few rows take all columns at once.
  void add(const std::uint16_t* left, const std::uint16_t* right, std::size_t next, std::size_t depth,
           std::size_t terms, bool first, std::size_t rows, float* sums) const {
    for (std::size_t i = 0; i < rows; i += kTileRows, left += next, sums += kTileRows * kTileGroup) {
      if (rows - i > 8) {
        add_rows<16, 1>(left, right, next, depth, terms, first, sums);
        add_rows<16, 1>(left, right + next, next, depth, terms, first, sums + kTileRows);
      } else if (rows - i > 4) {
        add_rows<8, 2>(left, right, next, depth, terms, first, sums);
      } else if (rows - i > 1) {
        add_rows<4, 2>(left, right, next, depth, terms, first, sums);
      } else {
        add_rows<1, 2>(left, right, next, depth, terms, first, sums);
      }
    }
  }
};

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
