// The three matrix products of a dense layer. W and dW are stored in panels (kernels.h). Each product is built from the
// tiles of tiles.h, which compute c += a b:
//
//                              a               b                                     c
//   matmul                     rows of x       a panel of W                          y
//   matmul_input, many rows    rows of dy      a panel of W^T, transposed in blocks  dx
//   matmul_input, 9 to 32 rows rows of W       dy^T                                  dx^T, transposed when it is stored
//   matmul_weights             columns of x    64 columns of dy                      a panel of dW
//   matmul_weights, 16 columns columns of dy   64 columns of x                       dW^T, transposed when it is stored
//
// Four kinds of shapes have code of their own: one row (one_row.h), few rows (few_rows.h, dot products), few units
// (narrow.h), and matrices of one row or one column (dots.h, columns.h).
//
// How k is cut into blocks depends on the shape alone, so that the order of additions does too.
#include <cassert>

#include "core/kernels.h"
#include "cpu/columns.h"
#include "cpu/dots.h"
#include "cpu/few_rows.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/narrow.h"
#include "cpu/one_row.h"
#include "cpu/simd/simd.h"
#include "cpu/tiles.h"
#include "cpu/transposed.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// The width in floats of panel p of a matrix with this many columns.
FASTREG_INLINE std::size_t panel_width(std::size_t cols, std::size_t p) {
  return smaller(kPanel, rounded(cols) - p * kPanel);
}

// The blocks that k is cut into: `count` blocks of `size` each; the last one may be shorter.
struct Blocks {
  std::size_t count, size;
};

// Cuts k into blocks of nearly equal size. The size is at most `most` and a multiple of `grain`.
FASTREG_INLINE Blocks even_blocks(std::size_t k, std::size_t most, std::size_t grain) {
  if (k <= most) return {1, k};
  const std::size_t count = (k + most - 1) / most, pieces = (k + grain - 1) / grain;
  const std::size_t size = (pieces + count - 1) / count * grain;
  return {(k + size - 1) / size, size};
}

// The product of a single row. It gives the same bits as the tiles and has less to prepare.
FASTREG_NOINLINE void matmul_row(const Matmul& m) {
  const bool relu = m.activation == ActivationKind::relu && m.z == nullptr;
  float* const first = (m.z ? m.z : m.y) + m.rows.begin * m.ldy;
  multiply_row({m.x + m.rows.begin * m.ldx, m.k, m.w, m.bias, first, m.ldy, m.panels, relu, false});
  if (m.z == nullptr && (relu || m.activation == ActivationKind::linear)) return;
  const std::size_t j = m.panels.begin * kPanel, end = smaller(m.panels.end * kPanel, m.ldy);
  activation_forward(m.activation, first + j, m.y + m.rows.begin * m.ldy + j, end - j);
}

// Whether a member reads more of W after this block. It fetches nothing else of W (tests/cpp/test_fetches.cpp): other
// lines may be another member's to update, and writing a line that two cores hold takes several times as long.
FASTREG_INLINE bool reads_more(Range panels, std::size_t panel, bool is_last_block) {
  return panel + 1 < panels.end || !is_last_block;
}

// Nothing but a line that the member has read.
FASTREG_INLINE void fetch_nothing(Block& p, const float* own) {
  p.ahead = own;
  p.ahead_stride = p.ahead_tiles = 0;
}

// Lets p, which reads the inputs from i on of the panel of W from column j on, fetch those that come next: the inputs
// below, up to the end of `inputs`, or else the first ones of the next panel.
FASTREG_INLINE void fetch_beside_or_below(const MatmulInput& m, Block& p, Range inputs, std::size_t i, std::size_t j) {
  const bool below = i + kPanel < inputs.end;
  if (!below && j + kPanel >= m.cols) return fetch_nothing(p, p.a);
  const std::size_t width = below ? p.a_stride : panel_width(m.cols, j / kPanel + 1);
  const std::size_t rows = smaller(kPanel, inputs.end - (below ? i + kPanel : inputs.begin));
  p.ahead = below ? p.a + kPanel * width : m.w + (j + kPanel) * m.in + inputs.begin * width;
  p.ahead_stride = p.k * kLane;
  p.ahead_tiles = rows * width / p.ahead_stride;
}

