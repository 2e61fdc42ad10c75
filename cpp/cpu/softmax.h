// Softmax, row by row. A buffer of at most kLane columns is transposed in registers, so that each row is one lane and
// nothing is added or compared across lanes. In a wider buffer, a vector holds neighbouring elements of a row. ld alone
// determines which form is used, and rows do not depend on each other, so splitting rows among threads changes nothing.
//
//   z logits, lse = log(sum_j e^(z_j - max))
#pragma once
#include "core/kernels.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"
#include "math/activations.h"

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

// Computes shifted = z - max and replaces z by the probabilities p, with 0 in padding. Returns lse.
FASTREG_INLINE V softmax_columns(V (&z)[kLane], V (&shifted)[kLane], std::size_t cols) {
  V top = z[0], total(0.0f);
  for (std::size_t j = 1; j < cols; ++j) top = max(top, z[j]);
  for (std::size_t j = 0; j < cols; ++j) {
    shifted[j] = z[j] - top;
    z[j] = math::exp(shifted[j]);
    total = total + z[j];
  }
  const V share = V(1.0f) / total;
  for (std::size_t j = 0; j < cols; ++j) z[j] = z[j] * share;
  for (std::size_t j = cols; j < kLane; ++j) z[j] = V(0.0f);
  return math::log(total);
}

// The mask of the lanes of the vector at column j that are columns and not padding.
template <class T>
FASTREG_INLINE typename T::Mask valid(std::size_t cols, std::size_t j) {
  return T::Mask::first(j < cols ? cols - j : 0);
}

template <class T>
FASTREG_INLINE float row_max(const float* z, std::size_t cols, std::size_t ld) {
  const T lowest(-__builtin_inff());
  T top = lowest;
  for (std::size_t j = 0; j < ld; j += T::kLanes) top = max(top, select(valid<T>(cols, j), T::load(z + j), lowest));
  return max_lanes(top);
}

// y = softmax(z); z and y may be the same. Returns lse. A NaN anywhere in the row makes the whole row NaN, by the sum.
template <class T>
FASTREG_INLINE float softmax_row(const float* z, float* y, float top, std::size_t cols, std::size_t ld) {
  T total(0.0f);
  for (std::size_t j = 0; j < ld; j += T::kLanes) {
    const T e = select(valid<T>(cols, j), math::exp(T::load(z + j) - T(top)), T(0.0f));
    e.store(y + j);
    total = total + e;
  }
  const float all = sum(total);
  const T share(1.0f / all);
  for (std::size_t j = 0; j < ld; j += T::kLanes) (T::load(y + j) * share).store(y + j);
  return math::log(V1(all)).v;
}

template <class T>
FASTREG_NOINLINE void softmax_rows(const Softmax& s) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    const float* z = s.z + i * s.ld;
    softmax_row<T>(z, s.y + i * s.ld, row_max<T>(z, s.cols, s.ld), s.cols, s.ld);
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
