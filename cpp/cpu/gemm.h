// Matrix products over panels. Nothing is packed: a tile of R rows and NV vectors of columns is held in registers while
// k runs; x is read by broadcast and W, or dy, by vector.
//
//   a  (rows, k)  x of matmul, or x^T of matmul_weights      b  (k, 64)  a panel of W, or 64 columns of dy
//   c  (rows, 64) what is written
//
// The value of an element is one chain of fma over k that starts from the bias, whatever tile computes it. The partial
// sums of a blocked k wait in c. A panel of a single vector has two chains, of even and odd k, added at the end of a
// block: one is too short to hide the latency of fma. Blocks depend on k alone.
#pragma once
#include <cassert>

#include "core/kernels.h"
#include "cpu/elementwise.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

alignas(64) constexpr float kZeros[kPanel] = {};

// Row i starts from init + i init_stride; what is stored is max(floor, sum), which keeps NaN.
struct Tile {
  const float* a;
  std::size_t a_stride;
  const float* b;
  std::size_t b_stride, k;
  const float* init;
  std::size_t init_stride;
  float* c;
  std::size_t c_stride;
  float floor;
};

// The column k of a: a(i, k) is a[i stride + k] for kByRow, else a[k stride + i]. By row, one pointer serves three
// rows, base + {0, 1, 2} stride being addresses that an instruction can form; left alone, GCC keeps one for each row
// and moves them to and fro. The empty asm hides how the pointers hang together.
template <std::size_t R, bool kByRow>
struct Column {
  static constexpr std::size_t kPointers = kByRow ? (R + 2) / 3 : 1;
  const float* base[kPointers];
  std::size_t stride;

  FASTREG_INLINE Column(const float* a, std::size_t a_stride) : stride(a_stride) {
    FASTREG_UNROLL
    for (std::size_t i = 0; i < kPointers; ++i) base[i] = a + 3 * i * a_stride;
  }
  FASTREG_INLINE void advance(std::size_t columns) {
    FASTREG_UNROLL
    for (std::size_t i = 0; i < kPointers; ++i) {
      base[i] += kByRow ? columns : columns * stride;
      asm("" : "+r"(base[i]));
    }
  }
  // Row r of the column `ahead` of this one.
  FASTREG_INLINE V at(std::size_t r, std::size_t ahead) const {
    return kByRow ? V(base[r / 3][r % 3 * stride + ahead]) : V(base[0][ahead * stride + r]);
  }
};

template <std::size_t R, std::size_t NV, bool kByRow>
FASTREG_INLINE void accumulate(V (&acc)[R][NV], const Column<R, kByRow>& a, std::size_t ahead, const float* b) {
  V bv[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) bv[v] = V::load(b + v * V::kLanes);
  FASTREG_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    const V av = a.at(r, ahead);
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) acc[r][v] = fma(av, bv[v], acc[r][v]);
  }
}

template <std::size_t R, std::size_t NV, std::size_t kChains, bool kByRow>
FASTREG_NOINLINE void run_tile(const Tile& t) {
  V acc[R][NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) acc[0][v] = V::load(t.init + v * V::kLanes);
  FASTREG_UNROLL
  for (std::size_t r = 1; r < R; ++r) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) acc[r][v] = acc[0][v];
  }
  if (t.init_stride != 0) {
    FASTREG_UNROLL
    for (std::size_t r = 1; r < R; ++r) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) acc[r][v] = V::load(t.init + r * t.init_stride + v * V::kLanes);
    }
  }
  Column<R, kByRow> a(t.a, t.a_stride);
  const float* b = t.b;
  const std::size_t b_stride = t.b_stride;
  std::size_t k = t.k;
  if constexpr (kChains == 2) {
    V odd[R][NV];
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) odd[r][v] = V(0.0f);
    }
    for (; k >= 2; k -= 2, b += 2 * b_stride) {
      accumulate(acc, a, 0, b);
      accumulate(odd, a, 1, b + b_stride);
      a.advance(2);
    }
    if (k) accumulate(acc, a, 0, b);
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) acc[r][v] = acc[r][v] + odd[r][v];
    }
  } else {
    for (; k; --k, b += b_stride) {
      accumulate(acc, a, 0, b);
      a.advance(1);
    }
  }
  const V floor(t.floor);
  FASTREG_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) max(floor, acc[r][v]).store(t.c + r * t.c_stride + v * V::kLanes);
  }
}

