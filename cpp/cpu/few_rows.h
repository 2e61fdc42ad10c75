// dx for a few rows: dx_i is the dot product of dy and row i of W. W is read once, in the layout that it has. This
// avoids transposing W, which costs as much as the product of eight rows; the price is that the lanes of each dot
// product must be added up at the end.
//
// The order in which an element's terms are added depends on the shapes of W and dy alone, not on the rows that a call
// asks for: along the columns of a group of panels in each lane, then across the lanes, then from group to group.
#pragma once
#include "core/kernels.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

constexpr std::size_t kDotRows = 8;
// How many panels are read side by side: each is a stream of memory, and the hardware prefetcher can follow this many.
// With one row, loading W is the bottleneck; if W exceeds the L1 cache, reading two panels at once is faster.
constexpr std::size_t kDotPanels = 8, kDotPanelsOfRow = 2;
constexpr std::size_t kNearWeights = std::size_t{16} << 10;   // floats of W from which two panels are read at once
// The number of inputs computed at once beside R rows of dy: the power of two whose sums fit into the registers.
template <std::size_t R>
constexpr std::size_t kDotInputs = kRegisters == 32 ? (R == 1 ? 8 : R <= 5 ? 4 : 2) : (R <= 2 ? 4 : R <= 6 ? 2 : 1);
// The size of W, in floats, from which it does not stay in the L2 cache and is therefore prefetched.
constexpr std::size_t kFarWeights = std::size_t{384} << 10;

// A group of columns of W, `width` of them from the pointer on, with the matching columns of dy and the rows of dx.
struct Dots {
  const float *w, *dy;
  float* dx;
  std::size_t width, in, lddy, lddx, fetched;   // W is prefetched up to input `fetched`
  bool first;                                   // the group overwrites dx, else it adds to dx
};

// acc[q][r] += (a vector of row q of a panel that is W floats wide) * (a vector of row r of dy). The shorter of the two
// columns of vectors stays in registers, and the other one passes by. Without in_register, GCC reads a vector again for
// each product, and the loads become the bottleneck; it is left out where there are too few registers.
template <std::size_t W, std::size_t I, std::size_t R>
FASTREG_INLINE void dot_step(V (&acc)[I][R], const float* w, const float* dy, std::size_t lddy) {
  if constexpr (R > 1 && R < I) {
    V dyv[R];
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) dyv[r] = in_register(V::load(dy + r * lddy));
    FASTREG_UNROLL
    for (std::size_t q = 0; q < I; ++q) {
      const V wv = in_register(V::load(w + q * W));
      FASTREG_UNROLL
      for (std::size_t r = 0; r < R; ++r) acc[q][r] = fma(wv, dyv[r], acc[q][r]);
    }
  } else {
    V wv[I];
    FASTREG_UNROLL
    for (std::size_t q = 0; q < I; ++q) {
      wv[q] = V::load(w + q * W);
      if constexpr (R > 1 && kRegisters == 32) wv[q] = in_register(wv[q]);
    }
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      V dyv = V::load(dy + r * lddy);
      if constexpr (I > 1 && R > 1) dyv = in_register(dyv);
      FASTREG_UNROLL
      for (std::size_t q = 0; q < I; ++q) acc[q][r] = fma(wv[q], dyv, acc[q][r]);
    }
  }
}

// The same for all columns of the panel. All strides are constants, so that one register is enough to address W. An
// unrolled loop needs a register for each load, which are free only where there are few sums; elsewhere the asm hides
// the length of the loop, so that GCC does not unroll it.
template <std::size_t W, std::size_t I, std::size_t R>
FASTREG_INLINE void dot_panel(V (&acc)[I][R], const float* w, const float* dy, std::size_t lddy) {
  if constexpr (V::kLanes == kLane && R == 1) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < W; v += V::kLanes) dot_step<W>(acc, w + v, dy + v, lddy);
  } else {
    std::size_t left = W;
    asm("" : "+r"(left));
    for (; left; left -= V::kLanes, w += V::kLanes, dy += V::kLanes) {
      asm("" : "+r"(w));   // else GCC keeps vectors of W that it takes for those of a later turn of the loop
      dot_step<W>(acc, w, dy, lddy);
    }
  }
}

