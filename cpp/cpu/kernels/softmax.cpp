// Softmax and the other activations of whole rows, over the rows of a matrix, forward and backward.
#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/row_activations.h"
#include "cpu/simd/simd.h"
#include "cpu/softmax.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

template <class T>
FASTREG_NOINLINE void softmax_backward_rows(const Softmax& s) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    const float *y = s.y + i * s.ld, *dy = s.dy + i * s.ld;
    float* dz = s.dz + i * s.ld;
    T total(0.0f);
    for (std::size_t j = 0; j < s.ld; j += T::kLanes) {
      total = total + select(math::valid<T>(s.cols, j), T::load(y + j) * T::load(dy + j), T(0.0f));
    }
    const T dot(sum(total));
    for (std::size_t j = 0; j < s.ld; j += T::kLanes) {
      select(math::valid<T>(s.cols, j), T::load(y + j) * (T::load(dy + j) - dot), T(0.0f)).store(dz + j);
    }
  }
}

}  // namespace

void softmax_forward(const Softmax& s) noexcept {
  if (s.kind != ActivationKind::softmax)
    return s.ld == 1 ? row_activation_forward<V1>(s) : row_activation_forward<V>(s);
  if (s.ld == 1) return softmax_rows<V1>(s);
  if (s.ld != kLane) return softmax_rows<V>(s);
  for (std::size_t i = s.rows.begin; i < s.rows.end; i += V::kLanes) {
    const std::size_t rows = smaller(V::kLanes, s.rows.end - i);
    V z[kLane], shifted[kLane];
    load_columns(s.z + i * kLane, rows, z);
    math::softmax_lanes(z, shifted, s.cols);
    store_columns(z, s.y + i * kLane, rows);
  }
}

void softmax_backward(const Softmax& s) noexcept {
  if (s.kind != ActivationKind::softmax)
    return s.ld == 1 ? row_activation_backward<V1>(s) : row_activation_backward<V>(s);
  if (s.ld == 1) return softmax_backward_rows<V1>(s);
  softmax_backward_rows<V>(s);
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
