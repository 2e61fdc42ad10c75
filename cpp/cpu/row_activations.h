// The activations of whole rows besides softmax, one row at a time: log_softmax and sparsemax. The columns of a row lie
// along the vector; T is V, or V1 for a buffer of a single column. Padding becomes 0. The order of every sum depends on
// the shape alone.
#pragma once
#include "core/kernels.h"
#include "cpu/simd/simd.h"
#include "math/separate_activations.h"
#include "math/softmax.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

template <class T, class Term>
FASTREG_INLINE float row_sum(std::size_t cols, std::size_t ld, Term term) {
  T total(0.0f);
  for (std::size_t j = 0; j < ld; j += T::kLanes) {
    total = total + select(math::valid<T>(cols, j), term(j), T(0.0f));
  }
  return sum(total);
}

// y = z - max - log(sum of e^(z - max)). NaN anywhere in the row reaches all of it through the sum.
template <class T>
FASTREG_INLINE void log_softmax_row(const float* z, float* y, std::size_t cols, std::size_t ld) {
  const T top(math::row_max<T>(z, cols, ld));
  const T all(row_sum<T>(cols, ld, [&](std::size_t j) FASTREG_LAMBDA { return math::exp(T::load(z + j) - top); }));
  const T shift = math::log(all);
  for (std::size_t j = 0; j < ld; j += T::kLanes) {
    select(math::valid<T>(cols, j), (T::load(z + j) - top) - shift, T(0.0f)).store(y + j);
  }
}

template <class T>
FASTREG_INLINE void log_softmax_backward_row(const float* y, const float* dy, float* dz, std::size_t cols,
                                             std::size_t ld) {
  const T all(row_sum<T>(cols, ld, [&](std::size_t j) FASTREG_LAMBDA { return T::load(dy + j); }));
  for (std::size_t j = 0; j < ld; j += T::kLanes) {
    select(math::valid<T>(cols, j), T::load(dy + j) - math::exp(T::load(y + j)) * all, T(0.0f)).store(dz + j);
  }
}

// y = max(0, z - t) with the t for which the row sums to 1. Starting from all columns, those below the threshold of the
// others are left out until none is (Michelot 1986): at most as many passes as columns, as a rule three or four. z is
// taken relative to its maximum.
template <class T>
FASTREG_INLINE void sparsemax_row(const float* z, float* y, std::size_t cols, std::size_t ld) {
  const T top(math::row_max<T>(z, cols, ld));
  float threshold = -__builtin_inff();
  for (std::size_t left = 0;;) {
    const T bound(threshold);
    T count(0.0f), total(0.0f);
    for (std::size_t j = 0; j < ld; j += T::kLanes) {
      const T x = T::load(z + j) - top;
      const auto in = math::valid<T>(cols, j) & (x > bound);
      count = count + select(in, T(1.0f), T(0.0f));
      total = total + select(in, x, T(0.0f));
    }
    const float in = sum(count);
    const float next = (sum(total) - 1.0f) / in;
    if (!(in > 0.0f) || static_cast<std::size_t>(in) == left) break;
    left = static_cast<std::size_t>(in);
    threshold = next;
  }
  const T bound(threshold);
  // The sum is NaN where z has a NaN or where its maximum is infinite, and makes the whole row NaN.
  const T doubt(0.0f * row_sum<T>(cols, ld, [&](std::size_t j) FASTREG_LAMBDA {
    const T x = T::load(z + j) - top;
    return select(x < T(-1.0f), T(0.0f), x);   // -inf is a good number here, and below the threshold
  }));
  for (std::size_t j = 0; j < ld; j += T::kLanes) {
    const T share = max(T(0.0f), (T::load(z + j) - top) - bound) + doubt;
    select(math::valid<T>(cols, j), share, T(0.0f)).store(y + j);
  }
}

// Within the support dz is dy without its mean there.
template <class T>
FASTREG_INLINE void sparsemax_backward_row(const float* y, const float* dy, float* dz, std::size_t cols,
                                           std::size_t ld) {
  const float support = row_sum<T>(cols, ld, [&](std::size_t j) FASTREG_LAMBDA {
    return select(T::load(y + j) > T(0.0f), T(1.0f), T(0.0f));
  });
  const float all = row_sum<T>(cols, ld, [&](std::size_t j) FASTREG_LAMBDA {
    return select(T::load(y + j) > T(0.0f), T::load(dy + j), T(0.0f));
  });
  const T mean(support > 0.0f ? all / support : 0.0f);
  for (std::size_t j = 0; j < ld; j += T::kLanes) {
    const auto in = math::valid<T>(cols, j) & (T::load(y + j) > T(0.0f));
    select(in, T::load(dy + j) - mean, T(0.0f)).store(dz + j);
  }
}

template <class T>
FASTREG_NOINLINE void row_activation_forward(const Softmax& s) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    const float* z = s.z + i * s.ld;
    float* y = s.y + i * s.ld;
    if (s.kind == math::kSeparateKind<math::LogSoftmax>) {
      log_softmax_row<T>(z, y, s.cols, s.ld);
    } else {
      sparsemax_row<T>(z, y, s.cols, s.ld);
    }
  }
}

template <class T>
FASTREG_NOINLINE void row_activation_backward(const Softmax& s) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    const float *y = s.y + i * s.ld, *dy = s.dy + i * s.ld;
    float* dz = s.dz + i * s.ld;
    if (s.kind == math::kSeparateKind<math::LogSoftmax>) {
      log_softmax_backward_row<T>(y, dy, dz, s.cols, s.ld);
    } else {
      sparsemax_backward_row<T>(y, dy, dz, s.cols, s.ld);
    }
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