// dx of at most kFewRows rows, as dx^T = W dy^T: W is read by broadcast in the layout that it has, and only the small
// matrices dy and dx are transposed. The loop takes four panels of inputs and kTransposed columns of W at a time.
constexpr std::size_t kFewRows = 32, kTransposed = 256;

FASTREG_NOINLINE void input_few_rows(const MatmulInput& m) {
  constexpr std::size_t kInputs = 4 * kPanel;
  alignas(64) float dyt[kTransposed * kFewRows], dxt[kInputs * kFewRows];
  const std::size_t n = m.rows.end - m.rows.begin;
  const float* const dy = m.dy + m.rows.begin * m.lddy;
  Block p{};
  p.width = p.b_stride = p.c_stride = rounded(n);
  p.c = dxt;
  p.bias = nullptr;
  p.relu = p.activate = p.last = false;
  const std::size_t end = smaller(m.in, m.panels.end * kPanel);
  for (std::size_t i = m.panels.begin * kPanel; i < end; i += kInputs) {
    const std::size_t inputs = smaller(kInputs, end - i);
    for (std::size_t k = 0; k < m.cols; k += kTransposed) {
      const std::size_t depth = smaller(kTransposed, m.cols - k);
      transpose_block(dy + k, n, rounded(depth), m.lddy, dyt, p.width);
      for (std::size_t j = k; j < k + depth; j += kPanel) {
        p.a_stride = panel_width(m.cols, j / kPanel);
        p.k = smaller(kPanel, k + depth - j);
        p.b = dyt + (j - k) * p.width;
        p.first = j == 0;
        for (std::size_t r = 0; r < inputs; r += kPanel) {
          p.a = m.w + j * m.in + (i + r) * p.a_stride;
          p.c = dxt + r * p.width;
          p.rows = smaller(kPanel, inputs - r);
          fetch_beside_or_below(m, p, {i, i + inputs}, i + r, j);
          run_block<true, 1>(p);
        }
      }
    }
    for (std::size_t e = inputs * p.width; e < rounded(inputs) * p.width; e += V::kLanes) V(0.0f).store(dxt + e);
    transpose_columns(dxt, p.width, rounded(inputs), n, m.dx + m.rows.begin * m.lddx + i, m.lddx);
  }
}

// dx of many rows: W is transposed block by block. A block of 32 KiB stays in the L1 cache. Deeper blocks are used
// where reading and writing the partial sums of dx once for each block would cost more than that saves.
constexpr std::size_t kDepthOfInput = 128, kDepthOfWideInput = 512;

