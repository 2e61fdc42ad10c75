// The loop around the update rules of math/rules.h: one pass over parameters, gradient, moments and averages. Sums of
// gradients are another entry, weighted_sum.
#include <cassert>

#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"
#include "math/penalties.h"
#include "math/rules.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// What a loop is compiled for: no option, a subgradient of penalties, or a proximal L1, if a rule is kSpecialised;
// all penalties, with or without sums, which it checks for each vector; or anything that an Update asks for, likewise.
enum class Options { none, subgradient, proximal, penalties, any };

// The two sums of a penalty, lane by lane.
struct LaneSums {
  V absolute, square;
};

// Whether a rule divides, as rules with a mean of squares do. Then its arithmetic takes longer than its loads and
// stores.
template <class Rule>
constexpr bool kDivides = Rule::kSquare != math::kNone;

// The number of independent pairs of penalty sums. In rules that do not divide, one chain of additions would take as
// long as everything else; the other rules have no registers left for a second pair.
template <class Rule>
constexpr std::size_t kSumPairs = kDivides<Rule> ? 1 : 2;

// How a step reads and writes: whole vectors, or only the first floats of a vector.
struct Whole {
  FASTREG_INLINE V load(const float* p) const { return V::load(p); }
  FASTREG_INLINE void store(V x, float* p) const { x.store(p); }
};
struct FirstFloats {
  std::size_t count;
  FASTREG_INLINE V load(const float* p) const { return V::load_first(p, count); }
  FASTREG_INLINE void store(V x, float* p) const { x.store_first(p, count); }
};

// The step of one vector, in two halves, so that several vectors can be interleaved. kPlain: there is neither a factor
// on the gradient nor decay, which saves operations and gives the same bits. kBounded: a mean of squares may reach the
// largest float.
template <class Rule, Options kOptions, bool kSums, bool kPlain, bool kBounded>
struct VectorStep {
  static constexpr std::size_t kMoments = math::kArrays<Rule>;
  static_assert(kMoments <= math::kMaxMoments && Rule::kPowers <= math::kMaxPowers);
  static constexpr bool kIsOneFunction = math::kIsOneFunction<Rule, V>;
  static constexpr bool kAny = kOptions == Options::any, kChecks = kAny || kOptions == Options::penalties;
  // direction: of a rule that is one function, the new parameter.
  struct Halfway {
    V w, direction, moment[kMoments == 0 ? 1 : kMoments];
  };
  const Rule rule;
  const V scale, l1, two_l2, decay, highest, momentum, rest;
  float *const weights, *const moments[math::kMaxMoments], *const average;
  const float* const gradient;
  const bool penalised, proximal, summed, clipped, averaged;

  FASTREG_INLINE explicit VectorStep(const Update& u)
      : rule(*static_cast<const typename Rule::Description*>(u.description), math::Step{u.rate, u.correction, u.decay}),
        scale(u.grad_scale),
        l1(u.l1),
        two_l2(2.0f * u.l2),
        decay(u.rate * u.decay),
        highest(u.limit),
        momentum(u.momentum),
        rest(1.0f - u.momentum),
        weights(u.w),
        moments{u.moment[0], u.moment[1], u.moment[2]},
        average(u.average),
        gradient(u.g),
        penalised(kChecks ? u.l1 != 0.0f || u.l2 != 0.0f : kOptions != Options::none),
        proximal(kChecks ? u.proximal : kOptions == Options::proximal),
        summed(kChecks ? penalised && u.sums != nullptr : kSums),
        clipped(kAny && u.limit != 0.0f),
        averaged(kAny && u.average != nullptr) {}

  template <class Lanes>
  FASTREG_INLINE Halfway begin(std::size_t i, Lanes lanes) const {
    Halfway e;
    e.w = lanes.load(weights + i);
    V g = lanes.load(gradient + i);
    if constexpr (!kPlain) g = scale * g;
    FASTREG_UNROLL
    for (std::size_t k = 0; k < kMoments; ++k) e.moment[k] = lanes.load(moments[k] + i);
    if (penalised) {
      g = fma(two_l2, e.w, g);
      if (!proximal) g = g + math::signed_as(l1, e.w);
    }
    if (clipped) g = give_sign(min(highest, abs(g)), g);   // this order of arguments keeps NaN
    if constexpr (kBounded) g = select(rule.square(g, e.moment) < V(math::kLargestSquare), g, math::bounded(g));
    if constexpr (kIsOneFunction)
      e.direction = rule.step(e.w, g, e.moment, proximal ? l1 : V(0.0f));
    else
      e.direction = rule.direction(e.w, g, e.moment);
    return e;
  }

  template <class Lanes>
  FASTREG_INLINE void finish(std::size_t i, const Halfway& e, LaneSums& sums, Lanes lanes) const {
    FASTREG_UNROLL
    for (std::size_t k = 0; k < kMoments; ++k) lanes.store(e.moment[k], moments[k] + i);
    if (summed) {
      sums.absolute = sums.absolute + abs(e.w);
      sums.square = fma(e.w, e.w, sums.square);
    }
    const V w = stepped(e);
    lanes.store(w, weights + i);
    if (averaged) lanes.store(fma(momentum, lanes.load(average + i), rest * w), average + i);
  }

