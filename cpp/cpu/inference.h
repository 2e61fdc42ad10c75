// A frozen network on a few rows, in one call. Many rows go through the matrix products of gemm.h; a single row is a
// product of a vector with panels, bound by how fast W arrives: it is read once, front to back, with at least
// kChains sums under way. The additions of an element have the order of gemm.h's tiles, so that a row gives the same
// bits alone and among others.
//
//   x (k), W panels (k, cols), y (ld): z = x W + bias of one row
#pragma once
#include "core/kernels.h"
#include "cpu/elementwise.h"
#include "cpu/gemm.h"
#include "cpu/loss.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// Sums that hide the latency of fma: 4 cycles, 2 a cycle.
constexpr std::size_t kChains = 8;
constexpr std::size_t kPanelVectors = kPanel / V::kLanes;
// Vectors of one panel that a strip takes, and panels it takes at once where they are short. A long panel alone keeps
// pace with the second cache, and a network that hardly fits there wants small units to visit in reverse.
constexpr std::size_t kStripVectors = kPanelVectors < kChains || kRegisters == 32 ? kPanelVectors : kChains;
constexpr std::size_t kStripPanels = kStripVectors < kChains ? kChains / kStripVectors : 1;
constexpr std::size_t kShortPanel = 128;   // rows: 32 KB
// The bias of a layer without one, under all the panels that a strip takes at once.
alignas(64) constexpr float kNoBias[kStripPanels * kPanel] = {};

// What one row does to a few neighbouring vectors of columns of one or more panels.
struct Strip {
  const float* x;
  std::size_t k;
  const float* w;
  std::size_t width, panel_floats;   // of a row of a panel, of a panel
  const float* bias;
  float* y;
  float floor;
};

template <std::size_t NP, std::size_t NV>
FASTREG_NOINLINE void multiply_strip(const Strip& s) {
  V acc[NP][NV];
  FASTREG_UNROLL
  for (std::size_t p = 0; p < NP; ++p) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) acc[p][v] = V::load(s.bias + p * kPanel + v * V::kLanes);
  }
  const float* w = s.w;
  const std::size_t width = s.width, panel_floats = s.panel_floats, k = s.k;
  const float* const x = s.x;
  float* const y = s.y;
  for (std::size_t i = 0; i < k; ++i, w += width) {
    const V xi(x[i]);
    FASTREG_UNROLL
    for (std::size_t p = 0; p < NP; ++p) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) {
        acc[p][v] = fma(xi, V::load(w + p * panel_floats + v * V::kLanes), acc[p][v]);
      }
    }
  }
  const V floor(s.floor);
  FASTREG_UNROLL
  for (std::size_t p = 0; p < NP; ++p) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) max(floor, acc[p][v]).store(y + p * kPanel + v * V::kLanes);
  }
}

// A last panel of a single vector has the two chains and the blocks of k that run_tile gives it.
FASTREG_NOINLINE void multiply_vector(const Strip& s) {
  V even = V::load(s.bias);
  const std::size_t k_block = s.k < 1024 ? 1024 : 512, blocks = s.k == 0 ? 1 : (s.k + k_block - 1) / k_block;
  const std::size_t k_step = (s.k + 2 * blocks - 1) / (2 * blocks) * 2;
  for (std::size_t start = 0; start < s.k; start += k_step) {
    const std::size_t stop = smaller(s.k, start + k_step);
    V odd(0.0f);
    std::size_t i = start;
    for (; i + 2 <= stop; i += 2) {
      even = fma(V(s.x[i]), V::load(s.w + i * kLane), even);
      odd = fma(V(s.x[i + 1]), V::load(s.w + (i + 1) * kLane), odd);
    }
    if (i < stop) even = fma(V(s.x[i]), V::load(s.w + i * kLane), even);
    even = even + odd;
  }
  max(V(s.floor), even).store(s.y);
}

