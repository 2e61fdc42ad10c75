// Products with a matrix of a single column, which is a contiguous vector: dot products, sums of rows, outer products.
// The order of every sum follows from its length alone.
#pragma once
#include "core/kernels.h"
#include "cpu/elementwise.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// The lanes of x_i . w for four rows x_i; k is a multiple of kLane. Two sums for each hide the latency of fma.
FASTREG_INLINE void dot_four(const float* const (&x)[4], const float* w, std::size_t k, V (&dot)[4]) {
  V odd[4];
  FASTREG_UNROLL
  for (std::size_t r = 0; r < 4; ++r) dot[r] = odd[r] = V(0.0f);
  std::size_t j = 0;
  for (; j + 2 * V::kLanes <= k; j += 2 * V::kLanes) {
    const V w0 = V::load(w + j), w1 = V::load(w + j + V::kLanes);
    FASTREG_UNROLL
    for (std::size_t r = 0; r < 4; ++r) {
      dot[r] = fma(V::load(x[r] + j), w0, dot[r]);
      odd[r] = fma(V::load(x[r] + j + V::kLanes), w1, odd[r]);
    }
  }
  if (j < k) {
    const V w0 = V::load(w + j);
    FASTREG_UNROLL
    for (std::size_t r = 0; r < 4; ++r) dot[r] = fma(V::load(x[r] + j), w0, dot[r]);
  }
  FASTREG_UNROLL
  for (std::size_t r = 0; r < 4; ++r) dot[r] = dot[r] + odd[r];
}

// y_i = x_i . w + bias for rows matrix x (ldx, k columns), i in rows.
FASTREG_NOINLINE void times_column(const float* x, std::size_t ldx, const float* w, std::size_t k, float bias, float* y,
                                   Range rows) {
  if (ldx == 1) {
    for (std::size_t i = rows.begin; i < rows.end; i += V::kLanes) {
      const std::size_t n = rows.end - i;
      fma(V::load_first(x + i, n), V(w[0]), V(bias)).store_first(y + i, n);
    }
    return;
  }
  alignas(64) float lanes[V::kLanes * V::kLanes] = {};
  const std::size_t last = rows.end - 1;
  for (std::size_t i = rows.begin; i < rows.end; i += V::kLanes) {
    const std::size_t n = smaller(V::kLanes, rows.end - i);
    for (std::size_t r = 0; r < n; r += 4) {
      const float* const four[4] = {x + (i + r) * ldx, x + smaller(i + r + 1, last) * ldx,
                                    x + smaller(i + r + 2, last) * ldx, x + smaller(i + r + 3, last) * ldx};
      V dot[4];
      dot_four(four, w, rounded(k), dot);
      FASTREG_UNROLL
      for (std::size_t v = 0; v < 4; ++v) dot[v].store(lanes + (r + v) * V::kLanes);
    }
    V sums[V::kLanes];
    FASTREG_UNROLL
    for (std::size_t r = 0; r < V::kLanes; ++r) sums[r] = V::load(lanes + r * V::kLanes);
    (sum_each(sums) + V(bias)).store_first(y + i, n);
  }
}

// One strip of NV vectors of dw = x^T dy, dy being a column of n; elements from `in` on are padding.
template <std::size_t NV>
FASTREG_INLINE void weights_column_strip(const MatmulWeights& m, std::size_t i) {
  V acc[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) acc[v] = V(0.0f);
  for (std::size_t r = 0; r < m.n; ++r) {
    const V dy(m.dy[r]);
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) acc[v] = fma(dy, V::load(m.x + r * m.ldx + i + v * V::kLanes), acc[v]);
  }
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    const std::size_t j = i + v * V::kLanes;
    select(V::Mask::first(j < m.in ? m.in - j : 0), acc[v], V(0.0f)).store(m.dw + j);
  }
}

// dw of a single column. With several inputs it is a sum of rows of x, vectorised over inputs; with one, a dot product.
FASTREG_NOINLINE void weights_column(const MatmulWeights& m) {
  if (m.ldx == 1) {
    V total(0.0f);
    for (std::size_t r = 0; r < m.n; r += V::kLanes) {
      total = fma(V::load_first(m.x + r, m.n - r), V::load_first(m.dy + r, m.n - r), total);
    }
    m.dw[0] = sum(total);
    return;
  }
  for_strips({m.rows.begin, rounded(m.rows.end)},
             [&m](std::size_t i, auto width) { weights_column_strip<decltype(width)::kVectors>(m, i); });
}

// c(i, j) = a_i b_j for one strip of NV vectors of columns: what a product of depth 1 is.
template <std::size_t NV>
FASTREG_INLINE void outer_strip(const float* a, const float* b, float* c, std::size_t c_stride, std::size_t rows) {
  V bv[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) bv[v] = V::load(b + v * V::kLanes);
  for (std::size_t i = 0; i < rows; ++i) {
    const V av(a[i]);
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) fma(av, bv[v], V(0.0f)).store(c + i * c_stride + v * V::kLanes);
  }
}

FASTREG_NOINLINE void outer_product(const float* a, const float* b, float* c, std::size_t c_stride, std::size_t rows,
                                    std::size_t width) {
  for_strips({0, width}, [=](std::size_t j, auto strip) {
    outer_strip<decltype(strip)::kVectors>(a, b + j, c + j, c_stride, rows);
  });
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
