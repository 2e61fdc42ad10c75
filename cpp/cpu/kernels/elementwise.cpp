// Loops over elements: activations forward and backward, dropout, the gather of rows, the check for finite values. The
// last elements of a buffer, fewer than a vector, go through the same formulas with load_first and store_first.
#include "core/kernels.h"
#include "cpu/activations.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

template <class F>
FASTREG_NOINLINE void forward_flat(const float* z, float* y, std::size_t n) {
  std::size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) F::forward(V::load(z + i)).store(y + i);
  if (i < n) F::forward(V::load_first(z + i, n - i)).store_first(y + i, n - i);
}

struct Sum {
  static FASTREG_INLINE V of(V a, V b) { return a + b; }
};
struct Product {
  static FASTREG_INLINE V of(V a, V b) { return a * b; }
};

template <class F>
FASTREG_NOINLINE void combine_flat(const float* a, const float* b, float* y, std::size_t n) {
  std::size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) F::of(V::load(a + i), V::load(b + i)).store(y + i);
  if (i < n) F::of(V::load_first(a + i, n - i), V::load_first(b + i, n - i)).store_first(y + i, n - i);
}

// One strip of NV vectors of columns from column c on. Fields are copied first, because the compiler must assume that a
// store of floats changes them.
template <class F, std::size_t NV>
FASTREG_NOINLINE void backward_strip(const ActivationBackward& a, std::size_t c) {
  const float *saved = a.saved + c, *dy = a.dy + c;
  float *dz = a.dz + c, *const db = a.db;
  const std::size_t rows = a.rows, ld = a.ld;
  const V scale(a.scale);
  V total[NV];
  for (std::size_t v = 0; v < NV; ++v) total[v] = V(0.0f);
  for (std::size_t start = 0; start < rows; start += kSumBlock) {
    V partial[NV];
    for (std::size_t v = 0; v < NV; ++v) partial[v] = V(0.0f);
    for (std::size_t i = smaller(rows - start, kSumBlock); i; --i, saved += ld, dy += ld, dz += ld) {
      FASTREG_UNROLL
      for (std::size_t v = 0; v < NV; ++v) {
        const V x = F::backward(V::load(saved + v * V::kLanes), scale * V::load(dy + v * V::kLanes));
        x.store(dz + v * V::kLanes);
        partial[v] = partial[v] + x;
      }
    }
    for (std::size_t v = 0; v < NV; ++v) total[v] = total[v] + partial[v];
  }
  if (db == nullptr) return;
  for (std::size_t v = 0; v < NV; ++v) total[v].store(db + c + v * V::kLanes);
}

// The same for a single column, whose rows are contiguous.
template <class F>
FASTREG_NOINLINE void backward_column(const ActivationBackward& a) {
  V total(0.0f);
  for (std::size_t i = 0; i < a.rows; i += V::kLanes) {
    const std::size_t n = a.rows - i;
    const V dz = F::backward(V::load_first(a.saved + i, n), V(a.scale) * V::load_first(a.dy + i, n));
    dz.store_first(a.dz + i, n);
    total = total + dz;
  }
  if (a.db != nullptr) a.db[0] = sum(total);
}

// Calls body with the pointer cast to the type of the elements.
template <class Body>
FASTREG_INLINE auto with_elements(const void* x, ElementType type, Body body) {
  if (type == ElementType::float64) return body(static_cast<const double*>(x));
  if (type == ElementType::uint8) return body(static_cast<const std::uint8_t*>(x));
  return body(static_cast<const float*>(x));
}

// While a row is copied, cache line by cache line, the rows that follow are prefetched, this many bytes and at most
// this many rows ahead. The hardware does not prefetch rows in random order.
constexpr std::size_t kLineBytes = 64, kBytesAhead = 4096, kMostRowsAhead = 16;

