// The three products of a Dense layer in reduced precision: operands are packed as bfloat16 numbers into scratch memory
// by the whole team, which then divides the result. Sums, bias and activation are float32.
#pragma once
#include "core/layer.h"

namespace fastreg {

// What a product y = x W + bias does besides: an activation of single elements, dropout after relu, and the value before
// the activation, which z receives where it is not null.
struct ProductTail {
  const float* bias;
  ActivationKind activation;
  float* z;
  DropoutMask dropout;
};

// Whether a layer with these inputs and outputs is wide enough: below, packing costs more than the product saves.
inline bool reduces(const ProductPrecision& precision, std::size_t in, std::size_t out) {
  constexpr std::size_t kLeastWidth = 64, kLeastWeights = 8192;
  return precision.bfloat16 != nullptr && in >= kLeastWidth && out >= kLeastWidth && in * out >= kLeastWeights;
}

class ReducedProducts {
 public:
  ReducedProducts(std::size_t in, std::size_t out) : in_(in), out_(out) {}

  // Whether the products of this batch are computed here. It depends on the shapes alone.
  bool pay(const Pass& pass) const { return pay(pass.rows, pass.precision); }
  // How many floats of scratch the products of at most `rows` rows need.
  std::size_t scratch_floats(std::size_t rows, const ProductPrecision& precision) const;

  // Every member of the team calls the same function; all are in sync before. x: a rows matrix, w: panels.
  void forward(const Pass& pass, const float* x, const float* w, const ProductTail& tail, float* y) const;
  void weight_gradient(const Pass& pass, const float* x, const float* dy, float* dw) const;
  void input_gradient(const Pass& pass, const float* dy, const float* w, float* dx) const;

 private:
  static constexpr std::size_t kLeastRows = 32;

  bool pay(std::size_t rows, const ProductPrecision& precision) const {
    return reduces(precision, in_, out_) && rows >= kLeastRows;
  }

  std::size_t in_, out_;
};

}  // namespace fastreg
