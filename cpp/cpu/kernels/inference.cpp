// Runs a frozen network on a block of rows. Several rows go through the matrix products of matmul.cpp, a single row
// through one_row.h, and both give the same bits.
#include "core/bfloat16.h"
#include "core/kernels.h"
#include "cpu/dots.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/one_row.h"
#include "cpu/simd/simd.h"
#include "cpu/softmax.h"
#include "math/separate_activations.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// z = x W + bias for a single output and any stride of x: dot products with two sums each, four rows at a time. What
// follows the columns of x in memory is masked out, because it may be another array, or infinite.
FASTREG_NOINLINE void multiply_column(const InferenceStep& step, const float* x, std::size_t ldx, float* y,
                                      std::size_t rows) {
  const float bias = step.bias ? step.bias[0] : 0.0f;
  // Without anything to mask, this gives the same bits faster.
  if (step.k % kLane == 0) return times_column(x, ldx, step.w, step.k, bias, y, {0, rows});
  const std::size_t last_vector = (step.k - 1) / V::kLanes * V::kLanes, tail = step.k - last_vector;
  for (std::size_t i = 0; i < rows; i += 4) {
    const float* row[4];
    V even[4], odd[4];
    FASTREG_UNROLL
    for (std::size_t r = 0; r < 4; ++r) {
      row[r] = x + smaller(i + r, rows - 1) * ldx;
      even[r] = V(0.0f);
      odd[r] = V(0.0f);
    }
    std::size_t j = 0;
    for (; j < last_vector; j += 2 * V::kLanes) {
      const V w0 = V::load(step.w + j);
      FASTREG_UNROLL
      for (std::size_t r = 0; r < 4; ++r) even[r] = fma(V::load(row[r] + j), w0, even[r]);
      if (j + V::kLanes >= last_vector) break;
      const V w1 = V::load(step.w + j + V::kLanes);
      FASTREG_UNROLL
      for (std::size_t r = 0; r < 4; ++r) odd[r] = fma(V::load(row[r] + j + V::kLanes), w1, odd[r]);
    }
    const V w_tail = V::load(step.w + last_vector);
    const bool even_tail = last_vector / V::kLanes % 2 == 0;
    FASTREG_UNROLL
    for (std::size_t r = 0; r < 4; ++r) {
      const V x_tail = V::load_first(row[r] + last_vector, tail);
      if (even_tail) {
        even[r] = fma(x_tail, w_tail, even[r]);
      } else {
        odd[r] = fma(x_tail, w_tail, odd[r]);
      }
    }
    for (std::size_t r = 0; r < 4 && i + r < rows; ++r) y[i + r] = sum(even[r] + odd[r]) + bias;
  }
}

// y = (x - mean) scale + bias, or a copy of x, as a rows matrix. T is V1 where y has a single column.
template <class T>
FASTREG_NOINLINE void scale_rows(const InferenceStep& step, const float* x, std::size_t ldx, float* y, std::size_t ldy,
                                 std::size_t rows) {
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < ldy; j += T::kLanes) {
      T value = T::load_first(x + i * ldx + j, j < step.cols ? step.cols - j : 0);
      if (step.scale) value = fma(value - T::load(step.mean + j), T::load(step.scale + j), T::load(step.bias + j));
      value.store(y + i * ldy + j);
    }
  }
}

// A step that other kernels compute in place, from a padded copy of x. A NaN in the mean of a row makes all of it NaN.
FASTREG_NOINLINE void by_features_or_rows(const InferenceStep& step, const float* x, std::size_t ldx, float* y,
                                          std::size_t ldy, std::size_t rows) {
  for (std::size_t i = 0; i < rows; ++i) {
    if (ldy == 1) {
      y[i] = x[i * ldx];
      continue;
    }
    for (std::size_t j = 0; j < ldy; j += V::kLanes) {
      V::load_first(x + i * ldx + j, j < step.cols ? step.cols - j : 0).store(y + i * ldy + j);
    }
  }
  if (step.rectified) return feature_scale({y, step.scale, y, true, rows, step.cols, ldy, {0, ldy}});
  row_norm_forward({step.statistic, step.epsilon, y, y, nullptr, nullptr, nullptr, nullptr, step.cols, ldy, {0, rows}});
}