// acc = the dot products of R rows of dy with rows [i, i + I) of W, before their lanes are added up.
template <std::size_t I, std::size_t R>
FASTREG_INLINE void dot_lanes(V (&acc)[I][R], const Dots& d, std::size_t i) {
  FASTREG_UNROLL
  for (std::size_t q = 0; q < I; ++q) {
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) acc[q][r] = V(0.0f);
  }
  const std::size_t lddy = d.lddy, panel_floats = d.in * kPanel;
  const float *w = d.w, *dy = d.dy;
  std::size_t left = d.width;
  for (; left >= kPanel; left -= kPanel, w += panel_floats, dy += kPanel) {
    asm("" : "+r"(left), "+r"(w));   // else GCC unrolls this loop and keeps a pointer for each panel
    const float* const rows = w + i * kPanel;
    if (i + kLane + I <= d.fetched) {
      FASTREG_UNROLL
      for (std::size_t f = 0; f < I * kPanel; f += kLane) FASTREG_FETCH(rows + kLane * kPanel + f);
    }
    dot_panel<kPanel>(acc, rows, dy, lddy);
  }
  switch (left) {
    case 16:
      return dot_panel<16>(acc, w + i * 16, dy, lddy);
    case 32:
      return dot_panel<32>(acc, w + i * 32, dy, lddy);
    case 48:
      return dot_panel<48>(acc, w + i * 48, dy, lddy);
    default:
      return;
  }
}

FASTREG_INLINE void put_sums(const V (&lanes)[V::kLanes], float* dx, bool first) {
  const V sums = sum_each(lanes);
  (first ? sums : V::load(dx) + sums).store(dx);
}

// Adds up the lanes of kLane inputs, which lie in memory, and stores or adds the sums.
FASTREG_NOINLINE void put_all(const float* memory, float* dx, bool first) {
  for (std::size_t l = 0; l < kLane; l += V::kLanes) {
    V lanes[V::kLanes];
    FASTREG_UNROLL
    for (std::size_t k = 0; k < V::kLanes; ++k) lanes[k] = V::load(memory + (l + k) * V::kLanes);
    put_sums(lanes, dx + l, first);
  }
}

// One row and kLane inputs from input i on, whose lanes stay in registers until they are added up.
FASTREG_INLINE void dot_row_inputs(const Dots& d, std::size_t i) {
  constexpr std::size_t I = kDotInputs<1>, kTogether = I < V::kLanes ? V::kLanes : I;   // multiples of each other
  for (std::size_t q = 0; q < kLane; q += kTogether) {
    V lanes[kTogether];
    FASTREG_UNROLL
    for (std::size_t k = 0; k < kTogether; k += I) {
      V acc[I][1];
      dot_lanes(acc, d, i + q + k);
      FASTREG_UNROLL
      for (std::size_t l = 0; l < I; ++l) lanes[k + l] = acc[l][0];
    }
    FASTREG_UNROLL
    for (std::size_t k = 0; k < kTogether; k += V::kLanes) {
      V some[V::kLanes];
      FASTREG_UNROLL
      for (std::size_t l = 0; l < V::kLanes; ++l) some[l] = lanes[k + l];
      put_sums(some, d.dx + i + q + k, d.first);
    }
  }
}

// How many inputs of R rows one call of sum_each adds up, so that the sums of each row lie side by side. Short vectors
// have room for too few: there the way through memory is as fast.
template <std::size_t R>
constexpr std::size_t kSummedInputs = V::kLanes / (R <= 2 ? 2 : R <= 4 ? 4 : 8);
template <std::size_t R>
constexpr bool kSumsInRegisters = kSummedInputs<R> >= (V::kLanes == kLane ? 2 : 4);

// The same for R rows. Some of the sums may belong to no row.
template <std::size_t R>
FASTREG_INLINE void dot_rows_inputs(const Dots& d, std::size_t i) {
  constexpr std::size_t I = kSummedInputs<R>;
  for (std::size_t q = 0; q < kLane; q += I) {
    V acc[I][R], lanes[V::kLanes];
    dot_lanes(acc, d, i + q);
    FASTREG_UNROLL
    for (std::size_t l = 0; l < V::kLanes; ++l) lanes[l] = l / I < R ? acc[l % I][l / I % R] : V(0.0f);
    alignas(64) float sums[V::kLanes];
    sum_each(lanes).store(sums);
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      float* const dx = d.dx + r * d.lddx + i + q;
      FASTREG_UNROLL
      for (std::size_t k = 0; k < I; ++k) dx[k] = d.first ? sums[r * I + k] : dx[k] + sums[r * I + k];
    }
  }
}