  // The new parameter.
  FASTREG_INLINE V stepped(const Halfway& e) const {
    if constexpr (kIsOneFunction) return e.direction;
    else {
      const V w = kPlain ? e.w : fnma(decay, e.w, e.w);
      return proximal ? math::proximal_step(rule, w, e.direction, e.moment, l1)
                      : rule.apply(w, e.direction, e.moment);
    }
  }

  // Returns false and does nothing if a mean of squares needs kBounded.
  template <std::size_t kAbreast, class Lanes>
  FASTREG_INLINE bool run(std::size_t i, LaneSums& sums, Lanes lanes) const {
    Halfway e[kAbreast];
    FASTREG_UNROLL
    for (std::size_t j = 0; j < kAbreast; ++j) e[j] = begin(i + j * V::kLanes, lanes);
    if constexpr (kDivides<Rule> && !kBounded) {
      V total = e[0].moment[Rule::kSquare];
      FASTREG_UNROLL
      for (std::size_t j = 1; j < kAbreast; ++j) total = total + e[j].moment[Rule::kSquare];
      if (reaches(total, V(math::kLargestSquare))) [[unlikely]] return false;
      asm("" : "+r"(i));   // else GCC keeps the address of each vector in a register of its own
    }
    FASTREG_UNROLL
    for (std::size_t j = 0; j < kAbreast; ++j) finish(i + j * V::kLanes, e[j], sums, lanes);
    return true;
  }
};

// Updates count elements from i on, less than a vector. Adds to two vectors of sums, if lanes is not null.
template <class Rule>
FASTREG_NOINLINE void run_part(const Update& u, std::size_t i, std::size_t count, float* lanes) {
  const VectorStep<Rule, Options::any, true, false, kDivides<Rule>> step(u);
  LaneSums sums{V(0.0f), V(0.0f)};
  if (lanes != nullptr) sums = {V::load(lanes), V::load(lanes + V::kLanes)};
  step.template run<1>(i, sums, FirstFloats{count});
  if (lanes == nullptr) return;
  sums.absolute.store(lanes);
  sums.square.store(lanes + V::kLanes);
}

// Updates the elements from i on. The sums of the elements before i are passed in. What is less than a vector, and what
// lies behind a mean of squares that needs kBounded, is left to loops for any option, which give the same bits.
template <class Rule, Options kOptions, bool kSums, bool kPlain, bool kBounded = false>
FASTREG_NOINLINE void run_update(const Update& u, std::size_t i = 0, const LaneSums* before = nullptr) {
  // How many vectors are interleaved. In rules that divide, a step is a longer chain of operations than the processor
  // can overlap with the next one. The number is limited by the registers; the order of the sums does not depend on it.
  constexpr bool kOne = !kDivides<Rule> || !Rule::kSpecialised || kBounded || kRegisters < 32;
  constexpr std::size_t kAbreast = kOne ? 1 : kOptions == Options::any ? 2 : kSums && !kPlain ? 3 : 4;
  constexpr std::size_t kStride = kAbreast * V::kLanes;
  // Where little is computed, a call for each end of a chunk is felt.
  constexpr bool kOwnEnds = kOptions == Options::none && !kDivides<Rule>;
  LaneSums chains[2] = {{V(0.0f), V(0.0f)}, {V(0.0f), V(0.0f)}};
  if constexpr (kBounded) chains[0] = *before;
  const std::size_t n = u.n;
  const auto beyond = [&u](std::size_t from, LaneSums sums) FASTREG_LAMBDA {
    run_update<Rule, Options::any, true, false, kDivides<Rule>>(u, from, &sums);
  };
  const auto part = [&](std::size_t count) FASTREG_LAMBDA {
    if constexpr (kOwnEnds) {
      VectorStep<Rule, kOptions, kSums, kPlain, kBounded>(u).template run<1>(i, chains[0], FirstFloats{count});
      return;
    }
    if constexpr (!kSums) return run_part<Rule>(u, i, count, nullptr);
    alignas(64) float lanes[2 * V::kLanes];
    chains[0].absolute.store(lanes);
    chains[0].square.store(lanes + V::kLanes);
    run_part<Rule>(u, i, count, lanes);
    chains[0] = {V::load(lanes), V::load(lanes + V::kLanes)};
  };
  // The caller's array may have any alignment. From its first aligned vector on, no store crosses a cache line.
  const std::size_t aligned = smaller((0 - reinterpret_cast<std::uintptr_t>(u.w) / sizeof(float)) % V::kLanes, n);
  if (i < aligned) {
    part(aligned - i);
    i = aligned;
  }
  const VectorStep<Rule, kOptions, kSums, kPlain, kBounded> step(u);
  for (; i + kSumPairs<Rule> * kStride <= n; i += kSumPairs<Rule> * kStride) {
    if (!step.template run<kAbreast>(i, chains[0], Whole{})) return beyond(i, chains[0]);
    if constexpr (kSumPairs<Rule> == 2) step.template run<kAbreast>(i + kStride, chains[1], Whole{});
  }
  if constexpr (kSumPairs<Rule> == 2) {
    if (i + kStride <= n) {
      step.template run<kAbreast>(i, chains[0], Whole{});
      i += kStride;
    }
  }
  if constexpr (kAbreast > 1) {
    for (; i + V::kLanes <= n; i += V::kLanes)
      if (!step.template run<1>(i, chains[0], Whole{})) return beyond(i, chains[0]);
  }
  if (i < n) part(n - i);
  if (step.summed) {
    u.sums[0] = static_cast<double>(sum(chains[0].absolute + chains[1].absolute));
    u.sums[1] = static_cast<double>(sum(chains[0].square + chains[1].square));
  }
}