using TileFunction = void (*)(const Tile&);

// run_tile for 1 to kMaxRows rows.
template <std::size_t kMaxRows, std::size_t NV, std::size_t kChains, bool kByRow>
struct TileTable {
  TileFunction rows[kMaxRows + 1] = {};
  constexpr TileTable() { fill<1>(); }
  template <std::size_t R>
  constexpr void fill() {
    rows[R] = run_tile<R, NV, kChains, kByRow>;
    if constexpr (R < kMaxRows) fill<R + 1>();
  }
};
template <std::size_t kMaxRows, std::size_t NV, std::size_t kChains, bool kByRow>
constexpr TileTable<kMaxRows, NV, kChains, kByRow> kTiles;

// The tile for a strip of columns: how many vectors wide, how many rows at most, and its functions by rows.
struct TileChoice {
  std::size_t vectors, max_rows;
  const TileFunction* rows;
};

template <std::size_t kMaxRows, std::size_t NV, std::size_t kChains, bool kByRow>
FASTREG_INLINE TileChoice tile_choice() {
  return {NV, kMaxRows, kTiles<kMaxRows, NV, kChains, kByRow>.rows};
}

// For what is left of a panel, `vectors` wide, and this many rows. The number of chains follows from the panel alone.
template <bool kByRow>
FASTREG_INLINE TileChoice choose_tile(std::size_t vectors, std::size_t rows) {
  if constexpr (V::kLanes == kLane) {
    switch (vectors) {
      case 1:
        return tile_choice<8, 1, 2, kByRow>();
      case 2:
        return tile_choice<12, 2, 1, kByRow>();
      case 3:
        return tile_choice<8, 3, 1, kByRow>();
      default:
        return tile_choice<6, 4, 1, kByRow>();
    }
  } else if constexpr (kRegisters == 32) {
    return tile_choice<6, 4, 1, kByRow>();
  } else {
    return rows < 4 && vectors >= 4 ? tile_choice<3, 4, 1, kByRow>() : tile_choice<6, 2, 1, kByRow>();
  }
}

// One panel of c. After the last block of k the activation follows, from z to y, while the tile is in cache.
struct Panel {
  const float* a;
  std::size_t a_stride;
  const float* b;
  std::size_t b_stride;
  float* c;
  std::size_t c_stride, rows, width, k, k_block;
  const float* bias;
  float floor;
  bool activate;
  ActivationKind activation;
  float* y;
};

template <bool kByRow>
FASTREG_INLINE void run_strip(const Panel& p, std::size_t j, const TileChoice& choice) {
  const std::size_t tiles = (p.rows + choice.max_rows - 1) / choice.max_rows;
  const std::size_t least = p.rows / tiles, taller = p.rows % tiles;
  const std::size_t blocks = p.k == 0 ? 1 : (p.k + p.k_block - 1) / p.k_block;
  const std::size_t k_step = (p.k + 2 * blocks - 1) / (2 * blocks) * 2;
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t k = block * k_step;
    const bool first = block == 0, last = block + 1 == blocks;
    Tile t{};
    t.a_stride = p.a_stride;
    t.b = p.b + k * p.b_stride + j;
    t.b_stride = p.b_stride;
    t.k = last ? p.k - k : k_step;
    t.c_stride = p.c_stride;
    t.init_stride = first ? 0 : p.c_stride;
    t.floor = last ? p.floor : -__builtin_inff();
    std::size_t i = 0;
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      const std::size_t height = least + (tile < taller);
      t.a = kByRow ? p.a + i * p.a_stride + k : p.a + k * p.a_stride + i;
      t.c = p.c + i * p.c_stride + j;
      t.init = !first ? t.c : p.bias ? p.bias + j : kZeros;
      choice.rows[height](t);
      if (last && p.activate) {
        activate_block(p.activation, t.c, p.y + i * p.c_stride + j, p.c_stride, height, choice.vectors * V::kLanes);
      }
      i += height;
    }
  }
}

