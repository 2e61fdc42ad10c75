// Layers that join two or more values: Add, Multiply, Concatenate. They have no weights. A join may read the same value
// twice: each of its inputs has a gradient of its own, and the backward plan adds them up.
#include <algorithm>
#include <numeric>

#include "core/layers/layers.h"
#include "core/layers/rows.h"

namespace fastreg {
namespace {

// y = x[0] + x[1] + ..., or their product, from left to right.
void combine_all(const Pass& pass, Combination combination, const float* const* x, std::size_t count, float* y,
                 Range part) {
  const float* left = x[0];
  for (std::size_t i = 1; i < count; ++i) {
    pass.kernels.combine(combination, left + part.begin, x[i] + part.begin, y + part.begin, part.end - part.begin);
    left = y;
  }
}

class AddOperation final : public Operation {
 public:
  AddOperation(std::size_t cols, std::size_t count) : Operation(cols, cols), count_(count) {}

  void infer(const Pass& pass, const float* const* x, float* y) const override { forward(pass, x, y, nullptr); }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override {
    combine_all(pass, Combination::add, x, count_, y, element_split(pass, out_ld()));
  }
  bool passes_gradient_on() const override { return true; }
  void backward(const Pass&, const float* const*, const float*, float*, const GradientFlow&) const override {}

 private:
  std::size_t count_;
};

class MultiplyOperation final : public Operation {
 public:
  MultiplyOperation(std::size_t cols, std::size_t count) : Operation(cols, cols), count_(count) {}

  void infer(const Pass& pass, const float* const* x, float* y) const override { forward(pass, x, y, nullptr); }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override {
    combine_all(pass, Combination::multiply, x, count_, y, element_split(pass, out_ld()));
  }
  bool backward_in_place(bool) const override { return false; }
  // dx of one input = dy times all the others, from left to right.
  void backward(const Pass& pass, const float* const* x, const float*, float*,
                const GradientFlow& flow) const override {
    const Range part = element_split(pass, out_ld());
    const float* left = flow.dy;
    for (std::size_t i = 0; i < count_; ++i) {
      if (i == flow.input) continue;
      pass.kernels.combine(Combination::multiply, left + part.begin, x[i] + part.begin, flow.dx + part.begin,
                           part.end - part.begin);
      left = flow.dx;
    }
  }

 private:
  std::size_t count_;
};

// The columns of every input side by side; a copy of rows, for which the core needs no kernel.
class ConcatenateOperation final : public Operation {
 public:
  explicit ConcatenateOperation(const Widths& widths)
      : Operation(widths[0], std::accumulate(widths.begin(), widths.end(), std::size_t{0})), widths_(widths) {
    for (std::size_t i = 0; i < widths.size(); ++i) firsts_.push_back(i == 0 ? 0 : firsts_[i - 1] + widths[i - 1]);
  }

  void infer(const Pass& pass, const float* const* x, float* y) const override { forward(pass, x, y, nullptr); }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override {
    const Range rows = pass.team.split(pass.rows);
    for (std::size_t r = rows.begin; r < rows.end; ++r) {
      float* to = y + r * out_ld();
      float* const end = to + out_ld();
      for (std::size_t i = 0; i < widths_.size(); ++i)
        to = std::copy_n(x[i] + r * padded_ld(widths_[i]), widths_[i], to);
      std::fill(to, end, 0.0f);
    }
  }
  bool backward_in_place(bool) const override { return false; }
  void backward(const Pass& pass, const float* const*, const float*, float*, const GradientFlow& flow) const override {
    const Range rows = pass.team.split(pass.rows);
    const std::size_t width = widths_[flow.input], ld = padded_ld(width);
    for (std::size_t r = rows.begin; r < rows.end; ++r) {
      float* const to = std::copy_n(flow.dy + r * out_ld() + firsts_[flow.input], width, flow.dx + r * ld);
      std::fill(to, flow.dx + (r + 1) * ld, 0.0f);
    }
  }

 private:
  Widths widths_, firsts_;   // firsts_: the column of y where each begins
};

}  // namespace

std::size_t width_of(const Concatenate&, const Widths& inputs) {
  return std::accumulate(inputs.begin(), inputs.end(), std::size_t{0});
}

std::unique_ptr<Operation> make_operation(const Add&, const OperationContext& context) {
  if (broadcasts(context.inputs)) return make_broadcast(Elementwise::add, context.inputs);
  return std::make_unique<AddOperation>(context.inputs[0], context.inputs.size());
}
std::unique_ptr<Operation> make_operation(const Multiply&, const OperationContext& context) {
  if (broadcasts(context.inputs)) return make_broadcast(Elementwise::multiply, context.inputs);
  return std::make_unique<MultiplyOperation>(context.inputs[0], context.inputs.size());
}
std::unique_ptr<Operation> make_operation(const Concatenate&, const OperationContext& context) {
  return std::make_unique<ConcatenateOperation>(context.inputs);
}

}  // namespace fastreg
