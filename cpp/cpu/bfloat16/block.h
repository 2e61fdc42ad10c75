// What a block of a product takes and where its sums go. The unit's file has Sums and Finish.
#pragma once
#include "core/bfloat16.h"
#include "math/inline.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// `rows` rows of the left operand, the columns of one group of the right one, and `depth` tiles of the depth. The tiles
// of the same step lie `next` numbers apart. sums (rows, kTileGroup): of the earlier steps, unless this is the first
// block of its rows and columns, and afterwards of these steps too, unless it is the last one. It has room for whole
// groups of rows. ahead: how many numbers behind its right tiles those of the following group lie, or 0.
struct Block {
  const std::uint16_t *left, *right;
  std::size_t next, depth, terms, rows, ahead;
  bool first, last;
  float* sums;
};

// Rows of results from the group's first column on, `stride` floats apart, of which there are `cols`: 16 or 32. bias is
// that of the first column, or null.
struct Target {
  float* c;
  std::size_t stride, cols;
  const float* bias;
  bool relu;

  FASTREG_INLINE float* at(std::size_t row, std::size_t tile) const { return c + row * stride + tile * kTileRows; }
  FASTREG_INLINE Finish finish(std::size_t tile) const {
    return Finish(bias != nullptr ? bias + tile * kTileRows : nullptr, relu);
  }
  // From row `row` and column `col` on.
  static FASTREG_INLINE Target of(const PackedProduct& p, std::size_t row, std::size_t col) {
    const std::size_t ld = (p.n + kLane - 1) / kLane * kLane, panel = col / kPanel * kPanel;
    const std::size_t cols = ld - col < kTileGroup ? ld - col : kTileGroup;
    const float* const bias = p.bias != nullptr ? p.bias + col : nullptr;
    if (p.stored == Stored::rows) return {p.c + row * ld + col, ld, cols, bias, p.relu};
    const std::size_t width = ld - panel < kPanel ? ld - panel : kPanel;
    return {p.c + panel * p.m + row * width + (col - panel), width, cols, bias, p.relu};
  }
};

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
