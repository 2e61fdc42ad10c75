// A block of a product by sums of pairs. The sum of an element is one chain over the pairs of k in their order; with
// two terms, those of one tile are (second of A, first of B), (first, first), (first, second).
#pragma once
#include "cpu/bfloat16/block.h"

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

  // The tiles of rows that are computed as a whole: a last one with at most half of its rows is not.
  static FASTREG_INLINE std::size_t whole_tiles(std::size_t rows) { return (rows + kTileRows / 2 - 1) / kTileRows; }

  // Fetches the lines `first`, first + step, ... of a tile into the L2 cache. All whole tiles of rows share in this.
  static FASTREG_INLINE void prefetch(const std::uint16_t* tile, std::size_t first, std::size_t step) {
    for (std::size_t line = first; line < kTileRows; line += step) __builtin_prefetch(tile + line * kTileDepth, 0, 2);
  }

  // At most R rows from row i on, and the columns of C tiles from tile j of the group on.
  template <std::size_t R, std::size_t C>
  static __attribute__((noinline)) void add_rows(const Block& b, const Target& target, std::size_t i, std::size_t j) {
    const std::uint16_t *left = b.left + i / kTileRows * b.next, *right = b.right + j * b.next;
    float* const at = b.sums + i * kTileGroup + j * kTileRows;
    const std::size_t rows = b.rows - i, tiles = whole_tiles(b.rows);
    Sums sums[R][C];
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      FASTREG_UNROLL
      for (std::size_t c = 0; c < C; ++c)
        sums[r][c] = b.first ? Sums::zero() : Sums::load(at + r * kTileGroup + c * kTileRows);
    }
    for (std::size_t t = 0; t < b.depth; ++t) {
      if (R == kTileRows) prefetch(right + b.ahead, i / kTileRows, tiles);
      if (b.terms == 2) add_tile(sums, left + kTileNumbers, right, b.next);
      add_tile(sums, left, right, b.next);
      if (b.terms == 2) add_tile(sums, left, right + kTileNumbers, b.next);
      left += b.terms * kTileNumbers;
      right += b.terms * kTileNumbers;
    }
    FASTREG_UNROLL
    for (std::size_t c = 0; c < C; ++c) {
      if (b.last && (j + c) * kTileRows >= target.cols) break;
      const Finish finish = target.finish(j + c);
      FASTREG_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        if (!b.last) {
          sums[r][c].store(at + r * kTileGroup + c * kTileRows);
        } else if (r < rows) {
          finish.put(sums[r][c], target.at(i + r, j + c));
        }
      }
    }
  }

  // The tiles of 16 columns stay in the L1 cache while those of the rows pass. A chain of sums waits for its own
  // result, so few rows take all columns at once.
  void add(const Block& b, const Target& target) const {
    const std::size_t whole = whole_tiles(b.rows) * kTileRows;
    for (std::size_t j = 0; j < 2; ++j)
      for (std::size_t i = 0; i < whole; i += kTileRows) add_rows<16, 1>(b, target, i, j);
    if (whole >= b.rows) return;
    if (b.rows - whole > 4) {
      add_rows<8, 2>(b, target, whole, 0);
    } else if (b.rows - whole > 1) {
      add_rows<4, 2>(b, target, whole, 0);
    } else {
      add_rows<1, 2>(b, target, whole, 0);
    }
  }
};

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