template <class Rule, Options kOptions, bool kSums>
FASTREG_INLINE void choose_plain(const Update& u) {
  // The other rules are no slower with a factor of 1 and without decay.
  if constexpr (kDivides<Rule>) {
    if (u.grad_scale == 1.0f && u.decay == 0.0f) return run_update<Rule, kOptions, kSums, true>(u);
  }
  run_update<Rule, kOptions, kSums, false>(u);
}

template <class Rule, Options kOptions>
FASTREG_INLINE void choose_sums(const Update& u) {
  u.sums ? choose_plain<Rule, kOptions, true>(u) : choose_plain<Rule, kOptions, false>(u);
}

template <class Rule>
FASTREG_INLINE void choose_update(const Update& u) {
  if (u.limit != 0.0f || u.average != nullptr) return run_update<Rule, Options::any, true, false>(u);
  if constexpr (!Rule::kSpecialised) return run_update<Rule, Options::penalties, true, false>(u);
  else if (u.l1 == 0.0f && u.l2 == 0.0f) choose_plain<Rule, Options::none, false>(u);
  else if (u.proximal && u.l1 != 0.0f) choose_sums<Rule, Options::proximal>(u);
  else choose_sums<Rule, Options::subgradient>(u);
}

template <class Optimizer>
FASTREG_INLINE bool update_as(const Update& u) {
  if constexpr (math::kHasRules<Optimizer>) {
    math::with_rule<V>(*static_cast<const Optimizer*>(u.description), [&u]<class Rule>(Type<Rule>)
                           FASTREG_LAMBDA { choose_update<Rule>(u); });
  } else {
    assert(!"an optimizer that has the rules of another one");
  }
  return true;
}

template <class... Optimizer>
FASTREG_INLINE void update_as_one_of(List<Optimizer...>, const Update& u) {
  [[maybe_unused]] const bool found =
      ((u.optimizer == index_of<Optimizer>(Optimizers()) && update_as<Optimizer>(u)) || ...);
  assert(found);
}

}  // namespace

void update(const Update& u) noexcept { update_as_one_of(Optimizers(), u); }

void weighted_sum(float a, const float* x, float b, const float* y, float* out, std::size_t n) noexcept {
  const V va(a), vb(b);
  std::size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) fma(va, V::load(x + i), vb * V::load(y + i)).store(out + i);
  if (i < n) fma(va, V::load_first(x + i, n - i), vb * V::load_first(y + i, n - i)).store_first(out + i, n - i);
}

// Each block is summed in float, and the blocks are added up in double, so that long buffers lose no precision. A block
// whose sum float cannot hold is summed again in double.
void penalty_sums(const float* w, std::size_t n, double* sums) noexcept {
  constexpr std::size_t kBlock = 4096;
  constexpr double kLargest = 0x1.fffffep127;
  double absolute = 0.0, square = 0.0;
  for (std::size_t start = 0; start < n; start += kBlock) {
    const std::size_t stop = smaller(n, start + kBlock);
    LaneSums s{V(0.0f), V(0.0f)};
    for (std::size_t i = start; i < stop; i += V::kLanes) {
      const V x = i + V::kLanes <= stop ? V::load(w + i) : V::load_first(w + i, stop - i);
      s.absolute = s.absolute + abs(x);
      s.square = fma(x, x, s.square);
    }
    double sum_absolute = static_cast<double>(sum(s.absolute)), sum_square = static_cast<double>(sum(s.square));
    if (sum_absolute > kLargest || sum_square > kLargest) [[unlikely]] {
      sum_absolute = sum_square = 0.0;
      for (std::size_t i = start; i < stop; ++i) {
        const double x = static_cast<double>(w[i]);
        sum_absolute += x < 0.0 ? -x : x;
        sum_square += x * x;
      }
    }
    absolute += sum_absolute;
    square += sum_square;
  }
  const auto rounded = [](double x) FASTREG_LAMBDA {
    return x > kLargest ? x : static_cast<double>(static_cast<float>(x));
  };
  sums[0] = rounded(absolute);
  sums[1] = rounded(square);
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
