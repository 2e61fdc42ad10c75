// One row of a product: a vector times panels, bound by how fast W arrives. It is read once, front to back, with at least
// kChains sums under way. The additions of an element have the order of the tiles (tiles.h), so that a row gives the
// same bits alone and among others.
//
//   x (k), W panels (k, cols), y (ld): z = x W + bias of one row
#pragma once
#include "core/kernels.h"
#include "cpu/elementwise.h"
#include "cpu/simd/simd.h"
#include "cpu/tiles.h"

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
static_assert(kStripPanels * kPanel * sizeof(float) <= sizeof(kZeros));

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

// y[panels] = x W + bias, or relu of it; ld > 1 is y's padded width, bias may be null. reversed: from the last panel to
// the first.
struct OneRow {
  const float* x;
  std::size_t k;
  const float *w, *bias;
  float* y;
  std::size_t ld;
  Range panels;
  bool relu, reversed;
};

FASTREG_NOINLINE void multiply_row(const OneRow& r) {
  const std::size_t count = r.panels.end - r.panels.begin, full = smaller(r.panels.end, r.ld / kPanel);
  const std::size_t groups =
      r.k <= kShortPanel && full > r.panels.begin ? (full - r.panels.begin) / kStripPanels : 0;
  const std::size_t grouped = groups * kStripPanels, units = groups + (count - grouped);
  for (std::size_t n = 0; n < units; ++n) {
    const std::size_t unit = r.reversed ? units - 1 - n : n;
    const std::size_t panel = unit < groups ? unit * kStripPanels : grouped + (unit - groups);
    const std::size_t j = (r.panels.begin + panel) * kPanel;
    const Strip s{r.x,
                  r.k,
                  r.w + j * r.k,
                  smaller(kPanel, r.ld - j),
                  kPanel * r.k,
                  r.bias ? r.bias + j : kZeros,
                  r.y + j,
                  r.relu ? 0.0f : -__builtin_inff()};
    if (kStripPanels > 1 && unit < groups) {
      multiply_strip<kStripPanels, kStripVectors>(s);
    } else {
      multiply_panel(s);
    }
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
