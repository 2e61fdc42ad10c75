// The table of products in reduced precision: operands are bfloat16 numbers, sums are float32. A processor has one
// where it computes them faster than products of float32 numbers. Like kernels.h, this file has plain structs only.
//
// Operands are packed into tiles of 1 KiB, one for 16 rows of the left operand A (m, k) or 16 columns of the right
// operand B (k, n), and 32 steps of k:
//   left    row by row, each with its 32 numbers.
//   right   16 pairs of steps of k, each with the two numbers of column 0, then those of column 1, and so on.
// The tiles of the same rows or columns lie one after the other in the order of k. The number of rows and of columns is
// rounded up to a multiple of kTileGroup. What exceeds a matrix is zero, but for the rows of the left operand from m
// on, which may be anything, because they change nothing else.
//
// A number a of an operand is rounded to the nearest bfloat16, ties to even, and denormal numbers count as zero. With
// two terms, the tile of the rounded numbers a' is followed by one of the numbers a - a', rounded too, and a product
// consists of three: of both first terms, and of each first with the other second term. The sum of an element has an
// order that k alone determines; every implementation documents its own.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/kernels.h"
#include "math/inline.h"

namespace fastreg {

inline constexpr std::size_t kTileRows = 16, kTileDepth = 32, kTileNumbers = kTileRows * kTileDepth;
inline constexpr std::size_t kTileGroup = 2 * kTileRows;

FASTREG_INLINE constexpr std::size_t tiles_of_depth(std::size_t k) { return (k + kTileDepth - 1) / kTileDepth; }
FASTREG_INLINE constexpr std::size_t tile_groups(std::size_t n) { return (n + kTileGroup - 1) / kTileGroup; }
// The size of a packed operand in floats, for n rows or columns.
FASTREG_INLINE constexpr std::size_t packed_floats(std::size_t n, std::size_t k, std::size_t terms) {
  return tile_groups(n) * kTileGroup * tiles_of_depth(k) * kTileDepth / 2 * terms;
}

// A float32 matrix that is packed: in panels, or rows of any alignment, `stride` floats apart, of which only `cols`
// floats are read. transposed: the operand is its transpose.
enum class Stored : std::uint8_t { rows, panels };
struct PackSource {
  const float* data;
  Stored stored;
  std::size_t stride;   // of rows
  std::size_t rows, cols;
  bool transposed;
};

// Packs a range of groups of kTileGroup rows of the left, or columns of the right operand.
struct Pack {
  PackSource source;
  std::uint16_t* tiles;
  std::size_t terms;
  Range groups;
};

// c = A B + bias, for a range of groups of rows and one of columns. c is a rows matrix (m, n) with n > 1, or
// panels. bias may be null. relu: 0 is stored for what is below 0.
struct PackedProduct {
  const std::uint16_t *left, *right;
  const float* bias;
  float* c;
  Stored stored;   // the layout of c
  std::size_t m, k, n, terms;
  bool relu;
  Range rows, cols;
};

struct Bfloat16Products {
  const char* unit;     // the name of what computes them
  bool three_products;  // whether two terms are faster than a product of float32 numbers, too
  void (*pack_left)(const Pack&) noexcept;
  void (*pack_right)(const Pack&) noexcept;
  void (*multiply)(const PackedProduct&) noexcept;
  // The same product of a right operand that is packed a few groups at a time while they are needed, so that it never
  // goes through memory. room: holds as many groups as p.cols has; p.right is not read.
  void (*pack_and_multiply)(const PackedProduct& p, const PackSource& right, std::uint16_t* room) noexcept;
};

// How the products of a pass are computed: with float32 operands where bfloat16 is null.
struct ProductPrecision {
  const Bfloat16Products* bfloat16 = nullptr;
  std::size_t terms = 1;
};

}  // namespace fastreg
