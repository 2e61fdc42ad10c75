// The product of one row: a vector times the panels of W. Its speed is bound by reading W, which is read once, front to
// back; where panels are short, several are read at once, so that at least kChains sums are being added to. Each
// element is summed in the order of the tiles (tiles.h), so a row has the same bits alone and in a batch.
//
//   x (k), W in panels (k, cols), y (ld): z = x W + bias for one row
#pragma once
#include "core/kernels.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"
#include "cpu/tiles.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// The number of independent sums that hides the latency of fma: it takes 4 cycles, and 2 start in each cycle.
constexpr std::size_t kChains = 8;
constexpr std::size_t kPanelVectors = kPanel / V::kLanes;
// How many vectors of a panel a strip takes, and how many panels where they are short. One long panel is enough to read
// at the speed of the L2 cache; and where a network hardly fits into L2, visiting it in reverse works best in small
// units.
constexpr std::size_t kStripVectors = kPanelVectors < kChains || kRegisters == 32 ? kPanelVectors : kChains;
constexpr std::size_t kStripPanels = kStripVectors < kChains ? kChains / kStripVectors : 1;
constexpr std::size_t kShortPanel = 128;   // rows of the longest panel that counts as short, which is 32 KB
static_assert(kStripPanels * kPanel * sizeof(float) <= sizeof(kZeros));

// The functions below take their arguments in registers, not in a struct: where the compiler loads two fields of a
// struct that was just written at once, the processor stalls, and a row of a small layer takes no longer than ten such
// stalls.

// y = max(floor, x W + bias) for NV vectors of columns in each of NP panels. Rows of w are `width` floats apart.
template <std::size_t NP, std::size_t NV>
FASTREG_NOINLINE void multiply_strip(const float* x, std::size_t k, const float* w, std::size_t width,
                                     const float* bias, float* y, float floor) {
  V acc[NP][NV];
  FASTREG_UNROLL
  for (std::size_t p = 0; p < NP; ++p) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) acc[p][v] = V::load(bias + p * kPanel + v * V::kLanes);
  }
  const std::size_t panel_floats = k * kPanel;
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
  FASTREG_UNROLL
  for (std::size_t p = 0; p < NP; ++p) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) max(V(floor), acc[p][v]).store(y + p * kPanel + v * V::kLanes);
  }
}

// For a last panel that is one vector wide: two chains and the same blocks of k as in the tiles (kChains in tiles.h).
FASTREG_NOINLINE void multiply_vector(const float* x, std::size_t k, const float* w, const float* bias, float* y,
                                      float floor) {
  V even = V::load(bias);
  std::size_t k_step = k;
  if (k >= 1024) {
    const std::size_t blocks = (k + 511) / 512;
    k_step = (k + 2 * blocks - 1) / (2 * blocks) * 2;
  }
  for (std::size_t start = 0; start < k; start += k_step) {
    const std::size_t stop = smaller(k, start + k_step);
    V odd(0.0f);
    std::size_t i = start;
    for (; i + 2 <= stop; i += 2) {
      even = fma(V(x[i]), V::load(w + i * kLane), even);
      odd = fma(V(x[i + 1]), V::load(w + (i + 1) * kLane), odd);
    }
    if (i < stop) even = fma(V(x[i]), V::load(w + i * kLane), even);
    even = even + odd;
  }
  max(V(floor), even).store(y);
}

// The product with one panel, which is `width` floats wide.
FASTREG_INLINE void multiply_panel(const float* x, std::size_t k, const float* w, std::size_t width, const float* bias,
                                   float* y, float floor) {
  const std::size_t vectors = width / V::kLanes;
  std::size_t v = 0;
  for (; v + kStripVectors <= vectors; v += kStripVectors) {
    const std::size_t j = v * V::kLanes;
    multiply_strip<1, kStripVectors>(x, k, w + j, width, bias + j, y + j, floor);
  }
  const std::size_t j = v * V::kLanes;
  if constexpr (V::kLanes == kLane) {
    switch (vectors - v) {
      case 1:
        return multiply_vector(x, k, w + j, bias + j, y + j, floor);
      case 2:
        return multiply_strip<1, 2>(x, k, w + j, width, bias + j, y + j, floor);
      case 3:
        return multiply_strip<1, 3>(x, k, w + j, width, bias + j, y + j, floor);
      default:
        return;
    }
  } else {
    for (std::size_t c = j; c < width; c += kLane) {
      multiply_strip<1, kLane / V::kLanes>(x, k, w + c, width, bias + c, y + c, floor);
    }
  }
}

// y[panels] = x W + bias, or relu of that. ld > 1 is the padded width of y; bias may be null. reversed: the panels are
// visited from the last to the first.
struct OneRow {
  const float* x;
  std::size_t k;
  const float *w, *bias;
  float* y;
  std::size_t ld;
  Range panels;
  bool relu, reversed;
};

FASTREG_INLINE void multiply_row(const OneRow& r) {
  const std::size_t count = r.panels.end - r.panels.begin, full = smaller(r.panels.end, r.ld / kPanel);
  const std::size_t groups =
      r.k <= kShortPanel && full > r.panels.begin ? (full - r.panels.begin) / kStripPanels : 0;
  const std::size_t grouped = groups * kStripPanels, units = groups + (count - grouped);
  const float floor = r.relu ? 0.0f : -__builtin_inff();
  for (std::size_t n = 0; n < units; ++n) {
    const std::size_t unit = r.reversed ? units - 1 - n : n;
    const std::size_t panel = unit < groups ? unit * kStripPanels : grouped + (unit - groups);
    const std::size_t j = (r.panels.begin + panel) * kPanel, width = smaller(kPanel, r.ld - j);
    const float* const bias = r.bias ? r.bias + j : kZeros;
    if (kStripPanels > 1 && unit < groups) {
      multiply_strip<kStripPanels, kStripVectors>(r.x, r.k, r.w + j * r.k, kPanel, bias, r.y + j, floor);
    } else {
      multiply_panel(r.x, r.k, r.w + j * r.k, width, bias, r.y + j, floor);
    }
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
