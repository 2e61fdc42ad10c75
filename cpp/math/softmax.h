// Softmax over rows, once for each of two layouts, over a vector type V (cpu/simd/simd.h lists what V offers):
//   along   one row, whose columns lie along the vector; those from `cols` on are padding
//   lanes   as many rows as V has lanes, one row in each lane; element j of an array is column j of all of them
// S is the vector type of width 1, Number the type of one element.
#pragma once
#include <cstddef>

#include "math/activations.h"

namespace fastreg::math {

template <class V>
using Number = decltype(sum(V(0.0f)));

// The lanes of the vector at column j that hold columns.
template <class V>
FASTREG_INLINE typename V::Mask valid(std::size_t cols, std::size_t j) {
  return V::Mask::first(j < cols ? cols - j : 0);
}

template <class V>
FASTREG_INLINE Number<V> row_max(const Number<V>* z, std::size_t cols, std::size_t ld) {
  const V lowest(-__builtin_inff());
  V top = lowest;
  for (std::size_t j = 0; j < ld; j += V::kLanes) top = max(top, select(valid<V>(cols, j), V::load(z + j), lowest));
  return max_lanes(top);
}

// y = softmax(z), in place allowed, where top = row_max(z); returns the logarithm of the sum of e^(z - top). Padding
// becomes 0. NaN anywhere in the row reaches all of it through the sum.
template <class V, class S>
FASTREG_INLINE Number<V> softmax_along(const Number<V>* z, Number<V>* y, Number<V> top, std::size_t cols,
                                       std::size_t ld) {
  V total(0.0f);
  for (std::size_t j = 0; j < ld; j += V::kLanes) {
    const V e = select(valid<V>(cols, j), exp(V::load(z + j) - V(top)), V(0.0f));
    e.store(y + j);
    total = total + e;
  }
  const Number<V> all = sum(total);
  const V share(Number<V>(1.0f) / all);
  for (std::size_t j = 0; j < ld; j += V::kLanes) (V::load(y + j) * share).store(y + j);
  return sum(log(S(all)));
}

// Replaces z by its softmax, padding by 0, and puts z - max into shifted; returns the logarithms of the sums of
// e^(z - max).
template <class V, std::size_t kColumns>
FASTREG_INLINE V softmax_lanes(V (&z)[kColumns], V (&shifted)[kColumns], std::size_t cols) {
  V top = z[0], total(0.0f);
  for (std::size_t j = 1; j < cols; ++j) top = max(top, z[j]);
  for (std::size_t j = 0; j < cols; ++j) {
    shifted[j] = z[j] - top;
    z[j] = exp(shifted[j]);
    total = total + z[j];
  }
  const V share = V(1.0f) / total;
  for (std::size_t j = 0; j < cols; ++j) z[j] = z[j] * share;
  for (std::size_t j = cols; j < kColumns; ++j) z[j] = V(0.0f);
  return log(total);
}

}  // namespace fastreg::math
