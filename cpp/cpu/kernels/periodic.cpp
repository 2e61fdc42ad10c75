// Features of single columns: cosines of learned frequencies, and a small product behind them (kernels.h, Periodic).
// The rows of a chunk lie along the vector: a column of x and its outputs are copied side by side first. To compute a
// cosine again costs less than to keep it, so the backward pass does, and both passes do for every few outputs.
#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"
#include "math/turns.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

constexpr std::size_t kChunk = kSumBlock;                       // rows that are copied at once
constexpr float kTurn = 6.28318531f, kPerTurn = 0.159154943f;   // the radians of a turn, and one over that

// One column of a matrix that is stored in panels. The matrix may be null.
template <class Float>
struct PanelColumn {
  Float* at = nullptr;
  std::size_t step = 0;

  PanelColumn() = default;
  FASTREG_INLINE PanelColumn(Float* panels, std::size_t rows, std::size_t cols, std::size_t j) {
    if (panels == nullptr) return;
    const std::size_t ld = cols == 1 ? 1 : rounded(cols), first = j / kPanel * kPanel;
    step = smaller(kPanel, ld - first);
    at = panels + first * rows + j % kPanel;
  }
  FASTREG_INLINE Float& operator[](std::size_t i) const { return at[i * step]; }
};

// The columns of M outputs, from the o-th of column j of x on.
template <class Float, std::size_t M>
struct OutputColumns {
  PanelColumn<Float> of[M];

  FASTREG_INLINE OutputColumns(Float* panels, const Periodic& p, std::size_t j, std::size_t o) {
    const std::size_t rows = p.phases ? p.count : 2 * p.count;
    for (std::size_t m = 0; m < M; ++m) of[m] = {panels, rows, p.in * p.outputs, j * p.outputs + o + m};
  }
};

// The most outputs that are computed together: so many that the sums of their gradients stay in registers. Without
// phases each output has two.
template <bool kPhases>
constexpr std::size_t kMostOutputs = kPhases ? 4 : kRegisters / 16;

// Calls body(o, width) for groups of outputs, where width is a compile-time number of them.
template <bool kPhases, class Body>
FASTREG_INLINE void for_outputs(std::size_t outputs, Body body) {
  constexpr std::size_t kMost = kMostOutputs<kPhases>;
  std::size_t o = 0;
  for (; o + kMost <= outputs; o += kMost) body(o, StripWidth<kMost>());
  if constexpr (kMost > 3)
    if (outputs - o == 3) return body(o, StripWidth<3>());
  if constexpr (kMost > 2)
    if (outputs - o == 2) return body(o, StripWidth<2>());
  if constexpr (kMost > 1)
    if (o < outputs) body(o, StripWidth<1>());
}

// Copies `rows` elements, `step` apart, side by side, and zeros behind them up to a whole vector. Where `open` is not
// null, an element is 0 unless the same one of `open` is above 0.
FASTREG_INLINE void gather(const float* from, std::size_t step, std::size_t rows, float* to,
                           const float* open = nullptr) {
  std::size_t i = 0;
  if (open)
    for (; i < rows; ++i) to[i] = open[i * step] > 0.0f ? from[i * step] : 0.0f;
  else
    for (; i < rows; ++i) to[i] = from[i * step];
  for (; i % V::kLanes; ++i) to[i] = 0.0f;
}

// out[m kChunk + i]: output o + m of column j, from the elements x of that column.
template <bool kPhases, std::size_t M>
FASTREG_NOINLINE void column_forward(const Periodic& p, std::size_t j, std::size_t o, const float* x, std::size_t rows,
                                     float* out) {
  const PanelColumn<const float> frequencies(p.frequencies, p.count, p.in, j), phases(p.phases, p.count, p.in, j);
  const OutputColumns<const float, M> w(p.w, p, j, o);
  const float* const bias = p.bias + j * p.outputs + o;
  const V least(p.rectified ? 0.0f : -__builtin_huge_valf());
  for (std::size_t i = 0; i < rows; i += V::kLanes) {
    const V in = V::load(x + i);
    V total[M];
    FASTREG_UNROLL
    for (std::size_t m = 0; m < M; ++m) total[m] = V(bias[m]);
    for (std::size_t f = 0; f < p.count; ++f) {
      V sine, cosine;
      math::sine_and_cosine_of_turns(fma(V(frequencies[f]), in, V(kPhases ? kPerTurn * phases[f] : 0.0f)), &sine,
                                     &cosine);
      FASTREG_UNROLL
      for (std::size_t m = 0; m < M; ++m) {
        total[m] = fma(V(w.of[m][f]), cosine, total[m]);
        if (!kPhases) total[m] = fma(V(w.of[m][p.count + f]), sine, total[m]);
      }
    }
    FASTREG_UNROLL
    for (std::size_t m = 0; m < M; ++m) max(least, total[m]).store(out + m * kChunk + i);
  }
}

// Adds to a gradient, or writes it at first.
FASTREG_INLINE void add_sum(float* to, V part, bool first) { *to = first ? sum(part) : *to + sum(part); }

