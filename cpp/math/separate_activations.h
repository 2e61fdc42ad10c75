// Activations that no other operation computes together with itself: they are a pass of their own over a block, forward
// and backward, so that the matrix products and normalisations need no code for them. Formulas over a vector type V, as
// in math/activations.h. NaN propagates; +-inf give the limits.
#pragma once
#include <cstddef>

#include "math/activations.h"

namespace fastreg::math {

// One struct for each: its name, forward(x, p) = f(x), and backward(x, dy, p) = f'(x) dy, both from the input; p are
// the values of its parameters, in the order of the comment. kParameters: how many these are, if any. kGeneral: it is
// how an activation with given parameters is computed, and cannot be chosen by its name alone. min and max return their
// second argument where one is NaN.

// x above the threshold, at most max_value (which may be infinite), and slope (x - threshold) elsewhere.
// p: max_value, slope, threshold.
struct Rectifier {
  static constexpr const char* kName = "rectifier";
  static constexpr std::size_t kParameters = 3;
  static constexpr bool kGeneral = true;
  template <class V>
  static FASTREG_INLINE V forward(V x, const float* p) {
    const V below = x - V(p[2]);
    const V sloped = select(V(p[1]) == V(0.0f), min(V(0.0f), max(V(0.0f), below)), V(p[1]) * below);   // no 0 * inf
    return select(x > V(p[2]), min(V(p[0]), x), sloped);
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float* p) {
    return select(x > V(p[2]), select(x < V(p[0]), dy, V(0.0f)), V(p[1]) * dy);
  }
};

// p: alpha, the limit at -inf.
struct ScaledElu {
  static constexpr const char* kName = "scaled_elu";
  static constexpr std::size_t kParameters = 1;
  static constexpr bool kGeneral = true;
  template <class V>
  static FASTREG_INLINE V forward(V x, const float* p) {
    return select(x > V(0.0f), x, V(p[0]) * expm1_negative(min(V(0.0f), x)));
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float* p) {
    return select(x > V(0.0f), V(1.0f), V(p[0]) * exp(min(V(0.0f), x))) * dy;
  }
};

struct Relu6 {
  static constexpr const char* kName = "relu6";
  template <class V>
  static FASTREG_INLINE V forward(V x, const float*) {
    return min(V(6.0f), max(V(0.0f), x));
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float*) {
    return select((x > V(0.0f)) & (x < V(6.0f)), dy, V(0.0f));
  }
};

// x above zero, alpha (e^(x / alpha) - 1) below it: smooth at 0 for any alpha (Barron 2017). p: alpha.
struct Celu {
  static constexpr const char* kName = "celu";
  static constexpr std::size_t kParameters = 1;
  template <class V>
  static FASTREG_INLINE V forward(V x, const float* p) {
    return select(x > V(0.0f), x, V(p[0]) * expm1_negative(min(V(0.0f), x / V(p[0]))));
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float* p) {
    return select(x > V(0.0f), V(1.0f), exp(min(V(0.0f), x / V(p[0])))) * dy;
  }
};

struct Softsign {
  static constexpr const char* kName = "softsign";
  template <class V>
  static FASTREG_INLINE V forward(V x, const float*) {
    const V size = min(V(3.0e38f), abs(x));   // no inf / inf
    return copysign(size / (V(1.0f) + size), x);
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float*) {
    const V share = V(1.0f) / (V(1.0f) + abs(x));
    return share * share * dy;
  }
};

struct Exponential {
  static constexpr const char* kName = "exponential";
  template <class V>
  static FASTREG_INLINE V forward(V x, const float*) {
    return exp(x);
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float*) {
    return exp(x) * dy;
  }
};

struct HardSigmoid {
  static constexpr const char* kName = "hard_sigmoid";
  template <class V>
  static FASTREG_INLINE V forward(V x, const float*) {
    return min(V(6.0f), max(V(0.0f), x + V(3.0f))) / V(6.0f);
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float*) {
    return select(abs(x) < V(3.0f), dy / V(6.0f), V(0.0f));
  }
};

// x hard_sigmoid(x) (Howard et al. 2019). Below -3 it is 0.
struct HardSilu {
  static constexpr const char* kName = "hard_silu";
  template <class V>
  static FASTREG_INLINE V forward(V x, const float*) {
    const V z = max(V(-3.0f), x);
    return z * (min(V(6.0f), z + V(3.0f)) / V(6.0f));
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float*) {
    const V within = fma(x, V(1.0f / 3.0f), V(0.5f));
    return select(x < V(3.0f), select(x > V(-3.0f), within, V(0.0f)), V(1.0f)) * dy;
  }
};

struct HardTanh {
  static constexpr const char* kName = "hard_tanh";
  template <class V>
  static FASTREG_INLINE V forward(V x, const float*) {
    return min(V(1.0f), max(V(-1.0f), x));
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float*) {
    return select(abs(x) < V(1.0f), dy, V(0.0f));
  }
};

// log sigmoid(x) = -softplus(-x).
struct LogSigmoid {
  static constexpr const char* kName = "log_sigmoid";
  template <class V>
  static FASTREG_INLINE V forward(V x, const float*) {
    return min(V(0.0f), x) - log1p_unit(exp(V(0.0f) - abs(x)));
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float*) {
    return sigmoid(V(0.0f) - x) * dy;
  }
};

// (x + sqrt(x^2 + b)) / 2 (Barron 2021). The root is that of a sum of squares of at most 1, scaled, and the sum with a
// negative x is written as a quotient, so that nothing overflows or cancels. p: b > 0.
struct Squareplus {
  static constexpr const char* kName = "squareplus";
  static constexpr std::size_t kParameters = 1;
  template <class V>
  static FASTREG_INLINE V root(V x, V b) {
    const V base = sqrt(b), largest = max(base, abs(x));
    const V u = abs(x) / largest, v = base / largest;
    return select(largest < V(3.0e38f), largest * sqrt(fma(u, u, v * v)), largest);
  }
  template <class V>
  static FASTREG_INLINE V forward(V x, const float* p) {
    const V b(p[0]), r = root(x, b);
    return select(x < V(0.0f), V(0.5f) * b / (r - x), V(0.5f) * x + V(0.5f) * r);
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float* p) {
    const V finite = min(V(3.0e38f), max(V(-3.0e38f), x));
    return forward(finite, p) / root(finite, V(p[0])) * dy;
  }
};

// x - tanh(x), whose series starts with x^3: below 0.55 it is that of Tanh without the first term.
struct TanhShrink {
  static constexpr const char* kName = "tanh_shrink";
  template <class V>
  static FASTREG_INLINE V forward(V x, const float*) {
    const V square = x * x;
    const V p = polynomial(square, 0x1.55554cp-2f, -0x1.110d4ap-3f, 0x1.b92dcap-5f, -0x1.596524p-6f, 0x1.9c0328p-8f);
    return select(abs(x) < V(0.55f), x * square * p, x - Tanh::forward(x));
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float*) {
    const V t = Tanh::forward(x);
    return t * t * dy;
  }
};

// x brought nearer to 0 by the threshold. p: threshold.
struct SoftShrink {
  static constexpr const char* kName = "soft_shrink";
  static constexpr std::size_t kParameters = 1;
  template <class V>
  static FASTREG_INLINE V forward(V x, const float* p) {
    return select(abs(x) <= V(p[0]), V(0.0f), x - copysign(V(p[0]), x));
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float* p) {
    return select(abs(x) <= V(p[0]), V(0.0f), dy);
  }
};

// x, and 0 where it is nearer to 0 than the threshold. p: threshold.
struct HardShrink {
  static constexpr const char* kName = "hard_shrink";
  static constexpr std::size_t kParameters = 1;
  template <class V>
  static FASTREG_INLINE V forward(V x, const float* p) {
    return select(abs(x) <= V(p[0]), V(0.0f), x);
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float* p) {
    return select(abs(x) <= V(p[0]), V(0.0f), dy);
  }
};

// x above the threshold, else a given value. p: threshold, value.
struct Threshold {
  static constexpr const char* kName = "threshold";
  static constexpr std::size_t kParameters = 2;
  static constexpr bool kGeneral = true;   // its parameters have no defaults
  template <class V>
  static FASTREG_INLINE V forward(V x, const float* p) {
    return select(x <= V(p[0]), V(p[1]), x);
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float* p) {
    return select(x <= V(p[0]), V(0.0f), dy);
  }
};

// x (1 + tanh(u)) / 2 = x sigmoid(2 u) with u = sqrt(2 / pi) (x + 0.044715 x^3) (Hendrycks, Gimpel 2016).
struct GeluTanh {
  static constexpr const char* kName = "gelu_tanh";
  static constexpr float kTwiceRoot = 1.59576912f, kCubic = 0.044715f;   // 2 sqrt(2 / pi)
  template <class V>
  static FASTREG_INLINE V forward(V x, const float*) {
    const V z = min(V(20.0f), max(V(-20.0f), x));
    return max(V(-20.0f), x) * sigmoid(V(kTwiceRoot) * fma(z * z * z, V(kCubic), z));
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float*) {
    const V z = min(V(20.0f), max(V(-20.0f), x)), square = z * z;
    // e s^2 = s (1 - s), without the digits that 1 - s would lose.
    const V e = exp(min(V(80.0f), V(-kTwiceRoot) * fma(z * square, V(kCubic), z))), s = V(1.0f) / (V(1.0f) + e);
    const V slope = V(kTwiceRoot) * fma(V(3.0f * kCubic), square, V(1.0f));
    return fma(z * (e * s * s), slope, s) * dy;
  }
};

// 0 up to -1, (x + 1)^2 / 4 up to 1, then x: the integral of sparse_sigmoid.
struct SparsePlus {
  static constexpr const char* kName = "sparse_plus";
  template <class V>
  static FASTREG_INLINE V forward(V x, const float*) {
    const V z = max(V(-1.0f), x) + V(1.0f);
    return select(x >= V(1.0f), x, V(0.25f) * z * z);
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float*) {
    return min(V(1.0f), max(V(0.0f), fma(V(0.5f), x, V(0.5f)))) * dy;
  }
};

struct SparseSigmoid {
  static constexpr const char* kName = "sparse_sigmoid";
  template <class V>
  static FASTREG_INLINE V forward(V x, const float*) {
    return min(V(1.0f), max(V(0.0f), fma(V(0.5f), x, V(0.5f))));
  }
  template <class V>
  static FASTREG_INLINE V backward(V x, V dy, const float*) {
    return select(abs(x) < V(1.0f), V(0.5f) * dy, V(0.0f));
  }
};

// These need whole rows, as softmax does: they are computed by its kernels, whose backward pass reads the output.
struct LogSoftmax {
  static constexpr const char* kName = "log_softmax";
  static constexpr bool kRows = true;
};
// The nearest point to x in the probability simplex (Martins, Astudillo 2016).
struct Sparsemax {
  static constexpr const char* kName = "sparsemax";
  static constexpr bool kRows = true;
};

using SeparateActivations =
    List<Rectifier, ScaledElu, Relu6, Celu, Softsign, Exponential, HardSigmoid, HardSilu, HardTanh, LogSigmoid,
         Squareplus, TanhShrink, SoftShrink, HardShrink, Threshold, GeluTanh, SparsePlus, SparseSigmoid, LogSoftmax,
         Sparsemax>;

template <class F>
inline constexpr ActivationKind kSeparateKind =
    static_cast<ActivationKind>(Activations::kSize + index_of<F>(SeparateActivations()));

// Whether other operations compute it together with themselves, and whether it needs whole rows.
template <class... F>
FASTREG_INLINE bool needs_rows(List<F...>, ActivationKind kind) {
  return kind == ActivationKind::softmax || ((requires { F::kRows; } && kind == kSeparateKind<F>) || ...);
}
FASTREG_INLINE bool needs_rows(ActivationKind kind) { return needs_rows(SeparateActivations(), kind); }
FASTREG_INLINE bool is_fused(ActivationKind kind) {
  return static_cast<std::size_t>(kind) < Activations::kSize && kind != ActivationKind::softmax;
}

}  // namespace fastreg::math