FASTREG_NOINLINE void input_many_rows(const MatmulInput& m) {
  assert(m.columns_at_once % kPanel == 0);
  alignas(64) float own[kDepthOfWideInput * kPanel];
  float* const wt = m.transposed ? m.transposed : own;
  const std::size_t most = m.transposed ? m.columns_at_once : m.cols < 1024 ? kDepthOfInput : kDepthOfWideInput;
  Block p{};
  p.a_stride = m.lddy;
  p.b = wt;
  p.b_stride = kPanel;
  p.c_stride = m.lddx;
  p.rows = m.rows.end - m.rows.begin;
  p.bias = nullptr;
  p.relu = p.activate = false;
  const Blocks blocks = even_blocks(m.cols, most, kPanel);
  for (std::size_t panel = m.panels.begin; panel < m.panels.end; ++panel) {
    const std::size_t i = panel * kPanel;
    p.width = panel_width(m.in, panel);
    p.c = m.dx + m.rows.begin * m.lddx + i;
    for (std::size_t block = 0; block < blocks.count; ++block) {
      const std::size_t k = block * blocks.size;
      p.first = block == 0;
      p.last = block + 1 == blocks.count;
      p.k = p.last ? m.cols - k : blocks.size;
      p.a = m.dy + m.rows.begin * m.lddy + k;
      for (std::size_t j = k; j < k + p.k; j += kPanel) {
        const std::size_t width = panel_width(m.cols, j / kPanel);
        transpose_block(m.w + j * m.in + i * width, smaller(kPanel, m.in - i), smaller(width, m.cols - j), width,
                        wt + (j - k) * kPanel, kPanel);
      }
      const std::size_t next = p.last ? 0 : k + p.k, whole = smaller(m.cols - next, blocks.size) / kPanel;
      if (whole > 0 && reads_more(m.panels, panel, p.last)) {   // the whole panels of the next block of W
        const std::size_t inputs = p.last ? i + kPanel : i;
        p.ahead = m.w + next * m.in + inputs * kPanel;
        p.ahead_step = smaller(kLane, smaller(kPanel, m.in - inputs) * kPanel / p.k);
        p.ahead_stride = m.in * kPanel;
        p.ahead_tiles = whole;
      } else {
        fetch_nothing(p, m.w + i * panel_width(m.cols, 0));
      }
      run_block<true, 1>(p);
    }
  }
}

// A panel of dW that is kLane wide. dW^T is computed for 64 inputs at a time and transposed when it is stored.
FASTREG_NOINLINE void weights_transposed(const MatmulWeights& m, std::size_t j) {
  alignas(64) float transposed[kLane * kPanel] = {};
  Block p{};
  p.a = m.dy + j;
  p.a_stride = m.lddy;
  p.b_stride = m.ldx;
  p.k = m.n;
  p.c = transposed;
  p.c_stride = kPanel;
  p.rows = smaller(kLane, m.cols - j);
  p.first = p.last = true;
  p.bias = nullptr;
  p.relu = p.activate = false;
  p.ahead_stride = p.ahead_tiles = 0;
  for (std::size_t i = m.rows.begin; i < m.rows.end; i += kPanel) {
    const std::size_t inputs = smaller(kPanel, m.rows.end - i);
    p.b = p.ahead = m.x + i;
    p.width = rounded(inputs);
    run_block<false, 1>(p);
    transpose_columns(transposed, kPanel, kLane, inputs, m.dw + j * m.in + i * kLane, kLane);
  }
}

constexpr std::size_t kDepth = 128;   // the number of rows of a batch that one block adds up
// Columns of a matrix whose rows are at least kPackedStride floats apart fall into few sets of the cache and evict each
// other. From there on, copying what is read several times pays, provided that dW has at least kPackedRows rows.
constexpr std::size_t kPackedStride = 512, kPackedRows = 192;
// Rows that are at least this many floats apart lie in different pages of memory.
constexpr std::size_t kLongStride = 4096;

FASTREG_NOINLINE void copy_rows(const float* from, std::size_t stride, std::size_t rows, std::size_t width, float* to) {
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < width; j += V::kLanes) V::load(from + i * stride + j).store(to + i * width + j);
  }
}

// Like copy_rows, for rows that are too far apart for the hardware prefetcher: it fetches the columns that the next
// call will read.
FASTREG_NOINLINE void copy_columns(const float* from, std::size_t stride, std::size_t rows, std::size_t width,
                                   float* to) {
  for (std::size_t i = 0; i < rows; ++i, from += stride, to += width) {
    for (std::size_t j = 0; j < width; j += V::kLanes) {
      __builtin_prefetch(from + width + j, 0, 2);
      V::load(from + j).store(to + j);
    }
  }
}