// Adds what a chunk contributes to the gradients of the weights and to dx. g[m kChunk + i] is the gradient of output
// o + m. `first`: it is the first chunk.
template <bool kPhases, std::size_t M>
FASTREG_NOINLINE void column_backward(const PeriodicBackward& b, std::size_t j, std::size_t o, const float* x,
                                      const float* g, std::size_t rows, bool first, float* dx) {
  const Periodic& p = b.of;
  const PanelColumn<const float> frequencies(p.frequencies, p.count, p.in, j), phases(p.phases, p.count, p.in, j);
  const PanelColumn<float> dfrequencies(b.dfrequencies, p.count, p.in, j), dphases(b.dphases, p.count, p.in, j);
  const OutputColumns<const float, M> w(p.w, p, j, o);
  const OutputColumns<float, M> dw(b.dw, p, j, o);
  for (std::size_t f = 0; f < p.count; ++f) {
    const V frequency(frequencies[f]), phase(kPhases ? kPerTurn * phases[f] : 0.0f), angular(kTurn * frequencies[f]);
    V of_cosine[M], of_sine[M], of_frequency(0.0f), of_phase(0.0f);
    FASTREG_UNROLL
    for (std::size_t m = 0; m < M; ++m) of_cosine[m] = of_sine[m] = V(0.0f);
    for (std::size_t i = 0; i < rows; i += V::kLanes) {
      const V in = V::load(x + i);
      V sine, cosine, dcosine(0.0f), dsine(0.0f);
      math::sine_and_cosine_of_turns(fma(frequency, in, phase), &sine, &cosine);
      FASTREG_UNROLL
      for (std::size_t m = 0; m < M; ++m) {
        const V gradient = V::load(g + m * kChunk + i);
        of_cosine[m] = fma(gradient, cosine, of_cosine[m]);
        dcosine = fma(gradient, V(w.of[m][f]), dcosine);
        if (kPhases) continue;
        of_sine[m] = fma(gradient, sine, of_sine[m]);
        dsine = fma(gradient, V(w.of[m][p.count + f]), dsine);
      }
      const V angle = fnma(dcosine, sine, kPhases ? V(0.0f) : dsine * cosine);   // the gradient of the angle in radians
      of_frequency = fma(angle, in, of_frequency);
      of_phase = of_phase + angle;
      fma(angle, angular, V::load(dx + i)).store(dx + i);
    }
    if (dfrequencies.at) add_sum(&dfrequencies[f], V(kTurn) * of_frequency, first && o == 0);
    if (kPhases && dphases.at) add_sum(&dphases[f], of_phase, first && o == 0);
    for (std::size_t m = 0; m < M && b.dw; ++m) {
      add_sum(&dw.of[m][f], of_cosine[m], first);
      if (!kPhases) add_sum(&dw.of[m][p.count + f], of_sine[m], first);
    }
  }
  for (std::size_t m = 0; m < M && b.dbias; ++m) {
    V total(0.0f);
    for (std::size_t i = 0; i < rows; i += V::kLanes) total = total + V::load(g + m * kChunk + i);
    add_sum(b.dbias + j * p.outputs + o + m, total, first);
  }
}

template <bool kPhases>
void forward(const PeriodicForward& f) {
  const Periodic& p = f.of;
  const std::size_t width = p.outputs + (p.keeps_input ? 1 : 0);
  alignas(64) float x[kChunk], out[4 * kChunk];
  for (std::size_t row = f.rows.begin; row < f.rows.end; row += kChunk) {
    const std::size_t rows = smaller(f.rows.end - row, kChunk);
    for (std::size_t j = 0; j < p.in; ++j) {
      gather(p.x + row * p.ldx + j, p.ldx, rows, x);
      float* const y = f.y + row * f.ldy + j * width;
      for_outputs<kPhases>(p.outputs, [&](std::size_t o, auto group) {
        constexpr std::size_t kGroup = decltype(group)::kVectors;
        column_forward<kPhases, kGroup>(p, j, o, x, rows, out);
        for (std::size_t i = 0; i < rows; ++i)
          for (std::size_t m = 0; m < kGroup; ++m) y[i * f.ldy + o + m] = out[m * kChunk + i];
      });
      for (std::size_t i = 0; p.keeps_input && i < rows; ++i) y[i * f.ldy + p.outputs] = x[i];
    }
  }
}

template <bool kPhases>
void backward(const PeriodicBackward& b) {
  const Periodic& p = b.of;
  const std::size_t width = p.outputs + (p.keeps_input ? 1 : 0);
  alignas(64) float x[kChunk], dx[kChunk], g[4 * kChunk];
  for (std::size_t j = b.columns.begin; j < b.columns.end; ++j) {
    for (std::size_t row = 0; row < b.rows; row += kChunk) {
      const std::size_t rows = smaller(b.rows - row, kChunk);
      gather(p.x + row * p.ldx + j, p.ldx, rows, x);
      if (p.keeps_input)
        gather(b.dy + row * b.ldy + j * width + p.outputs, b.ldy, rows, dx);
      else
        for (std::size_t i = 0; i < rounded(rows); ++i) dx[i] = 0.0f;
      for_outputs<kPhases>(p.outputs, [&](std::size_t o, auto group) {
        constexpr std::size_t kGroup = decltype(group)::kVectors;
        for (std::size_t m = 0; m < kGroup; ++m) {
          const std::size_t at = row * b.ldy + j * width + o + m;
          gather(b.dy + at, b.ldy, rows, g + m * kChunk, p.rectified ? b.y + at : nullptr);
        }
        column_backward<kPhases, kGroup>(b, j, o, x, g, rows, row == 0, dx);
      });
      for (std::size_t i = 0; b.dx && i < rows; ++i) b.dx[(row + i) * b.lddx + j] = dx[i];
    }
  }
}

}  // namespace

void periodic_forward(const PeriodicForward& f) noexcept {
  if (f.of.phases) return forward<true>(f);
  forward<false>(f);
}

void periodic_backward(const PeriodicBackward& b) noexcept {
  if (b.of.phases) return backward<true>(b);
  backward<false>(b);
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
