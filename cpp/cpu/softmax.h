// Softmax, row by row. A buffer of at most kLane columns is transposed in registers, so that each row is one lane and
// nothing is added or compared across lanes. In a wider buffer, a vector holds neighbouring elements of a row. ld alone
// determines which form is used, and rows do not depend on each other, so splitting rows among threads changes nothing.
//
//   z logits, lse = log(sum_j e^(z_j - max))
#pragma once
#include "core/kernels.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"
#include "math/softmax.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// Loads up to V::kLanes rows of kLane columns and transposes them. A missing row repeats the last one.
FASTREG_INLINE void load_columns(const float* p, std::size_t rows, V (&columns)[kLane]) {
  for (std::size_t j = 0; j < kLane; j += V::kLanes) {
    V square[V::kLanes];
    FASTREG_UNROLL
    for (std::size_t i = 0; i < V::kLanes; ++i) square[i] = V::load(p + smaller(i, rows - 1) * kLane + j);
    transpose(square);
    FASTREG_UNROLL
    for (std::size_t i = 0; i < V::kLanes; ++i) columns[j + i] = square[i];
  }
}

FASTREG_INLINE void store_columns(const V (&columns)[kLane], float* p, std::size_t rows) {
  for (std::size_t j = 0; j < kLane; j += V::kLanes) {
    V square[V::kLanes];
    FASTREG_UNROLL
    for (std::size_t i = 0; i < V::kLanes; ++i) square[i] = columns[j + i];
    transpose(square);
    FASTREG_UNROLL
    for (std::size_t i = 0; i < V::kLanes; ++i) {
      if (i < rows) square[i].store(p + i * kLane + j);
    }
  }
}

template <class T>
FASTREG_NOINLINE void softmax_rows(const Softmax& s) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    const float* z = s.z + i * s.ld;
    math::softmax_along<T, V1>(z, s.y + i * s.ld, math::row_max<T>(z, s.cols, s.ld), s.cols, s.ld);
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
