// Transposed copies of parts of a matrix, made of squares that are transposed in registers.
#pragma once
#include "core/kernels.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// Transposes a square of V::kLanes rows and columns. Only `rows` of its rows exist in w; the others count as zero.
FASTREG_INLINE void transpose_square(const float* w, std::size_t w_stride, float* wt, std::size_t wt_stride,
                                     std::size_t rows) {
  V r[V::kLanes];
  if (rows >= V::kLanes) {
    load_transposed(w, w_stride, r);
  } else {
    FASTREG_UNROLL
    for (std::size_t i = 0; i < V::kLanes; ++i) r[i] = i < rows ? V::load(w + i * w_stride) : V(0.0f);
    transpose(r);
  }
  FASTREG_UNROLL
  for (std::size_t i = 0; i < V::kLanes; ++i) r[i].store(wt + i * wt_stride);
}

// The last columns, up to this many, are copied number by number: a square costs as much for one column as for all.
constexpr std::size_t kFewColumns = V::kLanes / 4;

FASTREG_INLINE void transpose_rows(const float* w, std::size_t rows, std::size_t cols, std::size_t stride, float* wt,
                                   std::size_t wt_stride) {
  const std::size_t left = cols % V::kLanes, in_squares = left <= kFewColumns ? cols - left : cols;
  std::size_t first = 0;
  for (; first + V::kLanes <= rows; first += V::kLanes) {
    for (std::size_t j = 0; j < in_squares; j += V::kLanes) {
      transpose_square(w + first * stride + j, stride, wt + j * wt_stride + first, wt_stride, V::kLanes);
    }
  }
  for (; first < rounded(rows); first += V::kLanes) {
    const std::size_t some = first < rows ? rows - first : 0;
    for (std::size_t j = 0; j < in_squares; j += V::kLanes) {
      transpose_square(w + first * stride + j, stride, wt + j * wt_stride + first, wt_stride, some);
    }
  }
  for (std::size_t j = in_squares; j < cols; ++j) {
    float* const row = wt + j * wt_stride;
    for (std::size_t i = 0; i < rows; ++i) row[i] = w[i * stride + j];
    for (std::size_t i = rows; i < rounded(rows); ++i) row[i] = 0.0f;
  }
}

// wt (cols, rows) = w^T, where w is (rows, cols), its rows padded to whole vectors. The number of rows is rounded up to
// a multiple of kLane with zeros. The usual shape, a whole panel, has an instance with constant strides.
FASTREG_NOINLINE void transpose_block(const float* w, std::size_t rows, std::size_t cols, std::size_t stride,
                                      float* wt, std::size_t wt_stride) {
  if (cols == kPanel && stride == kPanel && wt_stride == kPanel)
    transpose_rows(w, rows, kPanel, kPanel, wt, kPanel);
  else
    transpose_rows(w, rows, cols, stride, wt, wt_stride);
}

// The opposite direction: the first `cols` columns of w become rows of wt. The number of rows is a multiple of kLane.
FASTREG_NOINLINE void transpose_columns(const float* w, std::size_t stride, std::size_t rows, std::size_t cols,
                                        float* wt, std::size_t wt_stride) {
  for (std::size_t j = 0; j < cols; j += V::kLanes) {
    const std::size_t wanted = cols - j;
    for (std::size_t i = 0; i < rows; i += V::kLanes) {
      V r[V::kLanes];
      FASTREG_UNROLL
      for (std::size_t v = 0; v < V::kLanes; ++v) r[v] = V::load(w + (i + v) * stride + j);
      transpose(r);
      FASTREG_UNROLL
      for (std::size_t v = 0; v < V::kLanes; ++v) {
        if (v < wanted) r[v].store(wt + (j + v) * wt_stride + i);
      }
    }
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
