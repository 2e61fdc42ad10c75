// Batch normalisation over strips of columns, in the accurate three passes: mean, centred squares, result.
//
//   xhat = (x - mean) inv_std,  inv_std = 1 / sqrt(biased variance + epsilon),  y = gamma xhat + beta
//   dx = gamma inv_std (dy - dbeta / n - xhat dgamma / n),  dgamma = sum dy xhat,  dbeta = sum dy
//
// T is V, or V1 for a buffer of a single column. Dropout multiplies every element that it keeps by the same number,
// which is folded into the factors of a column. Fields of structs are copied before loops, because the compiler must
// assume that a store of floats changes them.
#include <cassert>

#include "core/kernels.h"
#include "cpu/activations.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

template <class T>
FASTREG_INLINE T load_or(const float* p, std::size_t c, float otherwise) {
  return p ? T::load(p + c) : T(otherwise);
}

// The keep bits of vector v of a strip of NV vectors whose row starts at element `row`.
template <class T, std::size_t NV>
FASTREG_INLINE typename T::Mask kept(const std::uint16_t* mask, std::size_t row, std::size_t v) {
  constexpr bool kWholeWords = NV * T::kLanes % kLane == 0;   // then rows start with a word of the mask
  return kept<T>(mask + row / kLane, (kWholeWords ? 0 : row % kLane) + v * T::kLanes);
}

// sums[v] = the sum over rows of what term(row, v, acc) adds to acc. Two chains, one for even and one for odd rows,
// hide the latency of an addition. Every kSumBlock rows they are added to the total and start again from 0.
template <std::size_t NV, class T, class Term>
FASTREG_INLINE void sum_rows(std::size_t rows, T (&sums)[NV], Term term) {
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) sums[v] = T(0.0f);
  for (std::size_t start = 0; start < rows; start += kSumBlock) {
    const std::size_t stop = smaller(rows, start + kSumBlock);
    T even[NV], odd[NV];
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) even[v] = odd[v] = T(0.0f);
    std::size_t i = start;
    for (; i + 2 <= stop; i += 2) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) even[v] = term(i, v, even[v]);
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) odd[v] = term(i + 1, v, odd[v]);
    }
    if (i < stop) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) even[v] = term(i, v, even[v]);
    }
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) sums[v] = sums[v] + (even[v] + odd[v]);
  }
}

// y = gamma xhat + beta for a strip, with dropout applied where there is a mask.
template <bool kDropout, class T, std::size_t NV>
FASTREG_INLINE void normalise(const BatchNormForward& b, std::size_t c, const T (&mean)[NV], const T (&inv_std)[NV]) {
  const float* const x = b.x;
  float* const y = b.y;
  const std::uint16_t* const mask = b.dropout.mask;
  const T kept_scale(kDropout ? b.dropout.scale : 1.0f);
  T scale[NV], shift[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    scale[v] = inv_std[v] * load_or<T>(b.gamma, c + v * T::kLanes, 1.0f) * kept_scale;
    shift[v] = load_or<T>(b.beta, c + v * T::kLanes, 0.0f) * kept_scale;
  }
  const std::size_t ld = b.ld, stop = b.rows * ld + c;
  for (std::size_t row = c; row < stop; row += ld) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) {
      const std::size_t e = row + v * T::kLanes;
      const T z = fma(T::load(x + e) - mean[v], scale[v], shift[v]);
      (kDropout ? select(kept<T, NV>(mask, row, v), z, T(0.0f)) : z).store(y + e);
    }
  }
}