// Computes a block of dW from a copy of x, 48 columns at a time. A panel consists of several strips, and each strip
// reads x again; where rows are very long, every such read would be a cache miss.
FASTREG_NOINLINE void run_packed(Block p) {
  constexpr std::size_t kColumns = 48;
  alignas(64) float packed[kDepth * kColumns];
  const float* const a = p.a;
  float* const c = p.c;
  const std::size_t rows = p.rows, stride = p.a_stride;
  for (std::size_t i = 0; i < rows; i += kColumns) {
    p.rows = smaller(kColumns, rows - i);
    copy_columns(a + i, stride, p.k, rounded(p.rows), packed);
    p.a = packed;
    p.a_stride = rounded(p.rows);
    p.c = c + i * p.c_stride;
    run_block<false, 1>(p);
  }
}

}  // namespace

void matmul(const Matmul& m) noexcept {
  assert(m.activation != ActivationKind::softmax);
  assert(!m.dropout.mask || (m.activation == ActivationKind::relu && m.ldy > 1 && !m.z));
  if (m.rows.end <= m.rows.begin || m.panels.end <= m.panels.begin) return;
  float* const first = m.z ? m.z : m.y;
  const bool fused = m.activation == ActivationKind::linear || m.activation == ActivationKind::relu;
  Block p{};
  p.activate = m.z != nullptr || !fused;
  if (m.ldy == 1) {
    times_column(m.x, m.ldx, m.w, m.k, m.bias ? m.bias[0] : 0.0f, first, m.rows);
    const std::size_t i = m.rows.begin;
    return activation_forward(m.activation, first + i, m.y + i, m.rows.end - i);
  }
  if (m.rows.end - m.rows.begin == 1 && !m.dropout.mask) return matmul_row(m);
  if (m.k == 1 && !m.dropout.mask && !p.activate) return times_row(m);
  p.a_stride = m.ldx;
  p.c_stride = m.ldy;
  p.rows = m.rows.end - m.rows.begin;
  p.relu = m.activation == ActivationKind::relu && !p.activate;
  p.activation = m.activation;
  p.dropout = m.dropout;
  p.origin = first;
  const Blocks blocks = even_blocks(m.k, m.k < 1024 ? 1024 : 512, 2);
  for (std::size_t panel = m.panels.begin; panel < m.panels.end; ++panel) {
    const std::size_t j = panel * kPanel;
    p.width = panel_width(m.cols, panel);
    p.b_stride = p.width;
    p.c = first + m.rows.begin * m.ldy + j;
    p.y = m.y + m.rows.begin * m.ldy + j;
    p.bias = m.bias ? m.bias + j : nullptr;
    for (std::size_t block = 0; block < blocks.count; ++block) {
      const std::size_t k = block * blocks.size;
      p.first = block == 0;
      p.last = block + 1 == blocks.count;
      p.a = m.x + m.rows.begin * m.ldx + k;
      p.b = m.w + j * m.k + k * p.width;
      p.k = p.last ? m.k - k : blocks.size;
      if (reads_more(m.panels, panel, p.last)) {   // a tile fetches p.k lines, and the next block may have fewer of k
        const std::size_t depth = p.last ? p.k : smaller(p.k, m.k - k - p.k);
        p.ahead = p.b + p.k * p.width - (p.k - depth) * kLane;
        p.ahead_stride = depth * kLane;
        p.ahead_tiles = (p.last ? panel_width(m.cols, panel + 1) : p.width) / kLane;
      } else {
        fetch_nothing(p, p.b);
      }
      run_block<true, 2>(p);
    }
  }
}

// Transposing W costs as much as the product of 4 to 8 rows, and more where W is not in the cache or has no whole panel
// of inputs. The form for few rows pays for rows rounded up to kLane.
FASTREG_INLINE bool prefers_few_rows(const MatmulInput& m, std::size_t n) {
  const std::size_t transposing = m.in >= kPanel && m.in * m.lddy < kFarWeights ? 6 : 8;
  return n <= kFewRows && rounded(n) < n + transposing && m.cols >= 2 * kPanel;
}

