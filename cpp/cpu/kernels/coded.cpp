// Products of a kernel with rows of a table that are given as codes, whose features are never written: a number is
// the sum of all rows of the kernel up to its bin, which is read from prefix sums, and a part of the next row; a
// level is one row. The gradient takes the rows of dy sorted by what they pick, so that each sum is made in registers,
// and suffix sums over the bins on the way. A strip of columns is computed for one column of the table after the other;
// forward, its bins in blocks of kCodedBins.
#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// A strip of a kernel in panels: row i is at data + i * width.
template <class Float>
struct Strip {
  Float* data;
  std::size_t width;
};

// The strip that begins at column c of a matrix with `rows` rows, whose padded number of columns is ld.
template <class Float>
FASTREG_INLINE Strip<Float> strip_of(Float* panels, std::size_t rows, std::size_t ld, std::size_t c) {
  const std::size_t panel = c / kPanel * kPanel;
  return {panels + panel * rows + c % kPanel, smaller(kPanel, ld - panel)};
}

// The bins of one block: the rows of the table whose number of full bins is in [begin, begin + kCodedBins).
FASTREG_INLINE bool in_block(std::uint32_t full, std::size_t begin) { return full - begin < kCodedBins; }

FASTREG_INLINE std::size_t most_full(const CodePlace* places, std::size_t rows) {
  std::size_t most = 0;
  for (std::size_t r = 0; r < rows; ++r) most = places[r].full > most ? places[r].full : most;
  return most;
}

// Columns of a table whose parts are added at once: so many that what values are multiplied with stays in registers.
constexpr std::size_t kTogether = kRegisters / 8;

// The row of the kernel that values of a column are multiplied with, null if there is none.
FASTREG_INLINE const float* row_of_values(const CodedColumn& column, Strip<const float> w) {
  return column.has_value ? w.data + column.value_row * w.width : nullptr;
}

template <class T, std::size_t NV>
FASTREG_INLINE void load_slope(const float* value_row, T (&slope)[NV]) {
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) slope[v] = value_row ? T::load(value_row + v * T::kLanes) : T(0.0f);
}

// Row t of `out` becomes `before` and the sum of t rows of w, for t < n; `before` becomes the sum of all n.
template <class T, std::size_t NV>
FASTREG_NOINLINE void prefix_sums(const float* w, std::size_t width, std::size_t n, float* before, float* out) {
  T sums[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) sums[v] = T::load(before + v * T::kLanes);
  for (std::size_t t = 0; t < n; ++t, w += width, out += NV * T::kLanes) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) {
      sums[v].store(out + v * T::kLanes);
      sums[v] = sums[v] + T::load(w + v * T::kLanes);
    }
  }
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) sums[v].store(before + v * T::kLanes);
}

// Adds the part of a column whose bins are in one block.
template <class T, std::size_t NV>
FASTREG_NOINLINE void add_block(const CodePlace* places, std::size_t rows, const float* value_row,
                                Strip<const float> w, const float* block, std::size_t begin, float* y,
                                std::size_t ldy) {
  T slope[NV];
  load_slope(value_row, slope);
  for (std::size_t r = 0; r < rows; ++r, y += ldy) {
    const CodePlace& place = places[r];
    if (!in_block(place.full, begin)) continue;
    const T value(place.value), weight(place.weight);
    const float* const picked = w.data + place.pick * w.width;
    const float* const sums = block + (place.full - begin) * (NV * T::kLanes);
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) {
      T sum = fma(value, slope[v], T::load(y + v * T::kLanes));
      sum = sum + T::load(sums + v * T::kLanes);
      fma(weight, T::load(picked + v * T::kLanes), sum).store(y + v * T::kLanes);
    }
  }
}

