// Products with a matrix of a single column, which is a contiguous vector: dot products, sums of rows, outer products.
// The order of every sum follows from its length alone.
#pragma once
#include "core/kernels.h"
#include "cpu/elementwise.h"
#include "cpu/simd/simd.h"
#include "cpu/tiles.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// As for_strips, but the vectors that four do not share out are one strip, where that is three at most: a strip reads or
// writes all rows.
template <class Body>
FASTREG_INLINE void for_whole_strips(Range cols, Body body) {
  const std::size_t rest = (cols.end - cols.begin) / V::kLanes % 4, end = cols.end - rest * V::kLanes;
  for_strips({cols.begin, end}, body);
  if constexpr (V::kLanes == kLane) {
    if (rest == 1) body(end, StripWidth<1>());
    if (rest == 2) body(end, StripWidth<2>());
    if (rest == 3) body(end, StripWidth<3>());
  } else {
    for_strips({end, cols.end}, body);
  }
}

// The lanes of x_i . w for R rows x_i; k is a multiple of kLane. Two sums for each hide the latency of fma.
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

// The lanes of x_i . w for a square's worth of rows, in registers where those suffice; w is a vector of one panel.
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

// The same for fewer rows.
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

// y_i = x_i . w + bias for rows matrix x (ldx, k columns), i in rows.
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

// dw of a single input, the sum of the rows of dy times x: one strip of NV vectors of it, in 8 chains.
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

// c(i, j) = a_i b_j, or max(floor, a_i b_j + bias_j), for one strip of NV vectors of columns: products of depth 1.
template <bool kForward, std::size_t NV>
FASTREG_INLINE void outer_strip(const float* a, std::size_t a_stride, const float* b, const float* bias, float floor,
                                float* c, std::size_t c_stride, std::size_t rows) {
  V bv[NV], from[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    bv[v] = V::load(b + v * V::kLanes);
    from[v] = kForward ? V::load(bias + v * V::kLanes) : V(0.0f);
  }
  for (std::size_t i = 0; i < rows; ++i) {
    const V av(a[i * a_stride]);
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) {
      const V product = fma(av, bv[v], from[v]);
      (kForward ? max(V(floor), product) : product).store(c + i * c_stride + v * V::kLanes);
    }
  }
}

FASTREG_NOINLINE void outer_product(const float* a, const float* b, float* c, std::size_t c_stride, std::size_t rows,
                                    std::size_t width) {
  for_whole_strips({0, width}, [=](std::size_t j, auto strip) {
    outer_strip<false, decltype(strip)::kVectors>(a, 1, b + j, nullptr, 0.0f, c + j, c_stride, rows);
  });
}

// y = x W + bias, or relu of it, for an x of a single column; bias may be null.
FASTREG_NOINLINE void times_row(const Matmul& m) {
  const float floor = m.activation == ActivationKind::relu ? 0.0f : -__builtin_inff();
  const float* const x = m.x + m.rows.begin * m.ldx;
  float* const y = m.y + m.rows.begin * m.ldy;
  const std::size_t rows = m.rows.end - m.rows.begin;
  for_whole_strips({m.panels.begin * kPanel, smaller(m.panels.end * kPanel, m.ldy)}, [=](std::size_t j, auto strip) {
    const float* const bias = m.bias ? m.bias + j : kZeros;
    outer_strip<true, decltype(strip)::kVectors>(x, m.ldx, m.w + j, bias, floor, y + j, m.ldy, rows);
  });
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