// All forms that are built from tiles give the same bits, so the choice between them may depend on the number of rows
// of this call. Dot products give other bits, so that choice depends on the number of rows of the whole matrix, m.n.
void matmul_input(const MatmulInput& m) noexcept {
  if (m.rows.end <= m.rows.begin || m.panels.end <= m.panels.begin) return;
  if (m.lddx == 1) return times_column(m.dy, m.lddy, m.w, m.cols, 0.0f, m.dx, m.rows);
  const std::size_t n = m.rows.end - m.rows.begin;
  if (m.lddy == 1) {
    const std::size_t i = m.panels.begin * kPanel, end = smaller(rounded(m.in), m.panels.end * kPanel);
    return outer_product(m.dy + m.rows.begin, m.w + i, m.dx + m.rows.begin * m.lddx + i, m.lddx, n, end - i);
  }
  if (prefers_dots(m.n, m.cols)) return input_dots(m);
  if (m.lddy == kLane && m.cols <= kMostNarrow) return input_narrow(m);
  prefers_few_rows(m, n) ? input_few_rows(m) : input_many_rows(m);
}

FASTREG_INLINE std::size_t strip_width(const MatmulWeights& m, std::size_t i) {
  return smaller(kStrip, rounded(m.in) - i);
}

// Copies columns of a matrix into parts of at most part_width columns, one after the other, each row by row. Whole rows
// are read one after the other, which the hardware prefetcher follows.
FASTREG_NOINLINE void copy_parts(const float* from, std::size_t stride, std::size_t rows, std::size_t width,
                                 std::size_t part_width, float* to) {
  for (std::size_t i = 0; i < rows; ++i, from += stride) {
    float* part = to;
    for (std::size_t j = 0; j < width; j += part_width, part += rows * part_width) {
      const std::size_t w = smaller(part_width, width - j);
      for (std::size_t k = 0; k < w; k += V::kLanes) V::load(from + j + k).store(part + i * w + k);
    }
  }
}

// Blocks of dW for the inputs in `rows` and one panel. x_copy has these inputs of x in strips, each row by row; dy is a
// copy of the panel's columns, behind which lies that of the next panel. A block of it is read from the L2 cache by all
// strips but the first, and the second one fetches the next panel's.
FASTREG_NOINLINE void weights_from_copies(const MatmulWeights& m, std::size_t panel, const float* dy) {
  const bool more = panel + 1 < m.panels.end;   // other copies may be another member's to write
  constexpr std::size_t kDepthOfCopies = 512;
  const std::size_t j = panel * kPanel;
  Block p{};
  p.width = p.b_stride = p.c_stride = panel_width(m.cols, panel);
  p.bias = nullptr;
  p.relu = p.activate = false;
  const Blocks blocks = even_blocks(m.n, kDepthOfCopies, 2);
  for (std::size_t block = 0; block < blocks.count; ++block) {
    const std::size_t k = block * blocks.size;
    p.first = block == 0;
    p.last = block + 1 == blocks.count;
    p.k = p.last ? m.n - k : blocks.size;
    p.b = dy + k * p.width;
    p.ahead = more ? dy + m.n * p.width + k * kPanel : p.b;
    p.ahead_stride = p.k * kLane;
    for (std::size_t i = m.rows.begin; i < m.rows.end; i += kStrip) {
      p.ahead_tiles = more && i == m.rows.begin + kStrip ? kPanel / kLane : 0;
      p.rows = smaller(kStrip, m.rows.end - i);
      p.a_stride = strip_width(m, i);
      p.a = m.x_copy + (i - m.rows.begin) * m.n + k * p.a_stride;
      p.c = m.dw + j * m.in + i * p.width;
      run_block<false, 1>(p);
    }
  }
}

