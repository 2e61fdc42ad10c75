// Products with a matrix that has a single column or a single row and that are not dot products (dots.h): sums of rows
// and outer products. A single column is contiguous, except for the x of times_row. The order of every sum depends on
// the shape alone.
#pragma once
#include "core/kernels.h"
#include "cpu/loops.h"
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
