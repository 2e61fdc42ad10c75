// exp, log and the activations with their derivatives, each written once over a vector type V (cpu/simd/simd.h lists
// its functions). Nothing here knows an ISA. NaN propagates; +-inf give the limits.
//
// Polynomials were fitted by Remez exchange in 40-digit arithmetic on the ranges stated, for relative error, and their
// coefficients rounded to float.
#pragma once
#include "fastreg/enums.h"
#include "fastreg/fields.h"
#include "math/inline.h"

namespace fastreg::math {

// c0 + c1 x + c2 x^2 + ...
template <class V>
FASTREG_INLINE V polynomial(V, float c0) {
  return V(c0);
}
template <class V, class... C>
FASTREG_INLINE V polynomial(V x, float c0, C... rest) {
  return fma(polynomial(x, rest...), x, V(c0));
}

// x = n ln 2 + r with whole n and |r| <= ln 2 / 2; returns e^r - 1, relative error 1.4e-8 before rounding. The high
// part of ln 2 has 9 bits, so n times it is exact without fused arithmetic too.
template <class V>
FASTREG_INLINE V expm1_reduced(V x, V* n) {
  *n = round(x * V(1.44269504f));
  V r = fnma(*n, V(0.693359375f), x);
  r = fnma(*n, V(-2.12194440e-4f), r);
  const V p = polynomial(r, 0x1p-1f, 0x1.5554b0p-3f, 0x1.555488p-5f, 0x1.122732p-7f, 0x1.6d97cep-10f);
  return fma(r * r, p, r);
}

template <class V>
FASTREG_INLINE V exp(V x) {
  V n;
  const V q = expm1_reduced(min(V(89.0f), max(V(-105.0f), x)), &n);
  return ldexp(V(1.0f) + q, n);
}

// e^x - 1 for x <= 0, without cancellation. Below -30 it is -1 to working precision.
template <class V>
FASTREG_INLINE V expm1_negative(V x) {
  V n;
  const V q = expm1_reduced(max(V(-30.0f), x), &n);
  const V scale = exp2_of(n);
  return fma(scale, q, scale - V(1.0f));
}

// e ln 2 + log(1 + f) for f in [sqrt(1/2) - 1, sqrt(2) - 1]: log(1 + f) = f - f^2 / 2 + f^3 Q(f).
template <class V>
FASTREG_INLINE V log_reduced(V f, V e) {
  const V q = polynomial(f, 0x1.555546p-2f, -0x1.ffffeep-3f, 0x1.99a4dap-3f, -0x1.5562b4p-3f, 0x1.2339dcp-3f,
                         -0x1.fb4fe6p-4f, 0x1.e5fef6p-4f, -0x1.e289c2p-4f, 0x1.1b7c8ap-4f);
  const V square = f * f;
  V tail = fma(e, V(-2.12194440e-4f), f * square * q);
  tail = fnma(V(0.5f), square, tail);
  return fma(e, V(0.693359375f), f + tail);
}

// The logarithm of a positive normal x. inf and NaN return themselves.
template <class V>
FASTREG_INLINE V log(V x) {
  V m;
  const V e = split_exponent(x, &m);
  return select(x < V(__builtin_inff()), log_reduced(m - V(1.0f), e), x);
}

// log(1 + u) for u in [0, 1], accurate relative to the result as u goes to 0.
template <class V>
FASTREG_INLINE V log1p_unit(V u) {
  const auto upper = u > V(0.41421357f);
  return log_reduced(select(upper, (u - V(1.0f)) * V(0.5f), u), select(upper, V(1.0f), V(0.0f)));
}

template <class V>
FASTREG_INLINE V sigmoid(V x) {
  return V(1.0f) / (V(1.0f) + exp(V(0.0f) - x));
}

// Phi(x), the normal distribution function, and e^(-x^2 / 2). erfc(x / sqrt(2)) / 2 = e^(-x^2 / 2) P(1 / (1 + 0.23 x))
// for x >= 0, relative error 5e-8 on [0, 14], beyond which it underflows.
template <class V>
FASTREG_INLINE V normal_distribution(V x, V* bell) {
  const V s = V(1.0f) / fma(V(0.23f), abs(x), V(1.0f));
  const V p = polynomial(s, -0x1.d1bcdep-16f, 0x1.7a61cap-4f, 0x1.5f493cp-4f, 0x1.e9866ap-4f, -0x1.0da938p-5f,
                         0x1.34b44ep-2f, -0x1.1ccc74p-2f, 0x1.2961e8p-2f, -0x1.4166c0p-4f);
  *bell = exp(V(-0.5f) * x * x);
  const V tail = *bell * p;
  return select(x < V(0.0f), tail, V(1.0f) - tail);
}

// One struct for each activation: its name, forward(x) = f(x), and backward(s, dy) = f'(x) dy, where s is f(x), or x
// itself where kFromInput is true. kBackwardVectors: how many vectors of columns go through backward together, 4, or 2
// if its constants fill the registers beside two sums and its work hides the latency of two. Names, kinds, dispatch and
// tests are derived from the list at the end of this file.
struct Linear {
  static constexpr const char* kName = "linear";
  static constexpr bool kFromInput = false;
  static constexpr std::size_t kBackwardVectors = 4;
  template <class V>
  static FASTREG_INLINE V forward(V x) {
    return x;
  }
  template <class V>
  static FASTREG_INLINE V backward(V, V dy) {
    return dy;
  }
};

struct Relu {
  static constexpr const char* kName = "relu";
  static constexpr bool kFromInput = false;
  static constexpr std::size_t kBackwardVectors = 4;
  template <class V>
  static FASTREG_INLINE V forward(V x) {
    return max(V(0.0f), x);
  }
  template <class V>
  static FASTREG_INLINE V backward(V y, V dy) {
    return select(y > V(0.0f), dy, V(0.0f));
  }
};

struct LeakyRelu {
  static constexpr const char* kName = "leaky_relu";
  static constexpr bool kFromInput = false;
  static constexpr std::size_t kBackwardVectors = 4;
  template <class V>
  static FASTREG_INLINE V forward(V x) {
    return select(x > V(0.0f), x, V(kLeakyReluSlope) * x);
  }
  template <class V>
  static FASTREG_INLINE V backward(V y, V dy) {
    return select(y > V(0.0f), dy, V(kLeakyReluSlope) * dy);
  }
};

struct Elu {
  static constexpr const char* kName = "elu";
  static constexpr bool kFromInput = false;
  static constexpr std::size_t kBackwardVectors = 4;
  template <class V>
  static FASTREG_INLINE V forward(V x) {
    return select(x > V(0.0f), x, V(kEluAlpha) * expm1_negative(min(V(0.0f), x)));
  }
  template <class V>
  static FASTREG_INLINE V backward(V y, V dy) {
    return select(y > V(0.0f), dy, (y + V(kEluAlpha)) * dy);
  }
};

// x Phi(x), the exact form. The clamps avoid inf * 0; beyond them Phi and the density are 0.
struct Gelu {
  static constexpr const char* kName = "gelu";
  static constexpr bool kFromInput = true;
  static constexpr std::size_t kBackwardVectors = 2;
  template <class V>
  static FASTREG_INLINE V forward(V x) {
    V bell;
    return max(V(-20.0f), x) * normal_distribution(x, &bell);
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy) {
    V bell;
    const V z = min(V(20.0f), max(V(-20.0f), x));
    const V phi = normal_distribution(z, &bell);
    return fma(z * V(0.398942280f), bell, phi) * dy;
  }
};

// x sigmoid(x). Below the clamp sigmoid is 0.
struct Silu {
  static constexpr const char* kName = "silu";
  static constexpr bool kFromInput = true;
  static constexpr std::size_t kBackwardVectors = 2;
  template <class V>
  static FASTREG_INLINE V forward(V x) {
    return max(V(-110.0f), x) * sigmoid(x);
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy) {
    const V z = min(V(110.0f), max(V(-110.0f), x));
    const V s = sigmoid(z);
    return fma(s * z, V(1.0f) - s, s) * dy;
  }
};

// |x| + |x|^3 P(x^2) below 0.55, and from there on 1 - 2 e / (1 + e) with e = e^(-2 |x|), in which errors of the
// quotient count half or less.
struct Tanh {
  static constexpr const char* kName = "tanh";
  static constexpr bool kFromInput = false;
  static constexpr std::size_t kBackwardVectors = 4;
  template <class V>
  static FASTREG_INLINE V forward(V x) {
    const V a = abs(x), square = x * x;
    const V p = polynomial(square, -0x1.55554cp-2f, 0x1.110d4ap-3f, -0x1.b92dcap-5f, 0x1.596524p-6f, -0x1.9c0328p-8f);
    V n;
    const V q = expm1_reduced(max(V(-30.0f), V(-2.0f) * a), &n);
    const V scale = exp2_of(n);
    const V e = fma(scale, q, scale);
    const V upper = V(1.0f) - (e + e) / (V(1.0f) + e);
    return copysign(select(a < V(0.55f), fma(a * square, p, a), upper), x);
  }
  template <class V>
  static FASTREG_INLINE V backward(V y, V dy) {
    return fnma(y, y, V(1.0f)) * dy;
  }
};

struct Sigmoid {
  static constexpr const char* kName = "sigmoid";
  static constexpr bool kFromInput = false;
  static constexpr std::size_t kBackwardVectors = 4;
  template <class V>
  static FASTREG_INLINE V forward(V x) {
    return sigmoid(x);
  }
  template <class V>
  static FASTREG_INLINE V backward(V y, V dy) {
    return y * (V(1.0f) - y) * dy;
  }
};

struct Softplus {
  static constexpr const char* kName = "softplus";
  static constexpr bool kFromInput = false;
  static constexpr std::size_t kBackwardVectors = 2;
  template <class V>
  static FASTREG_INLINE V forward(V x) {
    return max(V(0.0f), x) + log1p_unit(exp(V(0.0f) - abs(x)));
  }
  template <class V>
  static FASTREG_INLINE V backward(V y, V dy) {
    return (V(0.0f) - expm1_negative(V(0.0f) - y)) * dy;
  }
};

// x tanh(softplus(x)) (Misra 2019). With n = e^x (e^x + 2), tanh(softplus(x)) is n / (n + 2), which is 1 from 20 on.
// The lower clamp avoids inf * 0; below it the result vanishes.
struct Mish {
  static constexpr const char* kName = "mish";
  static constexpr bool kFromInput = true;
  static constexpr std::size_t kBackwardVectors = 2;
  template <class V>
  static FASTREG_INLINE V forward(V x) {
    const V e = exp(min(V(20.0f), x)), n = e * (e + V(2.0f));
    return max(V(-110.0f), x) * (n / (n + V(2.0f)));
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy) {
    const V z = min(V(20.0f), max(V(-110.0f), x));
    const V e = exp(z), n = e * (e + V(2.0f));
    const V tanh = n / (n + V(2.0f)), sigmoid = e / (e + V(1.0f));
    return fma(z * sigmoid, fnma(tanh, tanh, V(1.0f)), tanh) * dy;
  }
};

// s x above zero, s a (e^x - 1) below it. With these s and a, independent values of mean 0 and variance 1 keep both
// from layer to layer (Klambauer et al. 2017).
struct Selu {
  static constexpr const char* kName = "selu";
  static constexpr bool kFromInput = false;
  static constexpr std::size_t kBackwardVectors = 4;
  static constexpr float kScale = 1.05070098f, kScaledAlpha = 1.75809934f;
  template <class V>
  static FASTREG_INLINE V forward(V x) {
    return select(x > V(0.0f), V(kScale) * x, V(kScaledAlpha) * expm1_negative(min(V(0.0f), x)));
  }
  template <class V>
  static FASTREG_INLINE V backward(V y, V dy) {
    return select(y > V(0.0f), V(kScale), y + V(kScaledAlpha)) * dy;
  }
};

// Softmax needs a whole row, so it has its own kernels, softmax_forward and softmax_backward. The latter reads the
// output.
struct Softmax {
  static constexpr const char* kName = "softmax";
  static constexpr bool kFromInput = false;
};

// The index of an activation here is its ActivationKind.
using Activations = List<Linear, Relu, LeakyRelu, Elu, Gelu, Silu, Tanh, Sigmoid, Softplus, Softmax, Mish, Selu>;

template <class F>
inline constexpr ActivationKind kKind = static_cast<ActivationKind>(index_of<F>(Activations()));
static_assert(kKind<Linear> == ActivationKind::linear && kKind<Relu> == ActivationKind::relu &&
              kKind<LeakyRelu> == ActivationKind::leaky_relu && kKind<Elu> == ActivationKind::elu &&
              kKind<Gelu> == ActivationKind::gelu && kKind<Silu> == ActivationKind::silu &&
              kKind<Tanh> == ActivationKind::tanh && kKind<Sigmoid> == ActivationKind::sigmoid &&
              kKind<Softplus> == ActivationKind::softplus && kKind<Softmax> == ActivationKind::softmax);

}  // namespace fastreg::math