template <bool kByRow>
FASTREG_NOINLINE void run_panel(const Panel& p) {
  if (p.rows == 0) return;
  std::size_t vectors = 0;
  for (std::size_t j = 0; j < p.width; j += vectors * V::kLanes) {
    const TileChoice choice = choose_tile<kByRow>((p.width - j) / V::kLanes, p.rows);
    vectors = choice.vectors;
    run_strip<kByRow>(p, j, choice);
  }
}

// Floats in a row of panel p of a matrix with this many columns.
FASTREG_INLINE std::size_t panel_width(std::size_t cols, std::size_t p) {
  return smaller(kPanel, rounded(cols) - p * kPanel);
}

// y = x w + bias for a single column: dot products over k, four rows at a time and two sums for each, in an order that
// k alone decides. Where k is 1 too, x is contiguous.
FASTREG_NOINLINE void matmul_column(const Matmul& m, float* y) {
  const float bias = m.bias ? m.bias[0] : 0.0f;
  if (m.ldx == 1) {
    for (std::size_t i = m.rows.begin; i < m.rows.end; i += V::kLanes) {
      const std::size_t n = m.rows.end - i;
      fma(V::load_first(m.x + i, n), V(m.w[0]), V(bias)).store_first(y + i, n);
    }
    return;
  }
  const std::size_t k = rounded(m.k);
  for (std::size_t i = m.rows.begin; i < m.rows.end; i += 4) {
    const std::size_t last = m.rows.end - 1;
    const float* x[4];
    V even[4], odd[4];
    for (std::size_t r = 0; r < 4; ++r) {
      x[r] = m.x + smaller(i + r, last) * m.ldx;
      even[r] = V(0.0f);
      odd[r] = V(0.0f);
    }
    std::size_t j = 0;
    for (; j + 2 * V::kLanes <= k; j += 2 * V::kLanes) {
      const V w0 = V::load(m.w + j), w1 = V::load(m.w + j + V::kLanes);
      FASTREG_UNROLL
      for (std::size_t r = 0; r < 4; ++r) {
        even[r] = fma(V::load(x[r] + j), w0, even[r]);
        odd[r] = fma(V::load(x[r] + j + V::kLanes), w1, odd[r]);
      }
    }
    if (j < k) {
      const V w0 = V::load(m.w + j);
      FASTREG_UNROLL
      for (std::size_t r = 0; r < 4; ++r) even[r] = fma(V::load(x[r] + j), w0, even[r]);
    }
    for (std::size_t r = 0; r < 4 && i + r < m.rows.end; ++r) y[i + r] = sum(even[r] + odd[r]) + bias;
  }
}

void matmul(const Matmul& m) noexcept {
  assert(m.activation != ActivationKind::softmax);
  if (m.rows.end <= m.rows.begin || m.panels.end <= m.panels.begin) return;
  float* const first = m.z ? m.z : m.y;
  const bool fused = m.activation == ActivationKind::linear || m.activation == ActivationKind::relu;
  const bool activate = m.z != nullptr || !fused;
  if (m.ldy == 1) {
    matmul_column(m, first);
    const std::size_t i = m.rows.begin;
    return activation_forward(m.activation, first + i, m.y + i, m.rows.end - i);
  }
  Panel p{};
  p.a = m.x + m.rows.begin * m.ldx;
  p.a_stride = m.ldx;
  p.c_stride = m.ldy;
  p.rows = m.rows.end - m.rows.begin;
  p.k = m.k;
  p.k_block = m.k < 1024 ? 1024 : 512;
  p.floor = m.activation == ActivationKind::relu && !activate ? 0.0f : -__builtin_inff();
  p.activate = activate;
  p.activation = m.activation;
  for (std::size_t panel = m.panels.begin; panel < m.panels.end; ++panel) {
    const std::size_t j = panel * kPanel;
    p.width = panel_width(m.cols, panel);
    p.b = m.w + j * m.k;
    p.b_stride = p.width;
    p.c = first + m.rows.begin * m.ldy + j;
    p.y = m.y + m.rows.begin * m.ldy + j;
    p.bias = m.bias ? m.bias + j : nullptr;
    run_panel<true>(p);
  }
}

