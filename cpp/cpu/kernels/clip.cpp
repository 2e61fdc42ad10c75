// The norm of a gradient with its penalties, by which gradients are clipped, and such a gradient itself. It is the same
// gradient as that of the update rules.
#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"
#include "math/penalties.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// Loads a vector of the whole gradient. The function `load` reads a full vector, or the first few floats of one.
template <bool kPenalties>
struct WholeGradientLoader {
  const float *w, *g;
  V l1, two_l2;
  FASTREG_INLINE explicit WholeGradientLoader(const WholeGradient& a) : w(a.w), g(a.g), l1(a.l1), two_l2(2.0f * a.l2) {}
  template <class Load>
  FASTREG_INLINE V operator()(std::size_t i, Load load) const {
    const V x = load(g + i);
    if constexpr (!kPenalties) return x;
    const V old = load(w + i);
    return fma(two_l2, old, x) + math::signed_as(l1, old);
  }
};

// Asks for the memory that a loop reads half a page later. The processor's own prefetching stops at the end of a page,
// and a loop that reads only one or two arrays waits for memory there. A whole page ahead is slower than no
// prefetching.
template <std::size_t kFloats>
FASTREG_INLINE void fetch_ahead(const float* p) {
  constexpr std::size_t kAhead = 512, kLine = 16;
  FASTREG_UNROLL
  for (std::size_t j = 0; j < kFloats; j += kLine) __builtin_prefetch(p + kAhead + j);
}

// The sum of (scale * element)^2 over the elements [begin, end). Four independent sums hide the latency of an addition.
template <bool kPenalties>
FASTREG_NOINLINE float square_sum(const WholeGradient& a, std::size_t begin, std::size_t end, float scale) {
  const WholeGradientLoader<kPenalties> gradient(a);
  const V by(scale);
  const auto whole = [](const float* p) FASTREG_LAMBDA { return V::load(p); };
  V s0(0.0f), s1(0.0f), s2(0.0f), s3(0.0f);
  std::size_t i = begin;
  for (; i + 4 * V::kLanes <= end; i += 4 * V::kLanes) {
    fetch_ahead<4 * V::kLanes>(a.g + i);
    if constexpr (kPenalties) fetch_ahead<4 * V::kLanes>(a.w + i);
    const V x0 = by * gradient(i, whole), x1 = by * gradient(i + V::kLanes, whole);
    const V x2 = by * gradient(i + 2 * V::kLanes, whole), x3 = by * gradient(i + 3 * V::kLanes, whole);
    s0 = fma(x0, x0, s0);
    s1 = fma(x1, x1, s1);
    s2 = fma(x2, x2, s2);
    s3 = fma(x3, x3, s3);
  }
  for (; i + V::kLanes <= end; i += V::kLanes) {
    const V x = by * gradient(i, whole);
    s0 = fma(x, x, s0);
  }
  if (i < end) {
    const std::size_t count = end - i;
    const V x = by * gradient(i, [count](const float* p) FASTREG_LAMBDA { return V::load_first(p, count); });
    s1 = fma(x, x, s1);
  }
  return sum((s0 + s1) + (s2 + s3));
}

// Each block is summed in float, and the blocks are added up in double. Where the sum of a block overflows float, the
// block is summed again with its elements scaled by 2^-72; where it is so small that some squares may have become 0,
// with its elements scaled by 2^72.
template <bool kPenalties>
FASTREG_INLINE double square_of(const WholeGradient& a) {
  constexpr std::size_t kBlock = 4096;
  constexpr float kLargest = 0x1.fffffep127f, kSmallest = 0x1p-90f;
  double total = 0.0;
  for (std::size_t begin = 0; begin < a.n; begin += kBlock) {
    const std::size_t end = smaller(a.n, begin + kBlock);
    const float squares = square_sum<kPenalties>(a, begin, end, 1.0f);
    if (squares >= kSmallest && squares <= kLargest) {
      total += static_cast<double>(squares);
    } else if (squares < kSmallest) {
      total += static_cast<double>(square_sum<kPenalties>(a, begin, end, 0x1p72f)) * 0x1p-144;
    } else {
      total += static_cast<double>(square_sum<kPenalties>(a, begin, end, 0x1p-72f)) * 0x1p144;
    }
  }
  return total;
}

template <bool kPenalties>
FASTREG_NOINLINE void write_gradient(const WholeGradient& a, float* out) {
  const WholeGradientLoader<kPenalties> gradient(a);
  const std::size_t n = a.n;
  std::size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes)
    gradient(i, [](const float* p) FASTREG_LAMBDA { return V::load(p); }).store(out + i);
  if (i < n) {
    const std::size_t count = n - i;
    gradient(i, [count](const float* p) FASTREG_LAMBDA { return V::load_first(p, count); }).store_first(out + i, count);
  }
}

}  // namespace

double gradient_square(const WholeGradient& a) noexcept {
  return a.l1 == 0.0f && a.l2 == 0.0f ? square_of<false>(a) : square_of<true>(a);
}

void whole_gradient(const WholeGradient& a, float* out) noexcept {
  a.l1 == 0.0f && a.l2 == 0.0f ? write_gradient<false>(a, out) : write_gradient<true>(a, out);
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