template <class T, std::size_t NV>
FASTREG_NOINLINE void batch_norm_train_strip(const BatchNormForward& b, std::size_t c) {
  const float* const x = b.x + c;
  const std::size_t ld = b.ld;
  const T share(1.0f / static_cast<float>(b.rows));
  T mean[NV], variance[NV], inv_std[NV];
  sum_rows<NV>(b.rows, mean, [x, ld](std::size_t i, std::size_t v, T acc) FASTREG_LAMBDA {
    return acc + T::load(x + i * ld + v * T::kLanes);
  });
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) mean[v] = mean[v] * share;
  sum_rows<NV>(b.rows, variance, [x, ld, &mean](std::size_t i, std::size_t v, T acc) FASTREG_LAMBDA {
    const T d = T::load(x + i * ld + v * T::kLanes) - mean[v];
    return fma(d, d, acc);
  });
  const T old(b.momentum), rest(1.0f - b.momentum), epsilon(b.epsilon);
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    const std::size_t j = c + v * T::kLanes;
    variance[v] = variance[v] * share;
    inv_std[v] = T(1.0f) / sqrt(variance[v] + epsilon);
    mean[v].store(b.mean + j);
    inv_std[v].store(b.inv_std + j);
    fma(old, T::load(b.moving_mean + j), rest * mean[v]).store(b.moving_mean + j);
    fma(old, T::load(b.moving_variance + j), rest * variance[v]).store(b.moving_variance + j);
  }
  b.dropout.mask ? normalise<true>(b, c, mean, inv_std) : normalise<false>(b, c, mean, inv_std);
}

template <class T, std::size_t NV>
FASTREG_NOINLINE void batch_norm_infer_strip(const BatchNormForward& b, std::size_t c) {
  T mean[NV], inv_std[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    mean[v] = T::load(b.moving_mean + c + v * T::kLanes);
    inv_std[v] = T(1.0f) / sqrt(T::load(b.moving_variance + c + v * T::kLanes) + T(b.epsilon));
  }
  normalise<false>(b, c, mean, inv_std);
}

// The gradient with respect to y in a strip, not yet scaled for dropout. It is given as a matrix or, with kOuter, as
// the two factors of an outer product.
template <bool kDropout, bool kOuter, class T, std::size_t NV>
struct IncomingGradient {
  const float* dy;
  const std::uint16_t* mask;
  T dy_row[kOuter ? NV : 1];

  FASTREG_INLINE IncomingGradient(const BatchNormBackward& b, std::size_t c) : dy(b.dy), mask(b.dropout.mask) {
    if constexpr (kOuter) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) dy_row[v] = T::load(b.dy_row + c + v * T::kLanes);
    }
  }
  // Vector v of row i; the row starts at element `row`.
  FASTREG_INLINE T at(std::size_t i, std::size_t row, std::size_t v) const {
    T g;
    if constexpr (kOuter) {
      g = T(dy[i]) * dy_row[v];
    } else {
      g = T::load(dy + row + v * T::kLanes);
    }
    if constexpr (kDropout) g = select(kept<T, NV>(mask, row, v), g, T(0.0f));
    return g;
  }
};

// dbeta and dgamma / inv_std of a strip: the sums over rows of dy and of dy (x - mean).
template <bool kDropout, bool kOuter, class T, std::size_t NV>
FASTREG_INLINE void sum_gradients(const BatchNormBackward& b, std::size_t c, const T (&mean)[NV], T (&dbeta)[NV],
                                  T (&dgamma)[NV]) {
  const IncomingGradient<kDropout, kOuter, T, NV> dy(b, c);
  const float* const x = b.x;
  const std::size_t ld = b.ld;
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) dbeta[v] = dgamma[v] = T(0.0f);
  for (std::size_t start = 0; start < b.rows; start += kSumBlock) {
    T beta[NV], gamma[NV];
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) beta[v] = gamma[v] = T(0.0f);
    const std::size_t stop = smaller(b.rows, start + kSumBlock);
    for (std::size_t i = start, row = start * ld + c; i < stop; ++i, row += ld) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) {
        const T g = dy.at(i, row, v);
        beta[v] = beta[v] + g;
        gamma[v] = fma(g, T::load(x + row + v * T::kLanes) - mean[v], gamma[v]);
      }
    }
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) {
      dbeta[v] = dbeta[v] + beta[v];
      dgamma[v] = dgamma[v] + gamma[v];
    }
  }
}

