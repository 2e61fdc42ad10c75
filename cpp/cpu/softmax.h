// Softmax row by row. A buffer of at most kLane columns is transposed in registers, one row a lane, so that nothing is
// added or compared across lanes; wider rows run along the vector. Which of the two follows from ld alone, and rows do
// not touch each other, so a split of rows changes nothing.
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

// Up to V::kLanes rows of kLane columns, as kLane columns of V::kLanes rows. A missing row repeats the last.
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
