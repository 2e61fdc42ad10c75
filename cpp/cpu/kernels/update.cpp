// The loop around the update rules of math/updates.h: one pass over parameters, gradient and moments.
#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"
#include "fastreg/update_rule.h"
#include "math/updates.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

enum class Penalties { none, subgradient, proximal };

// The two sums of a penalty, by lane.
struct LaneSums {
  V absolute, square;
};

// Pairs of penalty sums: one chain of additions takes as long as all the rest of the rules that do not divide. The
// others have no registers to spare.
template <class Rule>
constexpr std::size_t kSumPairs = Rule::kHasV ? 1 : 2;

// How a step reads and writes: whole vectors, or the first few floats of one.
struct Whole {
  FASTREG_INLINE V load(const float* p) const { return V::load(p); }
  FASTREG_INLINE void store(V x, float* p) const { x.store(p); }
};
struct FirstFloats {
  std::size_t count;
  FASTREG_INLINE V load(const float* p) const { return V::load_first(p, count); }
  FASTREG_INLINE void store(V x, float* p) const { x.store_first(p, count); }
};

// The step of one vector, in two halves, so that several can be under way. kPlain: neither a factor on the gradient nor
// decay, which are operations less for the same bits. kBounded: a mean of squares may reach the end of float's range.
template <class Rule, Penalties kPenalties, bool kSums, bool kPlain, bool kBounded>
struct VectorStep {
  struct Halfway {
    V w, g, m, v;
  };
  const Rule rule;
  const V scale, l1, two_l2, decay;
  float *const weights, *const first, *const second;
  const float* const gradient;

  FASTREG_INLINE explicit VectorStep(const Update& u)
      : rule(math::Hyper{u.rate, u.momentum, u.beta_1, u.beta_2, u.epsilon, u.correction_1, u.correction_2}),
        scale(u.grad_scale),
        l1(u.l1),
        two_l2(2.0f * u.l2),
        decay(u.rate * u.decay),
        weights(u.w),
        first(u.m),
        second(u.v),
        gradient(u.g) {}

  template <class Lanes>
  FASTREG_INLINE Halfway begin(std::size_t i, Lanes lanes) const {
    Halfway e{lanes.load(weights + i), lanes.load(gradient + i), V(0.0f), V(0.0f)};
    if constexpr (!kPlain) e.g = scale * e.g;
    if constexpr (Rule::kHasM) e.m = lanes.load(first + i);
    if constexpr (Rule::kHasV) e.v = lanes.load(second + i);
    if constexpr (kPenalties != Penalties::none) {
      e.g = fma(two_l2, e.w, e.g);
      if constexpr (kPenalties == Penalties::subgradient) e.g = e.g + math::signed_as(l1, e.w);
    }
    if constexpr (kBounded) {
      const V square = rule.second_moment(e.v, e.g);
      e.g = select(square < V(math::kLargestSquare), e.g, math::bounded(e.g));
    }
    // Old moments are used twice beside a v; read from memory twice, they cost Adam a quarter.
    if constexpr (Rule::kHasM) e.m = rule.first_moment(Rule::kHasV ? in_register(e.m) : e.m, e.g);
    if constexpr (Rule::kHasV) e.v = rule.second_moment(in_register(e.v), e.g);
    return e;
  }

  template <class Lanes>
  FASTREG_INLINE void finish(std::size_t i, const Halfway& e, LaneSums& sums, Lanes lanes) const {
    if constexpr (Rule::kHasM) lanes.store(e.m, first + i);
    if constexpr (Rule::kHasV) lanes.store(e.v, second + i);
    if constexpr (kSums) {
      sums.absolute = sums.absolute + abs(e.w);
      sums.square = fma(e.w, e.w, sums.square);
    }
    V w = rule.apply(kPlain ? e.w : fnma(decay, e.w, e.w), e.g, e.m, e.v);
    if constexpr (kPenalties == Penalties::proximal) w = math::soft_threshold(w, rule.eta(e.v) * l1);
    lanes.store(w, weights + i);
  }

