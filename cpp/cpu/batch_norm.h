// Batch normalisation over strips of columns, in the accurate three passes: mean, centred squares, result.
//
//   xhat = (x - mean) inv_std,  inv_std = 1 / sqrt(biased variance + epsilon),  y = gamma xhat + beta
//   dx = gamma inv_std (dy - dbeta / n - xhat dgamma / n),  dgamma = sum dy xhat,  dbeta = sum dy
//
// T is V, or V1 for a buffer of a single column.
#pragma once
#include <cassert>

#include "core/kernels.h"
#include "cpu/elementwise.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

template <class T>
FASTREG_INLINE T load_or(const float* p, std::size_t c, float otherwise) {
  return p ? T::load(p + c) : T(otherwise);
}

// sums[v] = sum over rows of term(row, v), closed every kSumBlock rows.
template <std::size_t NV, class T, class Term>
FASTREG_INLINE void sum_rows(std::size_t rows, T (&sums)[NV], Term term) {
  for (std::size_t v = 0; v < NV; ++v) sums[v] = T(0.0f);
  for (std::size_t start = 0; start < rows; start += kSumBlock) {
    const std::size_t stop = smaller(rows, start + kSumBlock);
    T partial[NV];
    for (std::size_t v = 0; v < NV; ++v) partial[v] = T(0.0f);
    for (std::size_t i = start; i < stop; ++i) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) partial[v] = term(i, v, partial[v]);
    }
    for (std::size_t v = 0; v < NV; ++v) sums[v] = sums[v] + partial[v];
  }
}

template <class T, std::size_t NV>
FASTREG_INLINE void normalise(const BatchNormForward& b, std::size_t c, const T (&mean)[NV], const T (&inv_std)[NV],
                              bool dropout) {
  T scale[NV], shift[NV];
  for (std::size_t v = 0; v < NV; ++v) {
    scale[v] = inv_std[v] * load_or<T>(b.gamma, c + v * T::kLanes, 1.0f);
    shift[v] = load_or<T>(b.beta, c + v * T::kLanes, 0.0f);
  }
  for (std::size_t i = 0; i < b.rows; ++i) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) {
      const std::size_t e = i * b.ld + c + v * T::kLanes;
      const T y = fma(T::load(b.x + e) - mean[v], scale[v], shift[v]);
      (dropout ? keep(b.dropout, e, y) : y).store(b.y + e);
    }
  }
}

template <class T, std::size_t NV>
FASTREG_NOINLINE void batch_norm_train_strip(const BatchNormForward& b, std::size_t c) {
  const T share(1.0f / static_cast<float>(b.rows));
  T mean[NV], variance[NV], inv_std[NV];
  sum_rows<NV>(b.rows, mean,
               [&](std::size_t i, std::size_t v, T acc) { return acc + T::load(b.x + i * b.ld + c + v * T::kLanes); });
  for (std::size_t v = 0; v < NV; ++v) mean[v] = mean[v] * share;
  sum_rows<NV>(b.rows, variance, [&](std::size_t i, std::size_t v, T acc) {
    const T d = T::load(b.x + i * b.ld + c + v * T::kLanes) - mean[v];
    return fma(d, d, acc);
  });
  const T old(b.momentum), rest(1.0f - b.momentum);
  for (std::size_t v = 0; v < NV; ++v) {
    const std::size_t j = c + v * T::kLanes;
    variance[v] = variance[v] * share;
    inv_std[v] = T(1.0f) / sqrt(variance[v] + T(b.epsilon));
    mean[v].store(b.mean + j);
    inv_std[v].store(b.inv_std + j);
    fma(old, T::load(b.moving_mean + j), rest * mean[v]).store(b.moving_mean + j);
    fma(old, T::load(b.moving_variance + j), rest * variance[v]).store(b.moving_variance + j);
  }
  if (b.dropout.mask) {
    normalise(b, c, mean, inv_std, true);
  } else {
    normalise(b, c, mean, inv_std, false);
  }
}

template <class T, std::size_t NV>
FASTREG_NOINLINE void batch_norm_infer_strip(const BatchNormForward& b, std::size_t c) {
  T mean[NV], inv_std[NV];
  for (std::size_t v = 0; v < NV; ++v) {
    mean[v] = T::load(b.moving_mean + c + v * T::kLanes);
    inv_std[v] = T(1.0f) / sqrt(T::load(b.moving_variance + c + v * T::kLanes) + T(b.epsilon));
  }
  normalise(b, c, mean, inv_std, false);
}

