// Tiles, the building blocks of the matrix products: c = init + a b for a tile of R rows and NV vectors of columns,
// which is held in registers while k runs. a is read by broadcast, b by vector. kernels/matmul.cpp says what a, b and c
// are in each product.
//
// Whatever tile computes an element, its value is one chain of fma over k that starts from init. Where k is cut into
// blocks, c holds the partial sums between blocks. With kChains == 2 there are two chains, one over even k and one over
// odd k, added at the end of each block: in a tile that is one vector wide, a single chain cannot hide the latency of
// fma.
#pragma once
#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

alignas(64) constexpr float kZeros[2 * kPanel] = {};   // stands for a missing bias, of up to two panels

// `count` tiles of the same height, one below the other. The sums of row i, counted over all tiles, start from the
// values at init + i * init_stride; with init_stride 0 all rows start from the same values. relu: max(0, sum) is
// stored, which keeps NaN. dropout is the mask of a buffer that begins at `origin` and contains c; only tiles by row
// with relu take it. For each column of a, the cache line at `ahead` is prefetched, where lies what the caller will
// read next. That pointer advances by ahead_step floats from column to column and by ahead_stride from tile to tile,
// and only the first ahead_tiles tiles advance it from column to column. The others fetch one line each, the same one
// with ahead_stride 0.
struct Tiles {
  const float* a;
  std::size_t a_stride;
  const float* b;
  std::size_t b_stride, k;
  const float* init;
  std::size_t init_stride;
  float* c;
  std::size_t c_stride, count;
  bool relu;
  const float* ahead;
  std::size_t ahead_step, ahead_stride, ahead_tiles;
  DropoutMask dropout;
  const float* origin;
};

// Column k of a: a(i, k) is a[i stride + k] with kByRow, else a[k stride + i]. By row, one pointer serves three rows,
// because an instruction can address base + {0, 1, 2} stride. GCC by itself would keep a pointer for each row, run out
// of registers and spill some of them; the empty asm hides from it how the pointers are related.
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
  // The element in row r of the column that lies `ahead` columns after this one.
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

// Adds the products of all k to the sums of one tile. `ahead` advances by `step` floats for each k.
template <std::size_t R, std::size_t NV, std::size_t kChains, bool kByRow>
FASTREG_INLINE void sum_tile(V (&acc)[R][NV], Column<R, kByRow> a, const float* b, std::size_t b_stride, std::size_t k,
                             const float* ahead, std::size_t step) {
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
      if constexpr (R * NV >= 12) {
        FASTREG_FETCH(ahead);
        ahead += step;
      }
      accumulate(acc, a, 0, b);
      a.advance(1);
    }
  }
}

// The asm keeps GCC from computing the addresses of all rows in advance, for which there are not enough registers.
template <class T>
FASTREG_INLINE T* next_row(T* row, std::size_t stride) {
  row += stride;
  asm("" : "+r"(row));
  return row;
}

// Dropout of a tile whose first element is element `from` of the masked buffer.
template <std::size_t R, std::size_t NV>
FASTREG_INLINE void drop_tile(V (&acc)[R][NV], const DropoutMask& dropout, std::size_t from, std::size_t stride) {
  const V scale(dropout.scale);
  FASTREG_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) {
      acc[r][v] = select(kept<V>(dropout.mask, from + r * stride + v * V::kLanes), acc[r][v] * scale, V(0.0f));
    }
  }
}

template <std::size_t R, std::size_t NV, std::size_t kChains, bool kByRow>
FASTREG_NOINLINE void run_tiles(const Tiles& t) {
  const float* const b = t.b;
  const std::size_t a_stride = t.a_stride, b_stride = t.b_stride, init_stride = t.init_stride, c_stride = t.c_stride;
  const std::size_t k = t.k, count = t.count;
  const std::size_t ahead_step = t.ahead_step, ahead_stride = t.ahead_stride, ahead_tiles = t.ahead_tiles;
  const bool relu = t.relu;
  const float *a = t.a, *init = t.init, *ahead = t.ahead;
  float* c = t.c;
  for (std::size_t tile = 0; tile < count; ++tile) {
    V acc[R][NV];
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) acc[r][v] = V::load(init + v * V::kLanes);
      init = next_row(init, init_stride);
    }
    sum_tile<R, NV, kChains, kByRow>(acc, Column<R, kByRow>(a, a_stride), b, b_stride, k, ahead,
                                     tile < ahead_tiles ? ahead_step : 0);
    ahead += ahead_stride;
    if (relu) {
      FASTREG_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        FASTREG_UNROLL
        for (std::size_t v = 0; v < NV; ++v) acc[r][v] = max(V(0.0f), acc[r][v]);
      }
      if constexpr (kByRow) {
        if (t.dropout.mask) {
          std::size_t stride = c_stride;
          asm volatile("" : "+r"(stride));   // else GCC computes every offset before the loop, even without a mask
          drop_tile(acc, t.dropout, static_cast<std::size_t>(c - t.origin), stride);
        }
      }
    }
    FASTREG_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) acc[r][v].store(c + v * V::kLanes);
      c = next_row(c, c_stride);
    }
    a += kByRow ? R * a_stride : R;
  }
}

using TileFunction = void (*)(const Tiles&);

