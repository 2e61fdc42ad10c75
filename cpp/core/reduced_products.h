// The three products of a Dense layer in reduced precision: operands are packed as bfloat16 numbers into scratch memory
// by the whole team, which then divides the result. Sums, bias and activation are float32.
#pragma once
#include "core/layer.h"

namespace fastreg {

// What a product y = x W + bias does besides: an activation of single elements, dropout after relu, and the value
// before the activation, which z receives where it is not null.
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

  // For inference, which computes any number of rows here: how many floats the packed w takes, or 0 where the layer is
  // not wide enough, this member's part of packing it, and how many floats of scratch a product of one member needs.
  std::size_t packed_floats_of(const ProductPrecision& precision) const;
  void pack(const Pass& pass, const float* w, std::uint16_t* to) const;
  std::size_t infer_scratch_floats(std::size_t rows, const ProductPrecision& precision) const;
  // For a team of one. x: rows of any alignment, ldx floats apart.
  void infer(const Pass& pass, const float* x, std::size_t ldx, const ProductTail& tail, float* y) const;

  // Every member of the team calls the same function; all are in sync before. x: a rows matrix, w: panels.
  void forward(const Pass& pass, const float* x, const float* w, const ProductTail& tail, float* y) const;
  void weight_gradient(const Pass& pass, const float* x, const float* dy, float* dw) const;
  void input_gradient(const Pass& pass, const float* dy, const float* w, float* dx) const;

 private:
  static constexpr std::size_t kLeastRows = 32;

  bool pay(std::size_t rows, const ProductPrecision& precision) const {
    return reduces(precision, in_, out_) && rows >= kLeastRows;
  }

  static bool within(const ProductTail& tail) {
    return tail.z == nullptr && (tail.activation == ActivationKind::linear || tail.activation == ActivationKind::relu);
  }
  void finish(const Pass& pass, const ProductTail& tail, Range rows, Range cols, float* y) const;

  std::size_t in_, out_;
};

}  // namespace fastreg