// Adds the parts of N columns of one kind, so that a row of y stays in registers meanwhile. The sums are those of a
// caller.
template <class T, std::size_t NV, std::size_t N, bool kBins, bool kPick>
FASTREG_NOINLINE void add_columns(const CodedForward& f, std::size_t first, Strip<const float> w,
                                  Strip<const float> prefix, float* y) {
  const CodedColumn* const columns = f.columns + first;
  T slope[N][NV];
  FASTREG_UNROLL
  for (std::size_t k = 0; k < N; ++k) load_slope(row_of_values(columns[k], w), slope[k]);
  const CodePlace* places = f.places + first * f.stride;
  for (std::size_t r = f.rows.begin; r < f.rows.end; ++r, ++places, y += f.ldy) {
    T sum[NV];
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) sum[v] = T::load(y + v * T::kLanes);
    FASTREG_UNROLL
    for (std::size_t k = 0; k < N; ++k) {
      const CodePlace& place = places[k * f.stride];
      const T value(place.value), weight(place.weight);
      const float* const picked = kPick ? w.data + place.pick * w.width : nullptr;
      const float* const sums = kBins ? prefix.data + (columns[k].ramp + place.full) * prefix.width : nullptr;
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) {
        sum[v] = fma(value, slope[k][v], sum[v]);
        if constexpr (kBins) sum[v] = sum[v] + T::load(sums + v * T::kLanes);
        if constexpr (kPick) sum[v] = fma(weight, T::load(picked + v * T::kLanes), sum[v]);
      }
    }
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) sum[v].store(y + v * T::kLanes);
  }
}

// Adds the columns [first, end), which are of one kind.
template <class T, std::size_t NV, bool kBins, bool kPick>
FASTREG_INLINE void add_run(const CodedForward& f, std::size_t first, std::size_t end, Strip<const float> w,
                            Strip<const float> prefix, float* y) {
  for (; first + kTogether <= end; first += kTogether)
    add_columns<T, NV, kTogether, kBins, kPick>(f, first, w, prefix, y);
  for (; first < end; ++first) add_columns<T, NV, 1, kBins, kPick>(f, first, w, prefix, y);
}

// Adds a column with bins, whose sums are made here.
template <class T, std::size_t NV>
FASTREG_NOINLINE void add_bins(const CodedForward& f, std::size_t k, Strip<const float> w, float* y) {
  const CodedColumn& column = f.columns[k];
  const CodePlace* const places = f.places + k * f.stride;
  const std::size_t rows = f.rows.end - f.rows.begin;
  alignas(64) float before[NV * T::kLanes] = {};
  for (std::size_t begin = 0, most = most_full(places, rows); begin <= most; begin += kCodedBins) {
    prefix_sums<T, NV>(w.data + (column.ramp + begin) * w.width, w.width, smaller(kCodedBins, most + 1 - begin),
                       before, f.scratch);
    add_block<T, NV>(places, rows, row_of_values(column, w), w, f.scratch, begin, y, f.ldy);
  }
}

template <class T, std::size_t NV>
FASTREG_NOINLINE void forward_strip(const CodedForward& f, std::size_t c) {
  constexpr std::size_t kWidth = NV * T::kLanes;
  const std::size_t ld = f.cols == 1 ? 1 : rounded(f.cols), rows = f.rows.end - f.rows.begin;
  const Strip<const float> w = strip_of(f.w, f.kernel_rows, ld, c);
  const Strip<const float> prefix = f.prefix ? strip_of(f.prefix, f.kernel_rows, ld, c) : Strip<const float>{};
  float* const y = f.y + f.rows.begin * f.ldy + c;
  if (!f.adds) {
    for (std::size_t r = 0; r < rows; ++r) {
      FASTREG_UNROLL
      for (std::size_t j = 0; j < kWidth; j += T::kLanes)
        (f.bias ? T::load(f.bias + c + j) : T(0.0f)).store(y + r * f.ldy + j);
    }
  }
  for (std::size_t k = 0, end = 0; k < f.count; k = end) {
    const bool bins = f.columns[k].bins > 0, pick = f.columns[k].has_pick;
    for (end = k + 1; end < f.count && (f.columns[end].bins > 0) == bins && f.columns[end].has_pick == pick;) ++end;
    if (bins && !f.prefix)
      for (; k < end; ++k) add_bins<T, NV>(f, k, w, y);
    else if (bins)
      add_run<T, NV, true, true>(f, k, end, w, prefix, y);
    else if (pick)
      add_run<T, NV, false, true>(f, k, end, w, prefix, y);
    else
      add_run<T, NV, false, false>(f, k, end, w, prefix, y);
  }
}