template <class T>
FASTREG_NOINLINE void gather_elements(const GatherRows& g, const T* x) {
  constexpr std::size_t kLine = kLineBytes / sizeof(T), kStep = kLine < V::kLanes ? V::kLanes : kLine;
  const auto row = [&](std::size_t i)
                       FASTREG_LAMBDA { return x + (g.index ? g.index[g.first + i] : g.first + i) * g.stride; };
  const std::size_t last = g.rows.end - 1;
  if (g.ld == 1) {
    for (std::size_t i = g.rows.begin; i <= last; ++i) g.out[i] = static_cast<float>(row(i)[0]);
    return;
  }
  const std::size_t cols = g.cols, whole = cols / V::kLanes * V::kLanes, left = cols - whole;
  const std::size_t ahead = smaller(1 + kBytesAhead / (cols * sizeof(T)), kMostRowsAhead);
  for (std::size_t i = g.rows.begin; i <= last; ++i) {
    const T *from = row(i), *coming = row(smaller(i + ahead, last));
    float* const out = g.out + i * g.ld;
    std::size_t j = 0;
    for (; j + kStep <= cols; j += kStep) {
      for (std::size_t e = 0; e < kStep; e += kLine) __builtin_prefetch(coming + j + e);
      FASTREG_UNROLL
      for (std::size_t e = 0; e < kStep; e += V::kLanes) V::load(from + j + e).store(out + j + e);
    }
    for (; j < whole; j += V::kLanes) V::load(from + j).store(out + j);
    if (left != 0) V::load_first(from + whole, left).store(out + whole);
    for (j = whole + (left != 0 ? V::kLanes : 0); j < g.ld; j += V::kLanes) V(0.0f).store(out + j);
  }
}

// x * 0 is 0 for finite x and NaN otherwise. The sum is checked every few thousand values.
template <class T>
FASTREG_NOINLINE bool elements_finite(const T* x, std::size_t n) {
  constexpr std::size_t kBlock = 4096;
  for (std::size_t start = 0; start < n; start += kBlock) {
    const std::size_t stop = smaller(n, start + kBlock);
    V a(0.0f), b(0.0f);
    std::size_t i = start;
    for (; i + 2 * V::kLanes <= stop; i += 2 * V::kLanes) {
      a = fma(V::load(x + i), V(0.0f), a);
      b = fma(V::load(x + i + V::kLanes), V(0.0f), b);
    }
    for (; i < stop; i += V::kLanes) a = fma(V::load_first(x + i, stop - i), V(0.0f), a);
    if (sum(a + b) != 0.0f) return false;
  }
  return true;
}

}  // namespace

FASTREG_NOINLINE void activation_forward(ActivationKind kind, const float* z, float* y, std::size_t n) noexcept {
  if (kind == ActivationKind::linear && z == y) return;
  with_activation(kind, [=](auto f) { forward_flat<decltype(f)>(z, y, n); });
}

// The same over a block of a rows matrix; width is a multiple of kLane.
FASTREG_NOINLINE void activate_block(ActivationKind kind, const float* z, float* y, std::size_t ld, std::size_t rows,
                                     std::size_t width) noexcept {
  with_activation(kind, [=](auto f) {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < width; j += V::kLanes) {
        decltype(f)::forward(V::load(z + i * ld + j)).store(y + i * ld + j);
      }
    }
  });
}

void activation_backward(const ActivationBackward& a) noexcept {
  if (a.cols.end <= a.cols.begin) return;
  with_activation(a.activation, [&a](auto f) {
    using F = decltype(f);
    if (a.ld == 1) return backward_column<F>(a);
    for_strips<F::kBackwardVectors>(
        a.cols, [&a](std::size_t c, auto width) { backward_strip<F, decltype(width)::kVectors>(a, c); });
  });
}

void combine(Combination combination, const float* a, const float* b, float* y, std::size_t n) noexcept {
  if (combination == Combination::add) return combine_flat<Sum>(a, b, y, n);
  combine_flat<Product>(a, b, y, n);
}

void dropout_apply(const DropoutMask& d, const float* x, float* y, Range range) noexcept {
  if (!d.mask) {
    if (x == y) return;
    for (std::size_t e = range.begin; e < range.end; e += V::kLanes) V::load(x + e).store(y + e);
    return;
  }
  const std::uint16_t* const mask = d.mask;
  const V scale(d.scale);
  for (std::size_t e = range.begin; e < range.end; e += V::kLanes) {
    select(kept<V>(mask, e), V::load(x + e) * scale, V(0.0f)).store(y + e);
  }
}

void dropout_affine(const DropoutMask& d, float shift, float dropped, const float* x, float* y, Range range) noexcept {
  const std::uint16_t* const mask = d.mask;
  const V scale(d.scale), added(shift), instead(dropped);
  for (std::size_t e = range.begin; e < range.end; e += V::kLanes) {
    select(kept<V>(mask, e), fma(V::load(x + e), scale, added), instead).store(y + e);
  }
}

void gather_rows(const GatherRows& g) noexcept {
  if (g.rows.end <= g.rows.begin) return;
  with_elements(g.x, g.type, [&g](auto x) { gather_elements(g, x); });
}

bool all_finite(const void* x, ElementType type, std::size_t n) noexcept {
  if (type == ElementType::uint8) return true;
  return with_elements(x, type, [n](auto elements) { return elements_finite(elements, n); });
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