// `vectors` of a panel from its column j on.
FASTREG_INLINE void multiply_panel(Strip s) {
  const std::size_t vectors = s.width / V::kLanes;
  std::size_t v = 0;
  for (; v + kStripVectors <= vectors; v += kStripVectors) {
    multiply_strip<1, kStripVectors>(s);
    s.w += kStripVectors * V::kLanes;
    s.bias += kStripVectors * V::kLanes;
    s.y += kStripVectors * V::kLanes;
  }
  if constexpr (V::kLanes == kLane) {
    switch (vectors - v) {
      case 1:
        return multiply_vector(s);
      case 2:
        return multiply_strip<1, 2>(s);
      case 3:
        return multiply_strip<1, 3>(s);
      default:
        return;
    }
  } else {
    constexpr std::size_t kLeast = kLane / V::kLanes;
    for (; v < vectors; v += kLeast) {
      multiply_strip<1, kLeast>(s);
      s.w += kLane;
      s.bias += kLane;
      s.y += kLane;
    }
  }
}

// y = activation(x W + bias) of one row, cols > 1; softmax is left to the caller.
FASTREG_NOINLINE void multiply_row(const InferenceStep& step, const float* x, float* y, bool reversed) {
  const std::size_t ld = rounded(step.cols), panels = (ld + kPanel - 1) / kPanel;
  const std::size_t groups = step.k <= kShortPanel ? ld / kPanel / kStripPanels : 0;
  const std::size_t whole = groups * kStripPanels, units = groups + (panels - whole);
  for (std::size_t n = 0; n < units; ++n) {
    const std::size_t unit = reversed ? units - 1 - n : n;
    const std::size_t panel = unit < groups ? unit * kStripPanels : whole + (unit - groups);
    const std::size_t j = panel * kPanel;
    const Strip s{x,
                  step.k,
                  step.w + j * step.k,
                  smaller(kPanel, ld - j),
                  kPanel * step.k,
                  step.bias ? step.bias + j : kNoBias,
                  y + j,
                  step.activation == ActivationKind::relu ? 0.0f : -__builtin_inff()};
    if (kStripPanels > 1 && unit < groups) {
      multiply_strip<kStripPanels, kStripVectors>(s);
    } else {
      multiply_panel(s);
    }
  }
  if (step.activation == ActivationKind::relu || step.activation == ActivationKind::softmax) return;
  activation_forward(step.activation, y, y, ld);
}

// z = x W + bias for a single column, any stride of x: dot products with two sums each, four rows at a time. What lies
// behind the columns of x is masked out: it may be another array, or infinite.
FASTREG_NOINLINE void multiply_column(const InferenceStep& step, const float* x, std::size_t ldx, float* y,
                                      std::size_t rows) {
  const float bias = step.bias ? step.bias[0] : 0.0f;
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

FASTREG_INLINE void infer_step(const InferenceStep& step, const float* x, std::size_t ldx, float* y, std::size_t ldy,
                               std::size_t rows, bool reversed) {
  const bool softmax = step.activation == ActivationKind::softmax;
  const ActivationKind joined = softmax ? ActivationKind::linear : step.activation;
  if (step.w && ldy > 1 && rows == 1) {
    multiply_row(step, x, y, reversed);
  } else if (step.w && ldy > 1) {
    const std::size_t panels = (ldy + kPanel - 1) / kPanel;
    matmul({x, ldx, step.w, step.bias, y, nullptr, ldy, step.k, step.cols, joined, {0, rows}, {0, panels}});
  } else {
    if (step.w) {
      multiply_column(step, x, ldx, y, rows);
    } else if (ldy == 1) {
      scale_rows<V1>(step, x, ldx, y, ldy, rows);
    } else {
      scale_rows<V>(step, x, ldx, y, ldy, rows);
    }
    activation_forward(joined, y, y, rows * ldy);
  }
  if (!softmax) return;
  // Along the rows, even where they are short: a single row is worth more here than sixteen at a time.
  const Softmax whole{step.cols, ldy, y, y, nullptr, nullptr, {0, rows}};
  if (ldy == 1) {
    softmax_rows<V1>(whole);
  } else {
    softmax_rows<V>(whole);
  }
}

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

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
