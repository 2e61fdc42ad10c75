// ParametricActivation: y = x + alpha (f(x) - x). The forward pass keeps f(x). It splits rows, the backward pass splits
// columns. Both go through the kernels block by block where they can, so that what one writes is in the cache when the
// next reads it.
#include <algorithm>

#include "core/activations.h"
#include "core/layers/layers.h"

namespace fastreg {
namespace {

constexpr std::size_t kRowsAtOnce = 16;   // whose elements stay in the L1 cache

class ParametricActivationOperation final : public Operation {
 public:
  ParametricActivationOperation(const ParametricActivation& layer, const OperationContext& context)
      : Operation(context.inputs[0], context.inputs[0]),
        activation_(layer.activation),
        trainable_(layer.trainable),
        parameters_(context.parameters),
        alpha_(parameters_.find(context.index, "alpha")) {}

  bool trainable() const override { return trainable_; }
  std::size_t cache_floats(std::size_t rows) const override { return matrix(rows); }
  std::size_t scratch_floats(std::size_t rows, const ProductPrecision&) const override { return 2 * matrix(rows); }

  void infer(const Pass& pass, const float* const* x, float* y) const override { mix(pass, x[0], y, y); }
  void forward(const Pass& pass, const float* const* x, float* y, float* cache) const override {
    mix(pass, x[0], cache, y);
  }

  void backward(const Pass& pass, const float* const* x, const float*, float* f,
                const GradientFlow& flow) const override {
    const Kernels& k = pass.kernels;
    const Range columns = column_split(pass.team, out_ld());
    if (columns.begin == columns.end) return;
    float *const dy = flow.dy, *const difference = pass.scratch, *const through = difference + matrix(pass.rows);
    for_parts({0, pass.rows}, columns, [&](std::size_t at, std::size_t n) {
      k.weighted_sum(1.0f, f + at, -1.0f, x[0] + at, difference + at, n);
    });
    k.feature_scale_backward({difference, alpha(pass), dy, through, parameters_.gradient(pass.gradients, alpha_), false,
                              pass.rows, out(), out_ld(), columns});
    const float* const saved = derivative_from_output(kind()) ? f : x[0];
    for (std::size_t row = 0; row < pass.rows; row += kRowsAtOnce) {
      const Range rows{row, std::min(row + kRowsAtOnce, pass.rows)};
      for_parts(rows, columns, [&](std::size_t at, std::size_t n) {
        k.weighted_sum(1.0f, dy + at, -1.0f, through + at, dy + at, n);
        if (!is_fused(kind())) k.separate_backward(activation_, x[0] + at, through + at, through + at, n);
      });
      const std::size_t at = row * out_ld(), n = rows.end - row;
      if (is_fused(kind()))
        k.activation_backward({kind(), saved + at, through + at, through + at, nullptr, n, out_ld(), columns});
      for_parts(rows, columns, [&](std::size_t part, std::size_t width) {
        k.combine(Combination::add, dy + part, through + part, dy + part, width);
      });
    }
  }

 private:
  ActivationKind kind() const { return activation_.kind; }
  const float* alpha(const Pass& pass) const { return parameters_.in(pass.weights, alpha_); }
  std::size_t matrix(std::size_t rows) const { return round_up(rows * out_ld(), kLane); }

  // f may be y.
  void mix(const Pass& pass, const float* x, float* f, float* y) const {
    const Kernels& k = pass.kernels;
    const Range mine = pass.team.split(pass.rows, out_ld() == 1 ? kLane : 1);
    for (std::size_t row = mine.begin; row < mine.end; row += kRowsAtOnce) {
      const std::size_t rows = std::min(kRowsAtOnce, mine.end - row), at = row * out_ld(), n = rows * out_ld();
      if (is_fused(kind()))
        k.activation_forward(kind(), x + at, f + at, n);
      else
        k.separate_forward(activation_, x + at, f + at, n);
      k.weighted_sum(1.0f, f + at, -1.0f, x + at, y + at, n);
      k.feature_scale({y + at, alpha(pass), y + at, false, rows, out(), out_ld(), {0, out_ld()}});
      k.combine(Combination::add, x + at, y + at, y + at, n);
    }
  }

  // Calls body(first element, number of elements) for the elements of some rows in these columns.
  template <class Body>
  void for_parts(Range rows, Range columns, Body body) const {
    const std::size_t width = columns.end - columns.begin;
    if (width == out_ld()) return body(rows.begin * width, (rows.end - rows.begin) * width);
    for (std::size_t row = rows.begin; row < rows.end; ++row) body(row * out_ld() + columns.begin, width);
  }

  ActivationSpec activation_;
  bool trainable_;
  const Parameters& parameters_;
  std::size_t alpha_;
};

}  // namespace

std::vector<WeightSpec> weights_of(const ParametricActivation& layer, const Widths& inputs) {
  return {{"alpha", {inputs[0]}, layer.alpha_initializer, layer.alpha_regularizer}};
}

std::unique_ptr<Operation> make_operation(const ParametricActivation& layer, const OperationContext& context) {
  return std::make_unique<ParametricActivationOperation>(layer, context);
}

}  // namespace fastreg