void batch_norm_forward_train(const BatchNormForward& b) noexcept {
  assert(b.rows >= 1);
  if (b.cols.end <= b.cols.begin) return;
  if (b.ld == 1) return batch_norm_train_strip<V1, 1>(b, 0);
  for_strips(b.cols, [&b](std::size_t c, auto width) { batch_norm_train_strip<V, decltype(width)::kVectors>(b, c); });
}

void batch_norm_forward_infer(const BatchNormForward& b) noexcept {
  if (b.cols.end <= b.cols.begin) return;
  if (b.ld == 1) return batch_norm_infer_strip<V1, 1>(b, 0);
  for_strips(b.cols, [&b](std::size_t c, auto width) { batch_norm_infer_strip<V, decltype(width)::kVectors>(b, c); });
}

template <class T>
FASTREG_INLINE T kept_gradient(const BatchNormBackward& b, std::size_t e) {
  const T dy = T::load(b.dy + e);
  return b.dropout.mask ? keep(b.dropout, e, dy) : dy;
}

template <class T, std::size_t NV, class F>
FASTREG_NOINLINE void batch_norm_backward_strip(const BatchNormBackward& b, std::size_t c) {
  T mean[NV], inv_std[NV], dbeta[NV], dgamma[NV];
  for (std::size_t v = 0; v < NV; ++v) {
    mean[v] = T::load(b.mean + c + v * T::kLanes);
    inv_std[v] = T::load(b.inv_std + c + v * T::kLanes);
    dbeta[v] = T(0.0f);
    dgamma[v] = T(0.0f);
  }
  for (std::size_t start = 0; start < b.rows; start += kSumBlock) {
    const std::size_t stop = smaller(b.rows, start + kSumBlock);
    T beta[NV], gamma[NV];
    for (std::size_t v = 0; v < NV; ++v) beta[v] = gamma[v] = T(0.0f);
    for (std::size_t i = start; i < stop; ++i) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) {
        const std::size_t e = i * b.ld + c + v * T::kLanes;
        const T dy = kept_gradient<T>(b, e);
        beta[v] = beta[v] + dy;
        gamma[v] = fma(dy, T::load(b.x + e) - mean[v], gamma[v]);
      }
    }
    for (std::size_t v = 0; v < NV; ++v) {
      dbeta[v] = dbeta[v] + beta[v];
      dgamma[v] = dgamma[v] + gamma[v];
    }
  }
  // dx = scale (dy - dbeta / n - (x - mean) slope), slope = inv_std dgamma / n.
  const T share(1.0f / static_cast<float>(b.rows));
  T scale[NV], slope[NV], shift[NV], db[NV];
  for (std::size_t v = 0; v < NV; ++v) {
    const std::size_t j = c + v * T::kLanes;
    dgamma[v] = dgamma[v] * inv_std[v];
    if (b.dgamma) dgamma[v].store(b.dgamma + j);
    if (b.dbeta) dbeta[v].store(b.dbeta + j);
    scale[v] = inv_std[v] * load_or<T>(b.gamma, j, 1.0f);
    slope[v] = inv_std[v] * dgamma[v] * share;
    shift[v] = dbeta[v] * share;
    db[v] = T(0.0f);
  }
  for (std::size_t start = 0; start < b.rows; start += kSumBlock) {
    const std::size_t stop = smaller(b.rows, start + kSumBlock);
    T partial[NV];
    for (std::size_t v = 0; v < NV; ++v) partial[v] = T(0.0f);
    for (std::size_t i = start; i < stop; ++i) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) {
        const std::size_t e = i * b.ld + c + v * T::kLanes;
        const T x = T::load(b.x + e);
        const T centred = fnma(x - mean[v], slope[v], kept_gradient<T>(b, e) - shift[v]);
        const T dx = scale[v] * centred * F::backward(x);
        dx.store(b.dx + e);
        partial[v] = partial[v] + dx;
      }
    }
    for (std::size_t v = 0; v < NV; ++v) db[v] = db[v] + partial[v];
  }
  if (b.db == nullptr) return;
  for (std::size_t v = 0; v < NV; ++v) db[v].store(b.db + c + v * T::kLanes);
}

void batch_norm_backward(const BatchNormBackward& b) noexcept {
  assert(b.rows >= 1);
  if (b.cols.end <= b.cols.begin) return;
  with_activation(b.activation, [&b](auto f) {
    using F = decltype(f);
    if constexpr (!F::kFromInput) {
      if (b.ld == 1) return batch_norm_backward_strip<V1, 1, F>(b, 0);
      for_strips(b.cols,
                 [&b](std::size_t c, auto width) { batch_norm_backward_strip<V, decltype(width)::kVectors, F>(b, c); });
    } else {
      assert(!"gelu and silu are not functions of their output");
    }
  });
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
