// Separate activations, which are a pass of their own over a flat buffer: one loop each, forward and backward.
#include <cassert>

#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/simd/simd.h"
#include "math/separate_activations.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

template <class F>
FASTREG_NOINLINE void forward_flat(const float* p, const float* x, float* y, std::size_t n) {
  const float own[3] = {p[0], p[1], p[2]};
  std::size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) F::forward(V::load(x + i), own).store(y + i);
  if (i < n) F::forward(V::load_first(x + i, n - i), own).store_first(y + i, n - i);
}

template <class F>
FASTREG_NOINLINE void backward_flat(const float* p, const float* x, const float* dy, float* dz, std::size_t n) {
  const float own[3] = {p[0], p[1], p[2]};
  std::size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) F::backward(V::load(x + i), V::load(dy + i), own).store(dz + i);
  if (i < n) F::backward(V::load_first(x + i, n - i), V::load_first(dy + i, n - i), own).store_first(dz + i, n - i);
}

// Calls body with the struct that kind names, unless it needs whole rows.
template <class Body, class... F>
FASTREG_INLINE void with_separate(List<F...>, ActivationKind kind, Body body) {
  const auto call = [&](auto f) FASTREG_LAMBDA {
    if constexpr (!requires { decltype(f)::kRows; }) body(f);
    return true;
  };
  [[maybe_unused]] const bool found = ((kind == math::kSeparateKind<F> && call(F())) || ...);
  assert(found);
}

}  // namespace

void separate_forward(const ActivationSpec& a, const float* x, float* y, std::size_t n) noexcept {
  with_separate(math::SeparateActivations(), a.kind,
                [&](auto f) { forward_flat<decltype(f)>(a.parameters, x, y, n); });
}

void separate_backward(const ActivationSpec& a, const float* x, const float* dy, float* dz, std::size_t n) noexcept {
  with_separate(math::SeparateActivations(), a.kind,
                [&](auto f) { backward_flat<decltype(f)>(a.parameters, x, dy, dz, n); });
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
