// The loop around the update rules of math/rules.h: one pass over parameters, gradient and moments. Averages of
// parameters and of gradients are another entry, which the core calls while a part of the arrays is in the cache.
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

// The penalties that a loop is compiled for. at_run_time: a loop for all penalties, with or without sums, which it
// checks for each vector. A rule that is not kSpecialised has only this loop.
enum class Penalties { none, subgradient, proximal, at_run_time };

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
template <class Rule, Penalties kPenalties, bool kSums, bool kPlain, bool kBounded>
struct VectorStep {
  static constexpr std::size_t kMoments = Rule::kMoments.kSize;
  static_assert(kMoments <= math::kMaxMoments && Rule::kPowers <= math::kMaxPowers);
  static constexpr bool kChecks = kPenalties == Penalties::at_run_time;
  struct Halfway {
    V w, direction, moment[kMoments == 0 ? 1 : kMoments];
  };
  const Rule rule;
  const V scale, l1, two_l2, decay;
  float *const weights, *const moments[math::kMaxMoments];
  const float* const gradient;
  const bool penalised, proximal, summed;

  FASTREG_INLINE explicit VectorStep(const Update& u)
      : rule(*static_cast<const typename Rule::Description*>(u.description), math::Step{u.rate, u.correction}),
        scale(u.grad_scale),
        l1(u.l1),
        two_l2(2.0f * u.l2),
        decay(u.rate * u.decay),
        weights(u.w),
        moments{u.moment[0], u.moment[1], u.moment[2]},
        gradient(u.g),
        penalised(kChecks ? u.l1 != 0.0f || u.l2 != 0.0f : kPenalties != Penalties::none),
        proximal(kChecks ? u.proximal : kPenalties == Penalties::proximal),
        summed(kChecks ? penalised && u.sums != nullptr : kSums) {}

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
    if constexpr (kBounded) g = select(rule.square(g, e.moment) < V(math::kLargestSquare), g, math::bounded(g));
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
    const V w = kPlain ? e.w : fnma(decay, e.w, e.w);
    lanes.store(proximal ? math::proximal_step(rule, w, e.direction, e.moment, l1)
                         : rule.apply(w, e.direction, e.moment),
                weights + i);
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

// Updates the elements from i on. The sums of the elements before i are passed in.
template <class Rule, Penalties kPenalties, bool kSums, bool kPlain, bool kBounded = false>
FASTREG_NOINLINE void run_update(const Update& u, std::size_t i = 0, const LaneSums* before = nullptr) {
  // How many vectors are interleaved. In rules that divide, a step is a longer chain of operations than the processor
  // can overlap with the next one. The number is limited by the registers; the order of the sums does not depend on it.
  constexpr bool kOne = !kDivides<Rule> || !Rule::kSpecialised || kBounded || kRegisters < 32;
  constexpr std::size_t kAbreast = kOne ? 1 : kSums && !kPlain ? 3 : 4;
  constexpr std::size_t kStride = kAbreast * V::kLanes;
  const VectorStep<Rule, kPenalties, kSums, kPlain, kBounded> step(u);
  LaneSums chains[2] = {{V(0.0f), V(0.0f)}, {V(0.0f), V(0.0f)}};
  if constexpr (kBounded) chains[0] = *before;
  const std::size_t n = u.n;
  const auto beyond = [&u](std::size_t from, LaneSums sums) FASTREG_LAMBDA {
    run_update<Rule, kPenalties, kSums, false, kDivides<Rule>>(u, from, &sums);
  };
  // The caller's array may have any alignment. From its first aligned vector on, no store crosses a cache line.
  const std::size_t aligned = smaller((0 - reinterpret_cast<std::uintptr_t>(u.w) / sizeof(float)) % V::kLanes, n);
  if (i < aligned) {
    if (!step.template run<1>(i, chains[0], FirstFloats{aligned - i})) return beyond(i, chains[0]);
    i = aligned;
  }
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
  if (i < n && !step.template run<1>(i, chains[0], FirstFloats{n - i})) return beyond(i, chains[0]);
  if (step.summed) {
    u.sums[0] = sum(chains[0].absolute + chains[1].absolute);
    u.sums[1] = sum(chains[0].square + chains[1].square);
  }
}

template <class Rule, Penalties kPenalties, bool kSums>
FASTREG_INLINE void choose_plain(const Update& u) {
  // The other rules are no slower with a factor of 1 and without decay.
  if constexpr (kDivides<Rule>) {
    if (u.grad_scale == 1.0f && u.decay == 0.0f) return run_update<Rule, kPenalties, kSums, true>(u);
  }
  run_update<Rule, kPenalties, kSums, false>(u);
}

template <class Rule, Penalties kPenalties>
FASTREG_INLINE void choose_sums(const Update& u) {
  u.sums ? choose_plain<Rule, kPenalties, true>(u) : choose_plain<Rule, kPenalties, false>(u);
}

template <class Rule>
FASTREG_INLINE void choose_update(const Update& u) {
  if constexpr (!Rule::kSpecialised) return run_update<Rule, Penalties::at_run_time, true, false>(u);
  if (u.l1 == 0.0f && u.l2 == 0.0f) return choose_plain<Rule, Penalties::none, false>(u);
  u.proximal && u.l1 != 0.0f ? choose_sums<Rule, Penalties::proximal>(u) : choose_sums<Rule, Penalties::subgradient>(u);
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

// Each block is summed in float, and the blocks are added up in double, so that long buffers lose no precision.
void penalty_sums(const float* w, std::size_t n, float* sums) noexcept {
  constexpr std::size_t kBlock = 4096;
  double absolute = 0.0, square = 0.0;
  for (std::size_t start = 0; start < n; start += kBlock) {
    const std::size_t stop = smaller(n, start + kBlock);
    LaneSums s{V(0.0f), V(0.0f)};
    for (std::size_t i = start; i < stop; i += V::kLanes) {
      const V x = i + V::kLanes <= stop ? V::load(w + i) : V::load_first(w + i, stop - i);
      s.absolute = s.absolute + abs(x);
      s.square = fma(x, x, s.square);
    }
    absolute += static_cast<double>(sum(s.absolute));
    square += static_cast<double>(sum(s.square));
  }
  sums[0] = static_cast<float>(absolute);
  sums[1] = static_cast<float>(square);
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
