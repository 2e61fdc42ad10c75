// Products of bfloat16 matrices (core/bfloat16.h): packing, and the order of the blocks. This file is compiled once for
// each unit, whose file in units/ says how numbers are converted and how a block is computed.
#include "core/bfloat16.h"

#define FASTREG_QUOTE_2(x) #x
#define FASTREG_QUOTE(x) FASTREG_QUOTE_2(x)
// clang-format off
#define FASTREG_UNIT_FILE(unit) FASTREG_QUOTE(cpu/bfloat16/units/unit.h)
// clang-format on
#include FASTREG_UNIT_FILE(FASTREG_ISA)

namespace fastreg {
namespace FASTREG_ISA {
namespace {

FASTREG_INLINE std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

// Rows of a source that are stored one after the other, `stride` floats apart.
struct StoredRows {
  const float* first;
  std::size_t stride;
};

// From row i and column j on, where j is a multiple of kTileRows; the next columns up to a multiple of 64 follow.
FASTREG_INLINE StoredRows stored_rows(const PackSource& s, std::size_t i, std::size_t j) {
  if (s.stored == Stored::rows) return {s.data + i * s.stride + j, s.stride};
  const std::size_t panel = j / kPanel, ld = (s.cols + kLane - 1) / kLane * kLane;
  const std::size_t width = smaller(kPanel, ld - panel * kPanel);
  return {s.data + panel * kPanel * s.rows + i * width + j % kPanel, width};
}

// The tile of the rows from i on and the columns from j on, each row by itself: neighbours of a row are a pair.
FASTREG_INLINE void pairs_in_rows(const PackSource& s, std::size_t i, std::size_t j, bool second, Pairs (&tile)[16]) {
  const std::size_t rows = i < s.rows ? smaller(kTileRows, s.rows - i) : 0;
  const std::size_t cols = j < s.cols ? smaller(kTileDepth, s.cols - j) : 0;
  const StoredRows stored = rows > 0 && cols > 0 ? stored_rows(s, i, j) : StoredRows{nullptr, 0};
  for (std::size_t r = 0; r < kTileRows; ++r)
    tile[r] = r < rows && cols > 0 ? neighbours(stored.first + r * stored.stride, cols, second) : no_pairs();
}

// The tile of the rows from i on and the columns from j on, where two rows make pairs.
FASTREG_INLINE void pairs_of_rows(const PackSource& s, std::size_t i, std::size_t j, bool second, Pairs (&tile)[16]) {
  const std::size_t rows = i < s.rows ? smaller(kTileDepth, s.rows - i) : 0;
  const std::size_t cols = j < s.cols ? smaller(kTileRows, s.cols - j) : 0;
  const StoredRows stored = rows > 0 && cols > 0 ? stored_rows(s, i, j) : StoredRows{nullptr, 0};
  for (std::size_t r = 0; r < kTileRows; ++r) {
    const float* const row = stored.first + 2 * r * stored.stride;
    tile[r] = 2 * r < rows && cols > 0 ? zipped(row, 2 * r + 1 < rows ? row + stored.stride : nullptr, cols, second)
                                       : no_pairs();
  }
}

// A tile that is full. Its numbers stay in registers.
template <bool kInRows, bool kTransposed>
FASTREG_INLINE void pack_full_tile(const StoredRows& from, bool second, std::uint16_t* to) {
  Pairs tile[16];
  FASTREG_UNROLL
  for (std::size_t r = 0; r < kTileRows; ++r) {
    const float* const row = from.first + (kInRows ? r : 2 * r) * from.stride;
    tile[r] = kInRows ? neighbours(row, kTileDepth, second) : zipped(row, row + from.stride, kTileRows, second);
    if (!kTransposed) store(tile[r], to + r * kTileDepth);
  }
  if (!kTransposed) return;
  transpose(tile);
  FASTREG_UNROLL
  for (std::size_t r = 0; r < kTileRows; ++r) store(tile[r], to + r * kTileDepth);
}

// A tile at the edge of a source.
template <bool kInRows, bool kTransposed>
__attribute__((noinline)) void pack_edge_tile(const PackSource& s, std::size_t i, std::size_t j, bool second,
                                              std::uint16_t* to) {
  Pairs tile[16];
  kInRows ? pairs_in_rows(s, i, j, second, tile) : pairs_of_rows(s, i, j, second, tile);
  if (kTransposed) transpose(tile);
  const bool by_itself = kInRows && !kTransposed;   // whether each row of the tile is one of the source
  const std::size_t rows = by_itself ? smaller(kTileRows, s.rows - smaller(i, s.rows)) : kTileRows;
  for (std::size_t r = 0; r < rows; ++r) store(tile[r], to + r * kTileDepth);
}

// Packs tile t of the depth of the rows or columns from `first` on.
template <bool kLeft, bool kTransposed>
FASTREG_INLINE void pack_tile(const PackSource& s, std::size_t first, std::size_t t, bool second, std::uint16_t* to) {
  constexpr bool kInRows = kLeft != kTransposed;
  const std::size_t i = kInRows ? first : t * kTileDepth, j = kInRows ? t * kTileDepth : first;
  if (i + (kInRows ? kTileRows : kTileDepth) > s.rows || j + (kInRows ? kTileDepth : kTileRows) > s.cols)
    return pack_edge_tile<kInRows, kTransposed>(s, i, j, second, to);
  const StoredRows stored = stored_rows(s, i, j);
  if (second)
    pack_full_tile<kInRows, kTransposed>(stored, true, to);
  else
    pack_full_tile<kInRows, kTransposed>(stored, false, to);
}

// Takes up to 64 rows or columns at a time, which are all columns of a panel. The tiles of group `origin` come first.
template <bool kLeft, bool kTransposed>
void pack_groups(const Pack& p, std::size_t origin) {
  constexpr std::size_t kTogether = 4;
  const PackSource& s = p.source;
  const std::size_t depth = tiles_of_depth(kLeft != kTransposed ? s.cols : s.rows), step = p.terms * kTileNumbers;
  const std::size_t end = p.groups.end * 2;   // in tiles
  for (std::size_t i = p.groups.begin * 2; i < end; i += kTogether) {
    for (std::size_t t = 0; t < depth; ++t) {
      for (std::size_t q = i; q < smaller(i + kTogether, end); ++q) {
        std::uint16_t* const to = p.tiles + ((q - 2 * origin) * depth + t) * step;
        for (std::size_t term = 0; term < p.terms; ++term)
          pack_tile<kLeft, kTransposed>(s, q * kTileRows, t, term == 1, to + term * kTileNumbers);
      }
    }
  }
}

template <bool kLeft>
void pack(const Pack& p, std::size_t origin = 0) {
  p.source.transposed ? pack_groups<kLeft, true>(p, origin) : pack_groups<kLeft, false>(p, origin);
}

void pack_left(const Pack& p) noexcept { pack<true>(p); }
void pack_right(const Pack& p) noexcept { pack<false>(p); }

// The rows of the left operand that a pass over the right one takes, in groups, and the tiles of the depth of a block.
// So many tiles of 16 columns of the right operand stay in the L1 cache, and the left tiles of a pass in the L2 cache.
constexpr std::size_t kGroupsAtOnce = 8, kDepthAtOnce = 16;
// How many tiles of the right operand are packed at a time; so many stay in the L2 cache, too.
constexpr std::size_t kTilesAtOnce = 256;

// The columns of the groups `cols`, whose tiles begin at `right`.
void multiply_groups(const PackedProduct& p, const std::uint16_t* right, const Range& cols) {
  alignas(64) float sums[kGroupsAtOnce * kTileGroup * kTileGroup];
  BlockRegisters block;
  const std::size_t depth = tiles_of_depth(p.k), next = depth * p.terms * kTileNumbers;
  for (std::size_t i = p.rows.begin; i < p.rows.end; i += kGroupsAtOnce) {
    const std::size_t row = i * kTileGroup, last = smaller(i + kGroupsAtOnce, p.rows.end) * kTileGroup;
    const std::size_t rows = smaller(last, p.m) - row;
    for (std::size_t j = cols.begin; j < cols.end; ++j) {
      const Target target = Target::of(p, row, j * kTileGroup);
      const std::uint16_t* const group = right + 2 * (j - cols.begin) * next;
      for (std::size_t t = 0; t < depth; t += kDepthAtOnce) {
        const std::size_t from = t * p.terms * kTileNumbers, tiles = smaller(kDepthAtOnce, depth - t);
        block.add({p.left + 2 * i * next + from, group + from, next, tiles, p.terms, rows,
                   j + 1 < cols.end ? 2 * next : 0, t == 0, t + tiles == depth, sums}, target);
      }
    }
  }
}

void multiply(const PackedProduct& p) noexcept {
  const std::size_t next = tiles_of_depth(p.k) * p.terms * kTileNumbers;
  multiply_groups(p, p.right + 2 * p.cols.begin * next, p.cols);
}

void pack_and_multiply(const PackedProduct& p, const PackSource& right, std::uint16_t* room) noexcept {
  const std::size_t tiles = tiles_of_depth(p.k) * p.terms * 2, fit = kTilesAtOnce / tiles / 2 * 2;
  for (std::size_t j = p.cols.begin; j < p.cols.end;) {
    const Range cols{j, smaller(p.cols.end, j + (fit > 0 ? fit : 2))};
    pack<false>({right, room, p.terms, cols}, cols.begin);
    multiply_groups(p, room, cols);
    j = cols.end;
  }
}

}  // namespace

extern const Bfloat16Products table;
const Bfloat16Products table{
    FASTREG_QUOTE(FASTREG_ISA), BlockRegisters::kThreeProducts, pack_left, pack_right, multiply, pack_and_multiply};

}  // namespace FASTREG_ISA
}  // namespace fastreg