// The gradient of the row that values are multiplied with.
template <class T, std::size_t NV>
FASTREG_NOINLINE void value_gradient(const CodePlace* places, std::size_t rows, const float* dy, std::size_t lddy,
                                     float* to) {
  T total[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) total[v] = T(0.0f);
  for (std::size_t start = 0; start < rows; start += kSumBlock) {
    T part[NV];
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) part[v] = T(0.0f);
    const std::size_t stop = smaller(rows, start + kSumBlock);
    for (std::size_t r = start; r < stop; ++r, dy += lddy) {
      const T value(places[r].value);
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) part[v] = fma(value, T::load(dy + v * T::kLanes), part[v]);
    }
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) total[v] = total[v] + part[v];
  }
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) total[v].store(to + v * T::kLanes);
}

// The gradient of the rows that codes pick, from the last to the first: the sum of weight dy over the rows of the batch
// that pick it and, for a bin, the sum of dy over those of all later bins. starts: of the column's first row.
template <class T, std::size_t NV, bool kBins>
FASTREG_NOINLINE void picked_gradient(const CodedColumn& column, const CodedRow* sorted, const std::uint32_t* starts,
                                      const float* dy, std::size_t lddy, Strip<float> dw) {
  T later[NV];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < NV; ++v) later[v] = T(0.0f);
  const std::size_t first = column.first + (column.has_value ? 1 : 0);
  for (std::size_t t = column.end; t-- > first;) {
    T picked[NV], all[NV];
    FASTREG_UNROLL
    for (std::size_t v = 0; v < NV; ++v) picked[v] = all[v] = T(0.0f);
    const std::size_t stop = starts[t - column.first + 1];
    for (std::size_t i = starts[t - column.first]; i < stop; ++i) {
      const T weight(sorted[i].weight);
      const float* const from = dy + sorted[i].row * lddy;
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) {
        const T g = T::load(from + v * T::kLanes);
        picked[v] = fma(weight, g, picked[v]);
        if constexpr (kBins) all[v] = g + all[v];
      }
    }
    float* const to = dw.data + t * dw.width;
    if (kBins && t - column.ramp < column.bins) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) {
        (picked[v] + later[v]).store(to + v * T::kLanes);
        later[v] = later[v] + all[v];
      }
    } else {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) picked[v].store(to + v * T::kLanes);
    }
  }
}

template <class T, std::size_t NV>
FASTREG_NOINLINE void gradient_strip(const CodedGradient& g, std::size_t c) {
  const Strip<float> dw = strip_of(g.dw, g.kernel_rows, g.cols == 1 ? 1 : rounded(g.cols), c);
  const float* const dy = g.dy + c;
  for (std::size_t k = g.range.begin; k < g.range.end; ++k) {
    const CodedColumn& column = g.columns[k];
    if (column.has_value)
      value_gradient<T, NV>(g.places + k * g.stride, g.rows, dy, g.lddy, dw.data + column.value_row * dw.width);
    if (!column.has_pick) continue;
    const CodedRow* const sorted = g.sorted + k * g.stride;
    const std::uint32_t* const starts = g.starts + k + column.first;
    if (column.bins > 0)
      picked_gradient<T, NV, true>(column, sorted, starts, dy, g.lddy, dw);
    else
      picked_gradient<T, NV, false>(column, sorted, starts, dy, g.lddy, dw);
  }
}

// Calls body(first column, width) for the strips of a range of panels.
template <class Body>
FASTREG_INLINE void for_panels(Range panels, std::size_t cols, Body body) {
  const std::size_t ld = rounded(cols);
  for (std::size_t p = panels.begin; p < panels.end; ++p)
    for_strips({p * kPanel, smaller((p + 1) * kPanel, ld)}, body);
}

}  // namespace

void coded_forward(const CodedForward& f) noexcept {
  if (f.rows.end <= f.rows.begin || f.panels.end <= f.panels.begin) return;
  if (f.cols == 1) return forward_strip<V1, 1>(f, 0);
  for_panels(f.panels, f.cols, [&f](std::size_t c, auto width) { forward_strip<V, decltype(width)::kVectors>(f, c); });
}

void coded_gradient(const CodedGradient& g) noexcept {
  if (g.panels.end <= g.panels.begin) return;
  if (g.cols == 1) return gradient_strip<V1, 1>(g, 0);
  for_panels(g.panels, g.cols, [&g](std::size_t c, auto width) { gradient_strip<V, decltype(width)::kVectors>(g, c); });
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
