// Maps the kind of an activation to its formula in math/activations.h.
#pragma once
#include <cassert>

#include "core/kernels.h"
#include "cpu/simd/simd.h"
#include "math/activations.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// Calls body with the struct of math/activations.h that kind names.
template <class Body>
FASTREG_INLINE void with_activation(ActivationKind kind, Body body) {
  switch (kind) {
    case ActivationKind::linear:
      return body(math::Linear());
    case ActivationKind::relu:
      return body(math::Relu());
    case ActivationKind::leaky_relu:
      return body(math::LeakyRelu());
    case ActivationKind::elu:
      return body(math::Elu());
    case ActivationKind::gelu:
      return body(math::Gelu());
    case ActivationKind::silu:
      return body(math::Silu());
    case ActivationKind::tanh:
      return body(math::Tanh());
    case ActivationKind::sigmoid:
      return body(math::Sigmoid());
    case ActivationKind::softplus:
      return body(math::Softplus());
    case ActivationKind::softmax:
      break;
  }
  assert(!"softmax has its own kernel");
}

// Vectors of columns that go back through an activation together. These three have constants enough to fill the
// registers beside two sums, and work enough to hide the latency of two.
template <class F>
constexpr std::size_t kBackwardVectors = 4;
template <>
constexpr std::size_t kBackwardVectors<math::Gelu> = 2;
template <>
constexpr std::size_t kBackwardVectors<math::Silu> = 2;
template <>
constexpr std::size_t kBackwardVectors<math::Softplus> = 2;

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