// The instances of run_tiles for tiles of 1 to kMaxRows rows.
template <std::size_t kMaxRows, std::size_t NV, std::size_t kChains, bool kByRow>
struct TileTable {
  TileFunction rows[kMaxRows + 1] = {};
  constexpr TileTable() { fill<1>(); }
  template <std::size_t R>
  constexpr void fill() {
    rows[R] = run_tiles<R, NV, kChains, kByRow>;
    if constexpr (R < kMaxRows) fill<R + 1>();
  }
};
template <std::size_t kMaxRows, std::size_t NV, std::size_t kChains, bool kByRow>
constexpr TileTable<kMaxRows, NV, kChains, kByRow> kTiles;

// The tile shape for a strip of columns: its width in vectors, its largest height, and its functions by height.
struct TileChoice {
  std::size_t vectors, max_rows;
  const TileFunction* rows;
};

template <std::size_t kMaxRows, std::size_t NV, std::size_t kChains, bool kByRow>
FASTREG_INLINE TileChoice tile_choice() {
  return {NV, kMaxRows, kTiles<kMaxRows, NV, kChains, kByRow>.rows};
}

// Chooses the tile for the rest of a panel, `vectors` vectors wide, and this many rows. kChains is the number of chains
// where only a single vector is left.
template <bool kByRow, std::size_t kChains>
FASTREG_INLINE TileChoice choose_tile(std::size_t vectors, std::size_t rows) {
  if constexpr (V::kLanes == kLane) {
    switch (vectors) {
      case 1:
        return tile_choice<14, 1, kChains, kByRow>();
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

// One block of k for one panel of c: c = init + a b. In the first block, init is the bias (0 where it is null); in
// later blocks it is c itself. After the last block the activation is applied, from c to y, while the tiles are in
// cache.
struct Block {
  const float* a;
  std::size_t a_stride;
  const float* b;
  std::size_t b_stride, k;
  float* c;
  std::size_t c_stride, rows, width;
  bool first, last;
  const float* bias;
  bool relu, activate;
  ActivationKind activation;
  float* y;
  const float* ahead;
  std::size_t ahead_step = kLane, ahead_stride, ahead_tiles;   // as in Tiles
  DropoutMask dropout;   // the mask of the buffer that begins at origin
  const float* origin;
};

// Runs `count` tiles of `height` rows, starting at row i. The first of them is tile number `tile` of its strip.
template <bool kByRow>
FASTREG_INLINE void run_rows(const Block& p, std::size_t j, const TileChoice& choice, Range ahead, std::size_t i,
                             std::size_t tile, std::size_t height, std::size_t count) {
  if (count == 0) return;
  Tiles t;
  t.a = kByRow ? p.a + i * p.a_stride : p.a + i;
  t.a_stride = p.a_stride;
  t.b = p.b + j;
  t.b_stride = p.b_stride;
  t.k = p.k;
  t.c = p.c + i * p.c_stride + j;
  t.c_stride = p.c_stride;
  t.init = !p.first ? t.c : p.bias ? p.bias + j : kZeros;
  t.init_stride = p.first ? 0 : p.c_stride;
  t.count = count;
  t.relu = p.last && p.relu;
  t.dropout = p.dropout;
  t.origin = p.origin;
  const bool shares = ahead.begin + tile < ahead.end;   // or else it fetches a line that others fetch, too
  t.ahead = p.ahead + (shares ? ahead.begin + tile : 0) * p.ahead_stride;
  t.ahead_step = p.ahead_step;
  t.ahead_stride = shares ? p.ahead_stride : 0;
  t.ahead_tiles = shares ? ahead.end - ahead.begin - tile : 0;
  choice.rows[height](t);
  if (p.last && p.activate) {
    activate_block(p.activation, t.c, p.y + i * p.c_stride + j, p.c_stride, height * count, choice.vectors * V::kLanes);
  }
}

// Runs all tiles of a strip. Rows that do not divide evenly are spread: some tiles are one row taller than the others.
// Every strip prefetches its share of what is ahead.
template <bool kByRow>
FASTREG_INLINE void run_strip(const Block& p, std::size_t j, const TileChoice& choice) {
  std::size_t tiles = 1, least = p.rows, taller = 0;
  if (p.rows > choice.max_rows) {   // divisions cost as much as the products of a small layer
    tiles = (p.rows + choice.max_rows - 1) / choice.max_rows;
    least = p.rows / tiles;
    taller = p.rows % tiles;
  }
  const std::size_t chunk = p.last && p.activate ? 4 : tiles, end = j + choice.vectors * V::kLanes;
  Range ahead{0, p.ahead_tiles};
  if (end - j < p.width) ahead = {j * p.ahead_tiles / p.width, end * p.ahead_tiles / p.width};
  std::size_t i = 0;
  for (std::size_t tile = 0; tile < tiles;) {
    const std::size_t height = least + (tile < taller);
    std::size_t stop = tile < taller ? taller : tiles;
    if (tile < ahead.end - ahead.begin) stop = smaller(stop, ahead.end - ahead.begin);   // tiles that fetch, or do not
    const std::size_t count = smaller(chunk, stop - tile);
    run_rows<kByRow>(p, j, choice, ahead, i, tile, height, count);
    i += height * count;
    tile += count;
  }
}

template <bool kByRow, std::size_t kChains>
FASTREG_INLINE void run_block(const Block& p) {
  std::size_t vectors = 0;
  for (std::size_t j = 0; j < p.width; j += vectors * V::kLanes) {
    const TileChoice choice = choose_tile<kByRow, kChains>((p.width - j) / V::kLanes, p.rows);
    vectors = choice.vectors;
    run_strip<kByRow>(p, j, choice);
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
