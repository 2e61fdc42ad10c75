// Normalisation of single rows, whose columns lie along the vector, and the product of every column with a learned
// factor. T is V, or V1 for a buffer of a single column. What lies behind the columns of a row is never part of a sum.
//
//   xhat = (x - mean) inv,  y = gamma xhat + beta,  g = gamma dy
//   dx = inv (g - mean(g) - xhat share sum(g xhat)),  dgamma = sum over rows of dy xhat,  dbeta = sum over rows of dy
//
// mean and mean(g) are 0 except for the statistic `standard`; share is 1 / columns, or 1 for the statistic `unit`, and
// 0 where that has reached its limit, so that inv is a constant.
#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"
#include "math/softmax.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

template <class T>
FASTREG_INLINE T load_or(const float* p, std::size_t j, float otherwise) {
  return p ? T::load(p + j) : T(otherwise);
}

// The sum of term(j) over the columns, in two chains that hide the latency of an addition.
template <class T, class Term>
FASTREG_INLINE float columns_sum(std::size_t cols, std::size_t ld, Term term) {
  T even(0.0f), odd(0.0f);
  std::size_t j = 0;
  for (; j + 2 * T::kLanes <= cols; j += 2 * T::kLanes) {
    even = even + term(j);
    odd = odd + term(j + T::kLanes);
  }
  for (; j < ld; j += T::kLanes) even = even + select(math::valid<T>(cols, j), term(j), T(0.0f));
  return sum(even + odd);
}

struct Moments {
  float mean, inv;
};

// The smallest sum of squares that the statistic `unit` divides by.
constexpr float kLeastSquare = 1e-12f;

// Rows whose squares overflow are computed from elements times this number, and their results are the same.
constexpr float kShrink = 0x1p-100f;

template <bool kLarge, class T>
FASTREG_INLINE T element(const float* x) {
  return kLarge ? T::load(x) * T(kShrink) : T::load(x);
}

// With kLarge, of elements times kShrink. inv is 0 or NaN if the sum of squares is not finite.
template <bool kLarge, class T>
FASTREG_INLINE Moments moments(RowStatistic statistic, float epsilon, const float* x, std::size_t cols,
                               std::size_t ld) {
  const float count = static_cast<float>(cols);
  float mean = 0.0f;
  if (statistic == RowStatistic::standard) {
    mean = columns_sum<T>(cols, ld, [x](std::size_t j) FASTREG_LAMBDA { return element<kLarge, T>(x + j); }) / count;
  }
  const T centre(mean);
  const float square = columns_sum<T>(cols, ld, [x, centre](std::size_t j) FASTREG_LAMBDA {
    const T d = element<kLarge, T>(x + j) - centre;
    return d * d;
  });
  // A NaN stays one: it is not below the limit. The squares of large rows are far above it.
  const float least = kLarge ? 0.0f : kLeastSquare, added = kLarge ? epsilon * kShrink * kShrink : epsilon;
  const float under =
      statistic == RowStatistic::unit ? (square < least ? least : square) : square / count + added;
  return {mean, 1.0f / __builtin_sqrtf(under)};
}

template <bool kLarge, class T>
FASTREG_INLINE void write_row(const RowNorm& n, std::size_t i, Moments m) {
  const float* const x = n.x + i * n.ld;
  float* const y = n.y + i * n.ld;
  const T mean(m.mean), inv(m.inv);
  for (std::size_t j = 0; j < n.ld; j += T::kLanes) {
    const T xhat = (element<kLarge, T>(x + j) - mean) * inv;
    const T z = fma(xhat, load_or<T>(n.gamma, j, 1.0f), load_or<T>(n.beta, j, 0.0f));
    select(math::valid<T>(n.cols, j), z, T(0.0f)).store(y + j);
  }
  if (n.mean) n.mean[i] = kLarge ? m.mean / kShrink : m.mean;
  if (n.inv) n.inv[i] = kLarge ? m.inv * kShrink : m.inv;
}

template <class T>
FASTREG_NOINLINE void normalise_large_row(const RowNorm& n, std::size_t i) {
  write_row<true, T>(n, i, moments<true, T>(n.statistic, n.epsilon, n.x + i * n.ld, n.cols, n.ld));
}

template <class T>
FASTREG_NOINLINE void normalise_rows(const RowNorm& n) {
  for (std::size_t i = n.rows.begin; i < n.rows.end; ++i) {
    const Moments m = moments<false, T>(n.statistic, n.epsilon, n.x + i * n.ld, n.cols, n.ld);
    if (m.inv > 0.0f) {
      write_row<false, T>(n, i, m);
    } else {
      normalise_large_row<T>(n, i);
    }
  }
}

template <class T>
FASTREG_NOINLINE void row_gradients(const RowNormBackward& n) {
  const bool centred = n.statistic == RowStatistic::standard, unit = n.statistic == RowStatistic::unit;
  const float count = static_cast<float>(n.cols);
  const float limit = 1.0f / __builtin_sqrtf(kLeastSquare);
  for (std::size_t i = n.rows.begin; i < n.rows.end; ++i) {
    const float *const x = n.x + i * n.ld, *const dy = n.dy + i * n.ld, *const gamma = n.gamma;
    float* const dx = n.dx + i * n.ld;
    const T mean(n.mean[i]), inv(n.inv[i]);
    float shift = 0.0f;
    if (centred) {
      shift = columns_sum<T>(n.cols, n.ld, [=](std::size_t j) FASTREG_LAMBDA {
                return load_or<T>(gamma, j, 1.0f) * T::load(dy + j);
              }) / count;
    }
    const float along = columns_sum<T>(n.cols, n.ld, [=](std::size_t j) FASTREG_LAMBDA {
      return load_or<T>(gamma, j, 1.0f) * T::load(dy + j) * ((T::load(x + j) - mean) * inv);
    });
    const T offset(shift), slope(unit ? (n.inv[i] >= limit ? 0.0f : along) : along / count);
    for (std::size_t j = 0; j < n.ld; j += T::kLanes) {
      const T g = load_or<T>(gamma, j, 1.0f) * T::load(dy + j), xhat = (T::load(x + j) - mean) * inv;
      select(math::valid<T>(n.cols, j), inv * ((g - offset) - xhat * slope), T(0.0f)).store(dx + j);
    }
  }
}

