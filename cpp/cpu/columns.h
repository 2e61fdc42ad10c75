// Products with a matrix that has a single column or a single row: dot products, sums of rows, outer products. A single
// column is contiguous, except for the x of times_row. The order of every sum depends on the shape alone.
#pragma once
#include "core/kernels.h"
#include "cpu/elementwise.h"
#include "cpu/simd/simd.h"
#include "cpu/tiles.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// Like for_strips, but where a vector is kLane wide, the rest of the last panel is one strip. Each strip reads all
// rows, so fewer strips are faster.
template <class Body>
FASTREG_INLINE void for_whole_strips(Range cols, Body body) {
  if constexpr (V::kLanes != kLane) {
    for_strips(cols, body);
  } else {
    const std::size_t rest = (cols.end - cols.begin) / kLane % 4, end = cols.end - rest * kLane;
    for_strips({cols.begin, end}, body);
    if (rest == 1) body(end, StripWidth<1>());
    if (rest == 2) body(end, StripWidth<2>());
    if (rest == 3) body(end, StripWidth<3>());
  }
}

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

// Computes NV vectors of dw = x^T dy, where dy is a column of n elements. Elements from index `in` on are padding.
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

// dw of a single input is the sum of the rows of dy, each times an element of x. Computes NV vectors of it, with enough
// independent sums to hide the latency of fma.
template <std::size_t NV>
FASTREG_INLINE void weights_row_strip(const MatmulWeights& m, std::size_t j) {
  constexpr std::size_t kSums = 8 / NV;
  V acc[kSums][NV];
  FASTREG_UNROLL
  for (std::size_t s = 0; s < kSums; ++s) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) acc[s][v] = V(0.0f);
  }
  const float* dy = m.dy + j;
  std::size_t r = 0;
  for (; r + kSums <= m.n; r += kSums) {
    FASTREG_UNROLL
    for (std::size_t s = 0; s < kSums; ++s, dy += m.lddy) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) acc[s][v] = fma(V(m.x[r + s]), V::load(dy + v * V::kLanes), acc[s][v]);
    }
  }
  for (; r < m.n; ++r, dy += m.lddy) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) acc[0][v] = fma(V(m.x[r]), V::load(dy + v * V::kLanes), acc[0][v]);
  }
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    FASTREG_UNROLL
    for (std::size_t s = kSums / 2; s > 0; s /= 2) {
      FASTREG_UNROLL
      for (std::size_t t = 0; t < s; ++t) acc[t][v] = acc[t][v] + acc[t + s][v];
    }
    acc[0][v].store(m.dw + j + v * V::kLanes);
  }
}

FASTREG_NOINLINE void weights_row(const MatmulWeights& m) {
  for_whole_strips({m.panels.begin * kPanel, smaller(m.panels.end * kPanel, rounded(m.cols))},
                   [&m](std::size_t j, auto width) { weights_row_strip<decltype(width)::kVectors>(m, j); });
}

// dw of a single unit. With several inputs it is a sum of the rows of x, vectorised over inputs; with one input it is a
// dot product.
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

// c(i, j) = a_i b_j for NV vectors of columns.
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
  for_whole_strips({0, width}, [=](std::size_t j, auto strip) {
    outer_strip<decltype(strip)::kVectors>(a, b + j, c + j, c_stride, rows);
  });
}

// y = max(floor, x W + bias) for an x of a single column: NV vectors of y from column j on.
template <std::size_t NV>
FASTREG_INLINE void times_row_strip(const Matmul& m, float floor, std::size_t j) {
  // A tile of one vector adds a second chain (tiles.h). Here that chain is 0, and adding it makes 0 of -0.
  constexpr bool kTwoChains = NV == 1 && V::kLanes == kLane;
  const float* const bias = m.bias ? m.bias + j : kZeros;
  V wv[NV], from[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    wv[v] = V::load(m.w + j + v * V::kLanes);
    from[v] = V::load(bias + v * V::kLanes);
  }
  const float* const x = m.x;
  float* const y = m.y + j;
  const std::size_t ldx = m.ldx, ldy = m.ldy;
  for (std::size_t i = m.rows.begin; i < m.rows.end; ++i) {
    const V xv(x[i * ldx]);
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) {
      V sum = fma(xv, wv[v], from[v]);
      if constexpr (kTwoChains) sum = sum + V(0.0f);
      max(V(floor), sum).store(y + i * ldy + v * V::kLanes);
    }
  }
}

// y = x W + bias, or relu of that, for an x of a single column.
FASTREG_NOINLINE void times_row(const Matmul& m) {
  const float floor = m.activation == ActivationKind::relu ? 0.0f : -__builtin_inff();
  for_whole_strips({m.panels.begin * kPanel, smaller(m.panels.end * kPanel, m.ldy)},
                   [&m, floor](std::size_t j, auto strip) {
    times_row_strip<decltype(strip)::kVectors>(m, floor, j);
  });
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
