// The loop around the update rules of math/updates.h: one pass over parameters, gradient and moments.
#pragma once
#include "core/kernels.h"
#include "cpu/elementwise.h"
#include "cpu/simd/simd.h"
#include "math/updates.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

enum class Penalties { none, subgradient, proximal };

// The two sums of a penalty, by lane.
struct LaneSums {
  V absolute, square;
};

template <class Rule, Penalties kPenalties, bool kSums>
FASTREG_NOINLINE void run_update(const Update& u) {
  const Rule rule(math::Hyper{u.rate, u.momentum, u.beta_1, u.beta_2, u.epsilon, u.correction_1, u.correction_2});
  const V scale(u.grad_scale), l1(u.l1), two_l2(2.0f * u.l2), decay(u.rate * u.decay);
  // In locals, since a store could change u as far as the compiler knows.
  float *const weights = u.w, *const first = u.m, *const second = u.v;
  const float* const gradient = u.g;
  const std::size_t n = u.n;
  // Vectors a turn, each with sums of its own: one chain of additions takes as long as all the rest of the rules that do
  // not divide. The others have no registers to spare.
  constexpr std::size_t kTurn = Rule::kHasV ? 1 : 2;
  LaneSums chains[2] = {{V(0.0f), V(0.0f)}, {V(0.0f), V(0.0f)}};
  // load and store take whole vectors, or the first few floats of one.
  const auto step = [&](std::size_t i, LaneSums& sums, auto load, auto store) FASTREG_LAMBDA {
    const V old = load(weights + i);
    V m(0.0f), v(0.0f), g = scale * load(gradient + i);
    if constexpr (Rule::kHasM) m = load(first + i);
    if constexpr (Rule::kHasV) v = load(second + i);
    if constexpr (kPenalties != Penalties::none) {
      g = fma(two_l2, old, g);
      if constexpr (kPenalties == Penalties::subgradient) g = g + math::signed_as(l1, old);
    }
    if constexpr (kSums) {
      sums.absolute = sums.absolute + abs(old);
      sums.square = fma(old, old, sums.square);
    }
    V w = rule.apply(fnma(decay, old, old), g, m, v);
    if constexpr (kPenalties == Penalties::proximal) w = math::soft_threshold(w, rule.eta(v) * l1);
    store(w, weights + i);
    if constexpr (Rule::kHasM) store(m, first + i);
    if constexpr (Rule::kHasV) store(v, second + i);
  };
  const auto step_first = [&](std::size_t i, std::size_t count) FASTREG_LAMBDA {
    step(
        i, chains[0], [count](const float* p) FASTREG_LAMBDA { return V::load_first(p, count); },
        [count](V x, float* p) FASTREG_LAMBDA { x.store_first(p, count); });
  };
  const auto step_whole = [&](std::size_t i, LaneSums& sums) FASTREG_LAMBDA {
    step(
        i, sums, [](const float* p) FASTREG_LAMBDA { return V::load(p); },
        [](V x, float* p) FASTREG_LAMBDA { x.store(p); });
  };
  // A caller's array may lie anywhere; from its first aligned vector on no store crosses a cache line.
  std::size_t i = (0 - reinterpret_cast<std::uintptr_t>(weights) / sizeof(float)) % V::kLanes;
  i = smaller(i, n);
  if (i > 0) step_first(0, i);
  for (; i + kTurn * V::kLanes <= n; i += kTurn * V::kLanes) {
    step_whole(i, chains[0]);
    if constexpr (kTurn == 2) step_whole(i + V::kLanes, chains[1]);
  }
  if (kTurn == 2 && i + V::kLanes <= n) {
    step_whole(i, chains[0]);
    i += V::kLanes;
  }
  if (i < n) step_first(i, n - i);
  if constexpr (kSums) {
    u.sums[0] = sum(chains[0].absolute + chains[1].absolute);
    u.sums[1] = sum(chains[0].square + chains[1].square);
  }
}

template <class Rule>
FASTREG_INLINE void choose_update(const Update& u) {
  if (u.l1 == 0.0f && u.l2 == 0.0f) return run_update<Rule, Penalties::none, false>(u);
  if (u.proximal && u.l1 != 0.0f) {
    return u.sums ? run_update<Rule, Penalties::proximal, true>(u) : run_update<Rule, Penalties::proximal, false>(u);
  }
  u.sums ? run_update<Rule, Penalties::subgradient, true>(u) : run_update<Rule, Penalties::subgradient, false>(u);
}

void update(const Update& u) noexcept {
  switch (u.rule) {
    case UpdateRule::sgd:
      return choose_update<math::Sgd<V>>(u);
    case UpdateRule::momentum:
      return choose_update<math::Momentum<V>>(u);
    case UpdateRule::nesterov:
      return choose_update<math::Nesterov<V>>(u);
    case UpdateRule::adam:
      return choose_update<math::Adam<V>>(u);
    case UpdateRule::rmsprop:
      return choose_update<math::RmsProp<V>>(u);
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

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