// dgamma and dbeta of NV vectors of columns.
template <class T, std::size_t NV>
FASTREG_NOINLINE void parameter_strip(const RowNormBackward& n, std::size_t c) {
  const float *x = n.x + c, *dy = n.dy + c;
  const float *const mean = n.mean, *const inv = n.inv;
  const std::size_t rows = n.rows.end, ld = n.ld;
  T gamma[NV], beta[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) gamma[v] = beta[v] = T(0.0f);
  for (std::size_t start = 0; start < rows; start += kSumBlock) {
    T part_gamma[NV], part_beta[NV];
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) part_gamma[v] = part_beta[v] = T(0.0f);
    const std::size_t stop = smaller(rows, start + kSumBlock);
    for (std::size_t i = start; i < stop; ++i, x += ld, dy += ld) {
      const T centre(mean[i]), scale(inv[i]);
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) {
        const T g = T::load(dy + v * T::kLanes);
        part_beta[v] = part_beta[v] + g;
        part_gamma[v] = fma(g, (T::load(x + v * T::kLanes) - centre) * scale, part_gamma[v]);
      }
    }
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) {
      gamma[v] = gamma[v] + part_gamma[v];
      beta[v] = beta[v] + part_beta[v];
    }
  }
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    const std::size_t j = c + v * T::kLanes;
    const auto in = math::valid<T>(n.cols, j);
    if (n.dgamma) select(in, gamma[v], T(0.0f)).store(n.dgamma + j);
    if (n.dbeta) select(in, beta[v], T(0.0f)).store(n.dbeta + j);
  }
}

template <class T, std::size_t NV>
FASTREG_NOINLINE void scale_strip(const FeatureScale& s, std::size_t c) {
  T factor[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) factor[v] = T::load(s.scale + c + v * T::kLanes);
  const std::size_t ld = s.ld, rows = s.rows;
  const float* x = s.x + c;
  float* y = s.y + c;
  const bool rectified = s.rectified;
  for (std::size_t i = 0; i < rows; ++i, x += ld, y += ld) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) {
      const T in = T::load(x + v * T::kLanes), scaled = in * factor[v];
      (rectified ? select(in > T(0.0f), in, scaled) : scaled).store(y + v * T::kLanes);
    }
  }
}

template <class T, std::size_t NV>
FASTREG_NOINLINE void scale_backward_strip(const FeatureScaleBackward& s, std::size_t c) {
  T factor[NV], total[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    factor[v] = T::load(s.scale + c + v * T::kLanes);
    total[v] = T(0.0f);
  }
  const std::size_t ld = s.ld, rows = s.rows;
  const float *x = s.x + c, *dy = s.dy + c;
  float* dx = s.dx + c;
  const bool rectified = s.rectified;
  for (std::size_t start = 0; start < rows; start += kSumBlock) {
    T part[NV];
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) part[v] = T(0.0f);
    for (std::size_t i = smaller(rows - start, kSumBlock); i; --i, x += ld, dy += ld, dx += ld) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) {
        const T in = T::load(x + v * T::kLanes), g = T::load(dy + v * T::kLanes);
        const T below = rectified ? select(in > T(0.0f), T(0.0f), in) : in;
        part[v] = fma(g, below, part[v]);
        (rectified ? select(in > T(0.0f), g, g * factor[v]) : g * factor[v]).store(dx + v * T::kLanes);
      }
    }
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) total[v] = total[v] + part[v];
  }
  if (s.dscale == nullptr) return;
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) {
    const std::size_t j = c + v * T::kLanes;
    select(math::valid<T>(s.cols, j), total[v], T(0.0f)).store(s.dscale + j);
  }
}

}  // namespace

void row_norm_forward(const RowNorm& n) noexcept {
  if (n.ld == 1) return normalise_rows<V1>(n);
  normalise_rows<V>(n);
}

void row_norm_backward(const RowNormBackward& n) noexcept {
  if (n.ld == 1) return row_gradients<V1>(n);
  row_gradients<V>(n);
}

void row_norm_parameters(const RowNormBackward& n, Range cols) noexcept {
  if (cols.end <= cols.begin) return;
  if (n.ld == 1) return parameter_strip<V1, 1>(n, 0);
  for_strips<2>(cols, [&n](std::size_t c, auto width) { parameter_strip<V, decltype(width)::kVectors>(n, c); });
}

void feature_scale(const FeatureScale& s) noexcept {
  if (s.range.end <= s.range.begin) return;
  if (s.ld == 1) return scale_strip<V1, 1>(s, 0);
  for_strips(s.range, [&s](std::size_t c, auto width) { scale_strip<V, decltype(width)::kVectors>(s, c); });
}

void feature_scale_backward(const FeatureScaleBackward& s) noexcept {
  if (s.range.end <= s.range.begin) return;
  if (s.ld == 1) return scale_backward_strip<V1, 1>(s, 0);
  for_strips<2>(s.range, [&s](std::size_t c, auto width) { scale_backward_strip<V, decltype(width)::kVectors>(s, c); });
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
