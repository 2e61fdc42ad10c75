// What penalties do to a gradient and to a parameter, over a vector type V.
#pragma once
#include "math/inline.h"

namespace fastreg::math {

// magnitude * sign(x), with sign(0) = 0.
template <class V>
FASTREG_INLINE V signed_as(V magnitude, V x) {
  return where(x != V(0.0f), copysign(magnitude, x));
}

// The proximal operator of threshold * |w|.
template <class V>
FASTREG_INLINE V soft_threshold(V w, V threshold) {
  return give_sign(max(V(0.0f), abs(w) - threshold), w);
}

}  // namespace fastreg::math