// A product of bfloat16 numbers. The left operand is packed behind y.
FASTREG_NOINLINE void multiply_packed(const InferenceStep& step, const float* x, std::size_t ldx, float* y,
                                      std::size_t ldy, std::size_t rows, bool relu) {
  auto* const left = reinterpret_cast<std::uint16_t*>(y + rounded(rows * ldy));
  const Range groups{0, tile_groups(rows)};
  step.products->pack_left({{x, Stored::rows, ldx, rows, step.k, false}, left, step.terms, groups});
  step.products->multiply({left, step.tiles, step.bias, y, Stored::rows, rows, step.k, step.cols, step.terms, relu,
                           groups, {0, tile_groups(step.cols)}});
}

FASTREG_INLINE void infer_step(const InferenceStep& step, const float* x, std::size_t ldx, float* y, std::size_t ldy,
                               std::size_t rows, bool reversed) {
  const ActivationKind kind = step.activation.kind;
  const bool fused = math::is_fused(kind);
  const ActivationKind joined = fused ? kind : ActivationKind::linear;
  if (step.products) {
    const bool relu = kind == ActivationKind::relu;
    multiply_packed(step, x, ldx, y, ldy, rows, relu);
    if (!relu) activation_forward(joined, y, y, rows * ldy);
  } else if (step.w && ldy > 1 && rows == 1) {
    const bool relu = kind == ActivationKind::relu;
    multiply_row({x, step.k, step.w, step.bias, y, ldy, {0, (ldy + kPanel - 1) / kPanel}, relu, reversed});
    if (!relu) activation_forward(joined, y, y, ldy);
  } else if (step.w && ldy > 1) {
    const std::size_t panels = (ldy + kPanel - 1) / kPanel;
    matmul({x, ldx, step.w, step.bias, y, nullptr, ldy, step.k, step.cols, joined, {0, rows}, {0, panels}});
  } else {
    if (step.w) {
      multiply_column(step, x, ldx, y, rows);
    } else if (step.rectified || step.statistic != RowStatistic::none) {
      by_features_or_rows(step, x, ldx, y, ldy, rows);
    } else if (ldy == 1) {
      scale_rows<V1>(step, x, ldx, y, ldy, rows);
    } else {
      scale_rows<V>(step, x, ldx, y, ldy, rows);
    }
    activation_forward(joined, y, y, rows * ldy);
  }
  if (fused) return;
  if (!math::needs_rows(kind)) return separate_forward(step.activation, y, y, rows * ldy);
  if (kind != ActivationKind::softmax)
    return softmax_forward({step.cols, ldy, y, y, nullptr, nullptr, {0, rows}, kind});
  // This form treats each row by itself even where rows are short, because single rows are more frequent here.
  const Softmax whole{step.cols, ldy, y, y, nullptr, nullptr, {0, rows}};
  if (ldy == 1) {
    softmax_rows<V1>(whole);
  } else {
    softmax_rows<V>(whole);
  }
}

}  // namespace

void infer(const Inference& a) noexcept {
  if (a.rows == 0) return;
  const float* x = a.x;
  std::size_t ldx = a.ldx, cols = 0;
  for (std::size_t i = 0; i < a.count; ++i) {
    const InferenceStep& step = a.steps[i];
    cols = step.cols;
    const std::size_t ldy = cols == 1 ? 1 : rounded(cols);
    const bool in_place = i + 1 == a.count && cols == 1 && a.ldy == 1;
    float* const y = in_place ? a.y : a.scratch[i % 2];
    infer_step(step, x, ldx, y, ldy, a.rows, a.reversed);
    if (in_place) return;
    x = y;
    ldx = ldy;
  }
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < cols; j += V::kLanes) {
      V::load_first(x + i * ldx + j, cols - j).store_first(a.y + i * a.ldy + j, cols - j);
    }
  }
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
