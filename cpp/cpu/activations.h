// Maps the kind of an activation to its formula in math/activations.h.
#pragma once
#include <cassert>

#include "core/kernels.h"
#include "cpu/simd/simd.h"
#include "math/activations.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// Calls body with the struct of math/activations.h that kind names; softmax has kernels of its own.
template <class Body, class... F>
FASTREG_INLINE void with_activation(List<F...>, ActivationKind kind, Body body) {
  const auto call = [&](auto f) FASTREG_LAMBDA {
    if constexpr (!__is_same(decltype(f), math::Softmax)) body(f);
    return true;
  };
  [[maybe_unused]] const bool found = ((kind == math::kKind<F> && call(F())) || ...);
  assert(found && kind != ActivationKind::softmax);
}
template <class Body>
FASTREG_INLINE void with_activation(ActivationKind kind, Body body) {
  with_activation(math::Activations(), kind, body);
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
