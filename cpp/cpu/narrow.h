// Gradients of at most kLane units: a whole layer, or the last panel of one. dx = dy W^T has so few terms and dW = x^T
// dy so few columns that the tiles of tiles.h would spend much of their time on their setup. Here W is transposed in
// registers, one strip of inputs at a time, and stays there for all rows; dW^T is summed in registers and transposed
// when it is stored.
//
// The value of an element is one chain of fma that starts from 0 and runs over the units (dx) or the rows (dW), as in
// the tiles.
#pragma once
#include "core/kernels.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// transposed[k][v] = column k of W for the inputs of vector v. Only `inputs` inputs exist; the others count as zero.
template <std::size_t K, std::size_t NV>
FASTREG_INLINE void transpose_weights(const float* w, std::size_t inputs, V (&transposed)[K][NV]) {
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
        if (k + i < K) transposed[k + i][v] = square[i];
      }
    }
  }
}

template <std::size_t R, std::size_t K, std::size_t NV>
FASTREG_INLINE void narrow_input_rows(const float* dy, const V (&transposed)[K][NV], float* dx, std::size_t lddx) {
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
      for (std::size_t v = 0; v < NV; ++v) acc[r][v] = fma(term, transposed[k][v], acc[r][v]);
    }
  }
  FASTREG_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) acc[r][v].store(dx + r * lddx + v * V::kLanes);
  }
}

// Computes NV vectors of dx from column i on. Only the first K columns of dy are used.
template <std::size_t K, std::size_t NV>
FASTREG_NOINLINE void narrow_input_strip(const MatmulInput& m, std::size_t i) {
  const std::size_t rows = m.rows.end - m.rows.begin, lddx = m.lddx;
  const float* dy = m.dy + m.rows.begin * kLane;
  float* dx = m.dx + m.rows.begin * lddx + i;
  V transposed[K][NV];
  transpose_weights(m.w + i * kLane, i < m.in ? m.in - i : 0, transposed);
  for (std::size_t pairs = rows / 2; pairs; --pairs, dy += 2 * kLane, dx += 2 * lddx) {
    narrow_input_rows<2>(dy, transposed, dx, lddx);
  }
  if (rows % 2) narrow_input_rows<1>(dy, transposed, dx, lddx);
}

// Where rows are at least kFarRows floats apart, the hardware does not prefetch the next strip, and kManyRows such rows
// do not stay in cache. Then narrow_weights_strip prefetches the next strip itself.
constexpr std::size_t kFarRows = 2048, kManyRows = 128;

// Computes dW for NV vectors of inputs from input i on and K columns from column j on, the last columns of the layer.
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

// The largest number of columns that fit into the registers beside two rows of sums.
constexpr std::size_t kMostNarrow = kRegisters == 32 ? kLane : 10;
template <std::size_t K>
constexpr std::size_t kNarrowVectors = kRegisters == 32 && K <= 12 ? 2 : 1;

// Calls body with `cols` rounded up to an even number, at most kMostNarrow. The column that is added is padding, which
// holds zeros.
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

// Computes the panel of dW that begins at column j and has at most kMostNarrow columns.
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