// dW in the order for wide layers. dy is copied once, some panels at a time, since a core has few write buffers, and x
// some inputs at a time, so that their copy stays in the L2 cache. A last panel of kLane columns has forms of its own,
// which read x and dy themselves.
FASTREG_NOINLINE void weights_wide(const MatmulWeights& m) {
  assert(m.rows.begin % kStrip == 0 && m.inputs_at_once > 0 && m.inputs_at_once % kStrip == 0);
  const auto copy_of_dy = [&](std::size_t panel) { return m.dy_copy + (panel - m.panels.begin) * kPanel * m.n; };
  constexpr std::size_t kPanelsAtOnce = 8;
  for (std::size_t panel = m.panels.begin; panel < m.panels.end; panel += kPanelsAtOnce) {
    const std::size_t j = panel * kPanel, end = smaller(panel + kPanelsAtOnce, m.panels.end) * kPanel;
    copy_parts(m.dy + j, m.lddy, m.n, smaller(end, rounded(m.cols)) - j, kPanel, copy_of_dy(panel));
  }
  for (std::size_t first = m.rows.begin; first < m.rows.end; first += m.inputs_at_once) {
    MatmulWeights part = m;
    part.rows = {first, smaller(first + m.inputs_at_once, m.rows.end)};
    const std::size_t strips = (part.rows.end - first + kStrip - 1) / kStrip;
    copy_parts(m.x + first, m.ldx, m.n, smaller(strips * kStrip, rounded(m.in) - first), kStrip, m.x_copy);
    for (std::size_t panel = m.panels.begin; panel < m.panels.end; ++panel) {
      const std::size_t j = panel * kPanel;
      if (panel_width(m.cols, panel) > kLane)
        weights_from_copies(part, panel, copy_of_dy(panel));
      else
        m.cols - j <= kMostNarrow ? weights_narrow(part, j) : weights_transposed(part, j);
    }
  }
}

void matmul_weights(const MatmulWeights& m) noexcept {
  if (m.rows.end <= m.rows.begin || m.panels.end <= m.panels.begin) return;
  if (m.lddy == 1) return weights_column(m);
  if (m.ldx == 1) return weights_row(m);
  if (m.x_copy) return weights_wide(m);
  Block p{};
  p.a_stride = m.ldx;
  p.rows = m.rows.end - m.rows.begin;
  p.bias = nullptr;
  p.relu = p.activate = false;
  p.ahead = m.x;
  p.ahead_stride = p.ahead_tiles = 0;
  const Blocks blocks = even_blocks(m.n, kDepth, 2);
  alignas(64) float packed[kDepth * kPanel];
  const bool pack = m.lddy >= kPackedStride && p.rows >= kPackedRows;
  const bool pack_x =
      V::kLanes < kLane ? m.ldx >= kPackedStride : m.ldx >= kLongStride && m.n >= kDepth;
  for (std::size_t panel = m.panels.begin; panel < m.panels.end; ++panel) {
    const std::size_t j = panel * kPanel;
    p.width = panel_width(m.cols, panel);
    p.b_stride = pack ? p.width : m.lddy;
    p.c_stride = p.width;
    p.c = m.dw + j * m.in + m.rows.begin * p.width;
    if (m.n == 1) {
      outer_product(m.x + m.rows.begin, m.dy + j, p.c, p.c_stride, p.rows, p.width);
      continue;
    }
    if (p.width == kLane) {
      m.cols - j <= kMostNarrow ? weights_narrow(m, j) : weights_transposed(m, j);
      continue;
    }
    for (std::size_t block = 0; block < blocks.count; ++block) {
      const std::size_t k = block * blocks.size;
      p.first = block == 0;
      p.last = block + 1 == blocks.count;
      p.k = p.last ? m.n - k : blocks.size;
      p.a = m.x + k * m.ldx + m.rows.begin;
      p.b = m.dy + k * m.lddy + j;
      if (pack) {
        copy_rows(p.b, m.lddy, p.k, p.width, packed);
        p.b = packed;
      }
      if (pack_x)
        run_packed(p);
      else
        run_block<false, 1>(p);
    }
  }
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
