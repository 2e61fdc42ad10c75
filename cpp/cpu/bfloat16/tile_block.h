// A block of a product with tile registers: 32 rows and 32 columns of sums in registers 0 to 3, operands in 4 to 7. The
// sum of an element is a chain of products of tiles, in the order of k; with two terms, those of one step are (second
// of A, first of B), (first, first), (first, second).
#pragma once
#include "cpu/bfloat16/block.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

struct BlockRegisters {
  static constexpr bool kThreeProducts = true;
  TileRegisters tiles;

  FASTREG_INLINE void multiply_all() {
    tiles.multiply<0, 4, 6>();
    tiles.multiply<1, 4, 7>();
    tiles.multiply<2, 5, 6>();
    tiles.multiply<3, 5, 7>();
  }
  FASTREG_INLINE void load_left(const std::uint16_t* tile, std::size_t next) {
    tiles.load<4>(tile);
    tiles.load<5>(tile + next);
  }
  FASTREG_INLINE void load_right(const std::uint16_t* tile, std::size_t next) {
    tiles.load<6>(tile);
    tiles.load<7>(tile + next);
  }

  void add(const Block& b, const Target& target) {
    for (std::size_t i = 0; i < b.rows; i += kTileGroup) {
      float* const sums = b.sums + i * kTileGroup;
      add_group(b, b.left + i / kTileRows * b.next, sums);
      if (!b.last) continue;
      for (std::size_t j = 0; j < target.cols / kTileRows; ++j) {
        const Finish finish = target.finish(j);
        for (std::size_t r = 0; r < kTileGroup && i + r < b.rows; ++r)
          finish.put(Sums::load(sums + r * kTileGroup + j * kTileRows), target.at(i + r, j));
      }
    }
  }

 private:
  // All rows of a group, whether or not the operand has them.
  void add_group(const Block& b, const std::uint16_t* left, float* sums) {
    constexpr std::size_t kBelow = kTileRows * kTileGroup;
    const std::uint16_t* right = b.right;
    const std::size_t next = b.next, step = b.terms * kTileNumbers;
    if (b.first) {
      tiles.clear<0>();
      tiles.clear<1>();
      tiles.clear<2>();
      tiles.clear<3>();
    } else {
      tiles.load_sums<0>(sums, kTileGroup);
      tiles.load_sums<1>(sums + kTileRows, kTileGroup);
      tiles.load_sums<2>(sums + kBelow, kTileGroup);
      tiles.load_sums<3>(sums + kBelow + kTileRows, kTileGroup);
    }
    for (std::size_t t = 0; t < b.depth; ++t, left += step, right += step) {
      load_right(right, next);
      if (b.terms == 2) {
        load_left(left + kTileNumbers, next);
        multiply_all();
      }
      load_left(left, next);
      multiply_all();
      if (b.terms == 2) {
        load_right(right + kTileNumbers, next);
        multiply_all();
      }
    }
    tiles.store_sums<0>(sums, kTileGroup);
    tiles.store_sums<1>(sums + kTileRows, kTileGroup);
    tiles.store_sums<2>(sums + kBelow, kTileGroup);
    tiles.store_sums<3>(sums + kBelow + kTileRows, kTileGroup);
  }
};

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