  // False, and nothing done, where a mean of squares needs kBounded.
  template <std::size_t kAbreast, class Lanes>
  FASTREG_INLINE bool run(std::size_t i, LaneSums& sums, Lanes lanes) const {
    Halfway e[kAbreast];
    FASTREG_UNROLL
    for (std::size_t j = 0; j < kAbreast; ++j) e[j] = begin(i + j * V::kLanes, lanes);
    if constexpr (Rule::kHasV && !kBounded) {
      V total = e[0].v;
      FASTREG_UNROLL
      for (std::size_t j = 1; j < kAbreast; ++j) total = total + e[j].v;
      if (reaches(total, V(math::kLargestSquare))) [[unlikely]] return false;
      asm("" : "+r"(i));   // Otherwise GCC keeps the address of each vector in a register of its own.
    }
    FASTREG_UNROLL
    for (std::size_t j = 0; j < kAbreast; ++j) finish(i + j * V::kLanes, e[j], sums, lanes);
    return true;
  }
};

// From element i on, with the sums of those before it.
template <class Rule, Penalties kPenalties, bool kSums, bool kPlain, bool kBounded = false>
FASTREG_NOINLINE void run_update(const Update& u, std::size_t i = 0, const LaneSums* before = nullptr) {
  // Vectors side by side: the rules that divide need more operations one after the other than the processor looks
  // ahead. As many as there are registers for; the sums have one order for any number.
  constexpr std::size_t kAbreast = !Rule::kHasV || kBounded || kRegisters < 32 ? 1 : kSums && !kPlain ? 3 : 4;
  constexpr std::size_t kStride = kAbreast * V::kLanes;
  const VectorStep<Rule, kPenalties, kSums, kPlain, kBounded> step(u);
  LaneSums chains[2] = {{V(0.0f), V(0.0f)}, {V(0.0f), V(0.0f)}};
  if constexpr (kBounded) chains[0] = *before;
  const std::size_t n = u.n;
  const auto beyond = [&u](std::size_t from, LaneSums sums) FASTREG_LAMBDA {
    run_update<Rule, kPenalties, kSums, false, Rule::kHasV>(u, from, &sums);
  };
  // A caller's array may lie anywhere; from its first aligned vector on no store crosses a cache line.
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
  if constexpr (kSums) {
    u.sums[0] = sum(chains[0].absolute + chains[1].absolute);
    u.sums[1] = sum(chains[0].square + chains[1].square);
  }
}

template <class Rule, Penalties kPenalties, bool kSums>
FASTREG_INLINE void choose_plain(const Update& u) {
  // Only the rules that divide compute for longer than they load and store.
  if constexpr (Rule::kHasV) {
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
  if (u.l1 == 0.0f && u.l2 == 0.0f) return choose_plain<Rule, Penalties::none, false>(u);
  u.proximal && u.l1 != 0.0f ? choose_sums<Rule, Penalties::proximal>(u) : choose_sums<Rule, Penalties::subgradient>(u);
}

}  // namespace

void update(const Update& u) noexcept {
  switch (u.rule) {
    case UpdateRule::sgd:
      return choose_update<math::Sgd<V>>(u);
    case UpdateRule::momentum:
      return choose_update<math::Momentum<V>>(u);
    case UpdateRule::nesterov:
      return choose_update<math::Nesterov<V>>(u);
    case UpdateRule::adam:
      return u.beta_1 >= 0.5f && u.beta_2 >= 0.5f ? choose_update<math::Adam<V, true>>(u)
                                                    : choose_update<math::Adam<V, false>>(u);
    case UpdateRule::rmsprop:
      return u.beta_2 >= 0.5f ? choose_update<math::RmsProp<V, true>>(u) : choose_update<math::RmsProp<V, false>>(u);
  }
}

// Blocks are summed in float and added up in double, so that long buffers lose nothing.
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