// dx = f'(x) (scale dy - slope (x - mean) + shift). db is the sum of dx over the rows.
template <bool kDropout, bool kOuter, class F, class T, std::size_t NV>
FASTREG_INLINE void input_gradient(const BatchNormBackward& b, std::size_t c, const T (&mean)[NV], const T (&scale)[NV],
                                   const T (&slope)[NV], const T (&shift)[NV], T (&db)[NV]) {
  const IncomingGradient<kDropout, kOuter, T, NV> dy(b, c);
  const float* const x = b.x;
  float* const dx = b.dx;
  const std::size_t ld = b.ld, rows = b.rows;
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) db[v] = T(0.0f);
  for (std::size_t start = 0; start < rows; start += kSumBlock) {
    T partial[NV];
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) partial[v] = T(0.0f);
    const std::size_t stop = smaller(rows, start + kSumBlock);
    for (std::size_t i = start, row = start * ld + c; i < stop; ++i, row += ld) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) {
        const T saved = T::load(x + row + v * T::kLanes);
        const T centred = fnma(saved - mean[v], slope[v], shift[v]);
        const T dz = F::backward(saved, fma(scale[v], dy.at(i, row, v), centred));
        dz.store(dx + row + v * T::kLanes);
        partial[v] = partial[v] + dz;
      }
    }
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) db[v] = db[v] + partial[v];
  }
}

template <bool kDropout, bool kOuter, class T, std::size_t NV, class F>
FASTREG_NOINLINE void batch_norm_backward_strip(const BatchNormBackward& b, std::size_t c) {
  T mean[NV], dbeta[NV], dgamma[NV], scale[NV], slope[NV], shift[NV], db[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) mean[v] = T::load(b.mean + c + v * T::kLanes);
  sum_gradients<kDropout, kOuter>(b, c, mean, dbeta, dgamma);
  // dx = gamma inv_std (dy - dbeta / n - (x - mean) inv_std dgamma / n)
  const T share(1.0f / static_cast<float>(b.rows)), kept_scale(kDropout ? b.dropout.scale : 1.0f);
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    const std::size_t j = c + v * T::kLanes;
    const T inv_std = T::load(b.inv_std + j);
    dbeta[v] = dbeta[v] * kept_scale;
    dgamma[v] = dgamma[v] * inv_std * kept_scale;
    if (b.dgamma) dgamma[v].store(b.dgamma + j);
    if (b.dbeta) dbeta[v].store(b.dbeta + j);
    const T all = inv_std * load_or<T>(b.gamma, j, 1.0f);
    scale[v] = all * kept_scale;
    slope[v] = all * inv_std * dgamma[v] * share;
    shift[v] = T(0.0f) - all * dbeta[v] * share;
  }
  input_gradient<kDropout, kOuter, F>(b, c, mean, scale, slope, shift, db);
  if (b.db == nullptr) return;
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) db[v].store(b.db + c + v * T::kLanes);
}

template <bool kDropout, bool kOuter, class F>
FASTREG_INLINE void batch_norm_backward_strips(const BatchNormBackward& b) {
  if (b.ld == 1) return batch_norm_backward_strip<kDropout, kOuter, V1, 1, F>(b, 0);
  // Each vector of columns keeps five sums and factors in registers.
  constexpr std::size_t kVectors = kRegisters == 32 ? F::kBackwardVectors : 2;
  for_strips<kVectors>(b.cols, [&b](std::size_t c, auto width) {
    batch_norm_backward_strip<kDropout, kOuter, V, decltype(width)::kVectors, F>(b, c);
  });
}

}  // namespace

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

void batch_norm_backward(const BatchNormBackward& b) noexcept {
  assert(b.rows >= 1);
  if (b.cols.end <= b.cols.begin) return;
  with_activation(b.activation, [&b](auto f) {
    using F = decltype(f);
    if constexpr (!F::kFromInput) {
      if (b.dy_row) return b.dropout.mask ? batch_norm_backward_strips<true, true, F>(b)
                                          : batch_norm_backward_strips<false, true, F>(b);
      b.dropout.mask ? batch_norm_backward_strips<true, false, F>(b) : batch_norm_backward_strips<false, false, F>(b);
    } else {
      assert(!"the derivative of this activation does not follow from its output");
    }
  });
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