// Computes kLane inputs from input i on; fewer may exist. The lanes of inputs that are not computed together are
// collected in memory where they do not stay in registers.
template <std::size_t R>
FASTREG_INLINE void dot_inputs(const Dots& d, std::size_t i, float* memory) {
  constexpr std::size_t I = kDotInputs<R>;
  const std::size_t inputs = smaller(kLane, d.in - i);
  if (inputs == kLane) {
    if constexpr (R == 1) return dot_row_inputs(d, i);
    if constexpr (kSumsInRegisters<R>) return dot_rows_inputs<R>(d, i);
  }
  const auto compute = [&]<std::size_t N>(std::size_t q) FASTREG_LAMBDA {
    V acc[N][R];
    dot_lanes(acc, d, i + q);
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      FASTREG_UNROLL
      for (std::size_t k = 0; k < N; ++k) acc[k][r].store(memory + (r * kLane + q + k) * V::kLanes);
    }
  };
  std::size_t q = 0;
  for (; q + I <= inputs; q += I) compute.template operator()<I>(q);
  if constexpr (I > 1) {
    for (; q < inputs; ++q) compute.template operator()<1>(q);
  }
  for (; q < kLane; ++q) {
    for (std::size_t r = 0; r < R; ++r) V(0.0f).store(memory + (r * kLane + q) * V::kLanes);
  }
  for (std::size_t r = 0; r < R; ++r) put_all(memory + r * kLane * V::kLanes, d.dx + r * d.lddx + i, d.first);
}

template <std::size_t R>
FASTREG_NOINLINE void dot_rows(const MatmulInput& m) {
  alignas(64) float memory[R * kLane * V::kLanes];
  const std::size_t row = m.rows.begin, end = smaller(m.lddx, m.panels.end * kPanel);
  const std::size_t floats = m.in * m.lddy;
  const std::size_t group = (m.n == 1 && floats >= kNearWeights ? kDotPanelsOfRow : kDotPanels) * kPanel;
  for (std::size_t j = 0; j < m.lddy; j += group) {
    Dots d;
    d.w = m.w + j * m.in;
    d.dy = m.dy + row * m.lddy + j;
    d.dx = m.dx + row * m.lddx;
    d.width = smaller(group, m.lddy - j);
    d.in = m.in;
    d.lddy = m.lddy;
    d.lddx = m.lddx;
    d.first = j == 0;
    d.fetched = floats >= kFarWeights ? smaller(m.in, end) : 0;   // what follows may be another member's to update
    for (std::size_t i = m.panels.begin * kPanel; i < end; i += kLane) dot_inputs<R>(d, i, memory);
  }
}

// Whether a whole dx of n rows is computed by dot products: they must be long enough for adding up lanes to pay.
FASTREG_INLINE bool prefers_dots(std::size_t n, std::size_t cols) {
  return n == 1 || (n <= kDotRows && (cols >= n * V::kLanes || rounded(cols) >= 6 * kLane));
}

// For one row of dy that is a single vector: each product is one vector, whose lanes are added up for V::kLanes inputs
// at a time.
FASTREG_NOINLINE void dot_vector(const MatmulInput& m) {
  const V dy = V::load(m.dy);
  const std::size_t end = smaller(m.in, m.panels.end * kPanel);
  for (std::size_t i = m.panels.begin * kPanel; i < end; i += V::kLanes) {
    V lanes[V::kLanes];
    FASTREG_UNROLL
    for (std::size_t l = 0; l < V::kLanes; ++l) lanes[l] = fma(V::load(m.w + (i + l) * V::kLanes), dy, V(0.0f));
    sum_each(lanes).store(m.dx + i);
  }
}

// Computes the rows of dx that the call asks for, at most kDotRows.
template <std::size_t R = 1>
FASTREG_INLINE void input_dots(const MatmulInput& m) {
  if constexpr (R == 1 && V::kLanes == kLane) {
    if (m.n == 1 && m.lddy == kLane && m.in % kLane == 0) return dot_vector(m);
  }
  if constexpr (R < kDotRows) {
    if (m.rows.end - m.rows.begin > R) return input_dots<R + 1>(m);
  }
  dot_rows<R>(m);
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