// dw of a single column. With several inputs it is a sum of rows of x, vectorised over inputs; with one, a dot product.
FASTREG_NOINLINE void matmul_weights_column(const MatmulWeights& m) {
  if (m.ldx == 1) {
    V total(0.0f);
    for (std::size_t r = 0; r < m.n; r += V::kLanes) {
      total = fma(V::load_first(m.x + r, m.n - r), V::load_first(m.dy + r, m.n - r), total);
    }
    m.dw[0] = sum(total);
    return;
  }
  for_strips({m.rows.begin, rounded(m.rows.end)}, [&m](std::size_t i, auto width) {
    constexpr std::size_t NV = decltype(width)::kVectors;
    V acc[NV];
    for (std::size_t v = 0; v < NV; ++v) acc[v] = V(0.0f);
    for (std::size_t r = 0; r < m.n; ++r) {
      const V dy(m.dy[r]);
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) acc[v] = fma(dy, V::load(m.x + r * m.ldx + i + v * V::kLanes), acc[v]);
    }
    for (std::size_t v = 0; v < NV; ++v) {
      const std::size_t j = i + v * V::kLanes;
      select(V::Mask::first(j < m.in ? m.in - j : 0), acc[v], V(0.0f)).store(m.dw + j);
    }
  });
}

void matmul_weights(const MatmulWeights& m) noexcept {
  if (m.rows.end <= m.rows.begin || m.panels.end <= m.panels.begin) return;
  if (m.lddy == 1) return matmul_weights_column(m);
  Panel p{};
  p.a = m.x + m.rows.begin;
  p.a_stride = m.ldx;
  p.b_stride = m.lddy;
  p.rows = m.rows.end - m.rows.begin;
  p.k = m.n;
  p.k_block = 256;
  p.floor = -__builtin_inff();
  for (std::size_t panel = m.panels.begin; panel < m.panels.end; ++panel) {
    const std::size_t j = panel * kPanel;
    p.width = panel_width(m.cols, panel);
    p.b = m.dy + j;
    p.c_stride = p.width;
    p.c = m.dw + j * m.in + m.rows.begin * p.width;
    run_panel<false>(p);
  }
}

// A square of V::kLanes: `rows` rows of it exist in w, `cols` columns are wanted.
FASTREG_INLINE void transpose_square(const float* w, std::size_t w_stride, float* wt, std::size_t wt_stride,
                                     std::size_t rows, std::size_t cols) {
  V r[V::kLanes];
  if (rows >= V::kLanes && cols >= V::kLanes) {
    FASTREG_UNROLL
    for (std::size_t i = 0; i < V::kLanes; ++i) r[i] = V::load(w + i * w_stride);
    transpose(r);
    FASTREG_UNROLL
    for (std::size_t i = 0; i < V::kLanes; ++i) r[i].store(wt + i * wt_stride);
    return;
  }
  for (std::size_t i = 0; i < V::kLanes; ++i) r[i] = i < rows ? V::load(w + i * w_stride) : V(0.0f);
  transpose(r);
  for (std::size_t i = 0; i < V::kLanes; ++i) {
    if (i < cols) r[i].store(wt + i * wt_stride);
  }
}

void transpose_panels(const TransposePanels& t) noexcept {
  if (t.rows == 1 || t.cols == 1) {
    const std::size_t n = t.rows == 1 ? t.cols : t.rows;
    const std::size_t end = t.rows == 1 ? rounded(n) : smaller(rounded(n), t.panels.end * kPanel);
    const std::size_t begin = t.rows == 1 ? 0 : t.panels.begin * kPanel;
    if (t.panels.end <= t.panels.begin) return;
    for (std::size_t j = begin; j < end; j += V::kLanes) V::load_first(t.w + j, j < n ? n - j : 0).store(t.wt + j);
    return;
  }
  for (std::size_t panel = t.panels.begin; panel < t.panels.end; ++panel) {
    const std::size_t width = panel_width(t.rows, panel);
    float* const wt = t.wt + panel * kPanel * t.cols;
    for (std::size_t c = 0; c < t.cols; c += V::kLanes) {
      const std::size_t w_width = panel_width(t.cols, c / kPanel);
      const float* const w = t.w + c / kPanel * kPanel * t.rows + c % kPanel;
      for (std::size_t j = 0; j < width; j += V::kLanes) {
        const std::size_t row = panel * kPanel + j;
        transpose_square(w + row * w_width, w_width, wt + c * width + j, width, row < t.rows ? t.rows - row : 0,
                         t.cols - c);
      }
    }
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
