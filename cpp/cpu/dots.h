// Products with a matrix of a single column, which is contiguous: dot products of rows. The order of every sum depends
// on the shape alone.
#pragma once
#include "core/kernels.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// The dot products of w with R rows of x, before their lanes are added up. k is a multiple of kLane. Two sums for each
// row hide the latency of fma.
template <std::size_t R>
FASTREG_INLINE void dot_rows_with(const float* const (&x)[R], const float* w, std::size_t k, V (&dot)[R]) {
  V odd[R];
  FASTREG_UNROLL
  for (std::size_t r = 0; r < R; ++r) dot[r] = odd[r] = V(0.0f);
  std::size_t j = 0;
  for (; j + 2 * V::kLanes <= k; j += 2 * V::kLanes) {
    const V w0 = V::load(w + j), w1 = V::load(w + j + V::kLanes);
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      dot[r] = fma(V::load(x[r] + j), w0, dot[r]);
      odd[r] = fma(V::load(x[r] + j + V::kLanes), w1, odd[r]);
    }
  }
  if (j < k) {
    const V w0 = V::load(w + j);
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) dot[r] = fma(V::load(x[r] + j), w0, dot[r]);
  }
  FASTREG_UNROLL
  for (std::size_t r = 0; r < R; ++r) dot[r] = dot[r] + odd[r];
}

// The dot products of w with as many rows as a vector has lanes. The lanes of each stay in a register until all are
// added.
FASTREG_INLINE V dots_of_square(const float* x, std::size_t ldx, const float* w, std::size_t k) {
  V sums[V::kLanes];
  FASTREG_UNROLL
  for (std::size_t i = 0; i < V::kLanes; i += 4) {
    const float* const four[4] = {x + i * ldx, x + (i + 1) * ldx, x + (i + 2) * ldx, x + (i + 3) * ldx};
    V dot[4];
    dot_rows_with<4>(four, w, k, dot);
    FASTREG_UNROLL
    for (std::size_t r = 0; r < 4; ++r) sums[i + r] = dot[r];
  }
  return sum_each(sums);
}

// The same for n rows, fewer than a vector has lanes. The other lanes of the result are 0.
FASTREG_INLINE V dots_of_some(const float* x, std::size_t ldx, const float* w, std::size_t k, std::size_t n) {
  alignas(64) float lanes[V::kLanes * V::kLanes] = {};
  for (std::size_t i = 0; i < n; i += 4) {
    const std::size_t last = n - 1;
    const float* const four[4] = {x + i * ldx, x + smaller(i + 1, last) * ldx, x + smaller(i + 2, last) * ldx,
                                  x + smaller(i + 3, last) * ldx};
    V dot[4];
    dot_rows_with<4>(four, w, k, dot);
    FASTREG_UNROLL
    for (std::size_t r = 0; r < 4; ++r) dot[r].store(lanes + (i + r) * V::kLanes);
  }
  V sums[V::kLanes];
  FASTREG_UNROLL
  for (std::size_t i = 0; i < V::kLanes; ++i) sums[i] = V::load(lanes + i * V::kLanes);
  return sum_each(sums);
}

// y_i = x_i . w + bias for the rows i of a rows matrix x with k columns and stride ldx.
FASTREG_NOINLINE void times_column(const float* x, std::size_t ldx, const float* w, std::size_t k, float bias, float* y,
                                   Range rows) {
  std::size_t i = rows.begin;
  if (k == 1) {
    for (; i < rows.end; i += V::kLanes) {
      const std::size_t n = rows.end - i;
      fma(V::load_first(x + i, n), V(w[0]), V(bias)).store_first(y + i, n);
    }
    return;
  }
  for (; i + V::kLanes <= rows.end; i += V::kLanes) {
    (dots_of_square(x + i * ldx, ldx, w, rounded(k)) + V(bias)).store(y + i);
  }
  if (i + 1 == rows.end) {
    const float* const row[1] = {x + i * ldx};
    V dot[1];
    dot_rows_with<1>(row, w, rounded(k), dot);
    y[i] = sum(dot[0]) + bias;
  } else if (i < rows.end) {
    const std::size_t n = rows.end - i;
    (dots_of_some(x + i * ldx, ldx, w, rounded(k), n) + V(bias)).store_first(y + i, n);
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
