// Packs the operands of a Dense layer's products and divides their results.
#include "core/reduced_products.h"

#include <algorithm>

namespace fastreg {
namespace {

PackSource rows(const float* data, std::size_t rows, std::size_t cols) {
  return {data, Stored::rows, padded_ld(cols), rows, cols, false};
}
PackSource panels(const float* data, std::size_t rows, std::size_t cols) {
  return {data, Stored::panels, 0, rows, cols, false};
}
PackSource transposed(PackSource source) {
  source.transposed = true;
  return source;
}

// A product (m, k) (k, n) whose operands lie in scratch memory, the left one first.
struct Operands {
  PackSource left, right;
  std::size_t m, k, n;
};

struct Groups {
  Range rows, cols;
};

// This member's part of the groups of a result: along the side that has more of them.
Groups split_groups(const Team& team, std::size_t m, std::size_t n) {
  const std::size_t rows = tile_groups(m), cols = tile_groups(n);
  return rows >= cols ? Groups{team.split(rows), {0, cols}} : Groups{{0, rows}, team.split(cols)};
}

// Packs the operands and multiplies this member's part, which is returned. whole: the team packs all of the right
// operand first. Otherwise each member packs what it needs while it multiplies, unless the others need it too.
Groups multiply(const Pass& pass, const Operands& o, float* c, Stored stored, const float* bias, bool relu,
                bool whole) {
  const Bfloat16Products& products = *pass.precision.bfloat16;
  const std::size_t terms = pass.precision.terms;
  float* const begin = pass.scratch;
  auto* const left = reinterpret_cast<std::uint16_t*>(begin);
  auto* const right = reinterpret_cast<std::uint16_t*>(begin + packed_floats(o.m, o.k, terms));
  const Groups mine = split_groups(pass.team, o.m, o.n);
  const PackedProduct product{left, right, bias, c, stored, o.m, o.k, o.n, terms, relu, mine.rows, mine.cols};
  whole |= pass.team.size > 1 && mine.cols.end - mine.cols.begin == tile_groups(o.n);
  products.pack_left({o.left, left, terms, pass.team.split(tile_groups(o.m))});
  if (whole) products.pack_right({o.right, right, terms, pass.team.split(tile_groups(o.n))});
  pass.team.sync();
  if (whole)
    products.multiply(product);
  else
    products.pack_and_multiply(product, o.right, right + 2 * packed_floats(mine.cols.begin * kTileGroup, o.k, terms));
  return mine;
}

}  // namespace

std::size_t ReducedProducts::scratch_floats(std::size_t rows, const ProductPrecision& precision) const {
  if (!pay(rows, precision)) return 0;
  const auto both = [&](std::size_t m, std::size_t k, std::size_t n) {
    return packed_floats(m, k, precision.terms) + packed_floats(n, k, precision.terms);
  };
  return std::max({both(rows, in_, out_), both(rows, out_, in_), both(in_, rows, out_)});
}

void ReducedProducts::forward(const Pass& pass, const float* x, const float* w, const ProductTail& tail,
                              float* y) const {
  float* const first = tail.z != nullptr ? tail.z : y;
  const bool relu = within(tail) && tail.activation == ActivationKind::relu;
  const Operands operands{rows(x, pass.rows, in_), panels(w, in_, out_), pass.rows, in_, out_};
  const Groups mine = multiply(pass, operands, first, Stored::rows, tail.bias, relu, false);
  finish(pass, tail, mine.rows, mine.cols, y);
}

// What the product has not done, for these groups of rows and columns.
void ReducedProducts::finish(const Pass& pass, const ProductTail& tail, Range rows, Range cols, float* y) const {
  if (within(tail) && tail.dropout.mask == nullptr) return;
  const std::size_t ld = padded_ld(out_);
  const float* const first = tail.z != nullptr ? tail.z : y;
  const std::size_t begin = cols.begin * kTileGroup, end = std::min(cols.end * kTileGroup, ld);
  const std::size_t last = std::min(rows.end * kTileGroup, pass.rows);
  for (std::size_t i = rows.begin * kTileGroup; i < last && begin < end; ++i) {
    const Range row{i * ld + begin, i * ld + end};
    if (!within(tail))
      pass.kernels.activation_forward(tail.activation, first + row.begin, y + row.begin, row.end - row.begin);
    if (tail.dropout.mask != nullptr) pass.kernels.dropout_apply(tail.dropout, y, y, row);
  }
}

std::size_t ReducedProducts::packed_floats_of(const ProductPrecision& precision) const {
  return reduces(precision, in_, out_) ? packed_floats(out_, in_, precision.terms) : 0;
}

void ReducedProducts::pack(const Pass& pass, const float* w, std::uint16_t* to) const {
  pass.precision.bfloat16->pack_right(
      {panels(w, in_, out_), to, pass.precision.terms, pass.team.split(tile_groups(out_))});
}

std::size_t ReducedProducts::infer_scratch_floats(std::size_t rows, const ProductPrecision& precision) const {
  return reduces(precision, in_, out_) ? packed_floats(rows, in_, precision.terms) : 0;
}

void ReducedProducts::infer(const Pass& pass, const float* x, std::size_t ldx, const ProductTail& tail,
                            float* y) const {
  const Bfloat16Products& products = *pass.precision.bfloat16;
  const std::size_t terms = pass.precision.terms;
  const Range groups{0, tile_groups(pass.rows)}, cols{0, tile_groups(out_)};
  auto* const left = reinterpret_cast<std::uint16_t*>(pass.scratch);
  const bool relu = within(tail) && tail.activation == ActivationKind::relu;
  products.pack_left({{x, Stored::rows, ldx, pass.rows, in_, false}, left, terms, groups});
  const auto* const right = reinterpret_cast<const std::uint16_t*>(pass.packed_kernel);
  products.multiply({left, right, tail.bias, y, Stored::rows, pass.rows, in_, out_, terms, relu, groups, cols});
  finish(pass, tail, groups, cols, y);
}

void ReducedProducts::weight_gradient(const Pass& pass, const float* x, const float* dy, float* dw) const {
  const Operands operands{transposed(rows(x, pass.rows, in_)), rows(dy, pass.rows, out_), in_, pass.rows, out_};
  multiply(pass, operands, dw, Stored::panels, nullptr, false, true);
}

void ReducedProducts::input_gradient(const Pass& pass, const float* dy, const float* w, float* dx) const {
  const Operands operands{rows(dy, pass.rows, out_), transposed(panels(w, in_, out_)), pass.rows, out_, in_};
  multiply(pass, operands, dx, Stored::rows, nullptr, false, false);
}

}  // namespace fastreg
