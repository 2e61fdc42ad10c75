// Gradients of at most kLane units, a whole layer or the last panel of one: dx = dy W^T has so few terms, dW = x^T dy so
// few columns that the tiles of tiles.h spend much of their time on being set up. Here W^T of a strip of inputs is turned
// in registers and stays there for all rows, and dW^T is summed up in registers and turned on its way out.
//
// The value of an element is one chain of fma from 0 on, over the units or the rows, as the tiles have it.
#pragma once
#include "core/kernels.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// turned[k][v] = column k of W for the inputs of vector v; `inputs` of them exist, the others read as zero.
template <std::size_t K, std::size_t NV>
FASTREG_INLINE void turn_weights(const float* w, std::size_t inputs, V (&turned)[K][NV]) {
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    FASTREG_UNROLL
    for (std::size_t k = 0; k < K; k += V::kLanes) {
      V square[V::kLanes];
      FASTREG_UNROLL
      for (std::size_t i = 0; i < V::kLanes; ++i) {
        const std::size_t input = v * V::kLanes + i;
        square[i] = input < inputs ? V::load(w + input * kLane + k) : V(0.0f);
      }
      transpose(square);
      FASTREG_UNROLL
      for (std::size_t i = 0; i < V::kLanes; ++i) {
        if (k + i < K) turned[k + i][v] = square[i];
      }
    }
  }
}

template <std::size_t R, std::size_t K, std::size_t NV>
FASTREG_INLINE void narrow_input_rows(const float* dy, const V (&turned)[K][NV], float* dx, std::size_t lddx) {
  V acc[R][NV];
  FASTREG_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) acc[r][v] = V(0.0f);
  }
  FASTREG_UNROLL
  for (std::size_t k = 0; k < K; ++k) {
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      const V term(dy[r * kLane + k]);
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) acc[r][v] = fma(term, turned[k][v], acc[r][v]);
    }
  }
  FASTREG_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) acc[r][v].store(dx + r * lddx + v * V::kLanes);
  }
}

// The strip of NV vectors of dx from column i on, from the K first columns of dy.
template <std::size_t K, std::size_t NV>
FASTREG_NOINLINE void narrow_input_strip(const MatmulInput& m, std::size_t i) {
  const std::size_t rows = m.rows.end - m.rows.begin, lddx = m.lddx;
  const float* dy = m.dy + m.rows.begin * kLane;
  float* dx = m.dx + m.rows.begin * lddx + i;
  V turned[K][NV];
  turn_weights(m.w + i * kLane, i < m.in ? m.in - i : 0, turned);
  for (std::size_t pairs = rows / 2; pairs; --pairs, dy += 2 * kLane, dx += 2 * lddx) {
    narrow_input_rows<2>(dy, turned, dx, lddx);
  }
  if (rows % 2) narrow_input_rows<1>(dy, turned, dx, lddx);
}

// The hardware does not foresee the next strip of rows so many floats apart, and so many of them do not stay in cache.
constexpr std::size_t kFarRows = 2048, kManyRows = 128;

// dW for the inputs of NV vectors from i on and the K columns from j on, the last of a layer.
template <std::size_t K, std::size_t NV>
FASTREG_NOINLINE void narrow_weights_strip(const MatmulWeights& m, std::size_t i, std::size_t j) {
  const float *x = m.x + i, *dy = m.dy + j;
  const std::size_t ldx = m.ldx, lddy = m.lddy;
  const bool fetch = ldx >= kFarRows && m.n >= kManyRows;
  V acc[K][NV];
  FASTREG_UNROLL
  for (std::size_t k = 0; k < K; ++k) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) acc[k][v] = V(0.0f);
  }
  for (std::size_t n = m.n; n; --n, x += ldx, dy += lddy) {
    V xv[NV];
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) xv[v] = V::load(x + v * V::kLanes);
    if (fetch) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) __builtin_prefetch(x + (NV + v) * V::kLanes, 0, 2);
    }
    FASTREG_UNROLL
    for (std::size_t k = 0; k < K; ++k) {
      const V term(dy[k]);
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) acc[k][v] = fma(term, xv[v], acc[k][v]);
    }
  }
  float* const dw = m.dw + j * m.in + i * kLane;
  const std::size_t inputs = i < m.rows.end ? m.rows.end - i : 0;
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    FASTREG_UNROLL
    for (std::size_t k = 0; k < kLane; k += V::kLanes) {
      V square[V::kLanes];
      FASTREG_UNROLL
      for (std::size_t c = 0; c < V::kLanes; ++c) square[c] = k + c < K ? acc[k + c < K ? k + c : 0][v] : V(0.0f);
      transpose(square);
      FASTREG_UNROLL
      for (std::size_t r = 0; r < V::kLanes; ++r) {
        const std::size_t input = v * V::kLanes + r;
        if (input < inputs) square[r].store(dw + input * kLane + k);
      }
    }
  }
}

// So many columns fit into the registers beside two rows of sums.
constexpr std::size_t kMostNarrow = kRegisters == 32 ? kLane : 10;
template <std::size_t K>
constexpr std::size_t kNarrowVectors = kRegisters == 32 && K <= 12 ? 2 : 1;

// Calls body with the even number of columns, at most kMostNarrow, that holds `cols`. An odd one is joined by a column of
// padding, which is 0.
template <std::size_t K = 2, class Body>
FASTREG_INLINE void with_columns(std::size_t cols, Body body) {
  if constexpr (K < kMostNarrow) {
    if (cols > K) return with_columns<K + 2>(cols, body);
  }
  body(StripWidth<K>());
}

FASTREG_NOINLINE void input_narrow(const MatmulInput& m) {
  with_columns(m.cols, [&m](auto columns) {
    constexpr std::size_t K = decltype(columns)::kVectors;
    const std::size_t begin = m.panels.begin * kPanel, end = smaller(rounded(m.in), m.panels.end * kPanel);
    for_strips<kNarrowVectors<K>>(
        {begin, end}, [&m](std::size_t i, auto width) { narrow_input_strip<K, decltype(width)::kVectors>(m, i); });
  });
}

// The panel of dW that begins at column j, with at most kMostNarrow columns.
FASTREG_NOINLINE void weights_narrow(const MatmulWeights& m, std::size_t j) {
  with_columns(m.cols - j, [&m, j](auto columns) {
    constexpr std::size_t K = decltype(columns)::kVectors;
    for_strips<kNarrowVectors<K>>({m.rows.begin, m.rows.begin + rounded(m.rows.end - m.rows.begin)},
                                  [&m, j](std::size_t i, auto width) {
      narrow_weights_strip<K, decltype(width)::kVectors>(m, i, j);
    });
  });
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
