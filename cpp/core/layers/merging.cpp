// Joins without a kernel of their own: Subtract, Average, Maximum, Minimum, Dot. They have no weights.
#include <algorithm>

#include "core/layers/layers.h"
#include "core/layers/rows.h"

namespace fastreg {
namespace {

class SubtractOperation final : public Operation {
 public:
  explicit SubtractOperation(std::size_t cols) : Operation(cols, cols) {}

  void infer(const Pass& pass, const float* const* x, float* y) const override { forward(pass, x, y, nullptr); }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override {
    const Range part = element_split(pass, out_ld());
    merge(Merge::subtract, x[0] + part.begin, x[1] + part.begin, y + part.begin, part.end - part.begin);
  }
  bool backward_in_place(bool) const override { return false; }
  void backward(const Pass& pass, const float* const*, const float*, float*, const GradientFlow& flow) const override {
    const Range part = element_split(pass, out_ld());
    for (std::size_t e = part.begin; e < part.end; ++e) flow.dx[e] = flow.input == 0 ? flow.dy[e] : -flow.dy[e];
  }
};

class AverageOperation final : public Operation {
 public:
  AverageOperation(std::size_t cols, std::size_t count) : Operation(cols, cols), count_(count) {}

  void infer(const Pass& pass, const float* const* x, float* y) const override { forward(pass, x, y, nullptr); }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override {
    const Range part = element_split(pass, out_ld());
    const float* left = x[0];
    for (std::size_t i = 1; i < count_; ++i) {
      pass.kernels.combine(Combination::add, left + part.begin, x[i] + part.begin, y + part.begin,
                           part.end - part.begin);
      left = y;
    }
    divide(y + part.begin, static_cast<float>(count_), y + part.begin, part.end - part.begin);
  }
  bool backward_in_place(bool) const override { return false; }
  void backward(const Pass& pass, const float* const*, const float*, float*, const GradientFlow& flow) const override {
    const Range part = element_split(pass, out_ld());
    divide(flow.dy + part.begin, static_cast<float>(count_), flow.dx + part.begin, part.end - part.begin);
  }

 private:
  std::size_t count_;
};

// Maximum or Minimum. The gradient goes to the input that the value is from.
class ExtremeOperation final : public Operation {
 public:
  ExtremeOperation(Merge kind, std::size_t cols, std::size_t count)
      : Operation(cols, cols), kind_(kind), count_(count) {}

  void infer(const Pass& pass, const float* const* x, float* y) const override { forward(pass, x, y, nullptr); }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override {
    const Range part = element_split(pass, out_ld());
    const float* left = x[0];
    for (std::size_t i = 1; i < count_; ++i) {
      merge(kind_, left + part.begin, x[i] + part.begin, y + part.begin, part.end - part.begin);
      left = y;
    }
  }
  bool backward_in_place(bool) const override { return false; }
  void backward(const Pass& pass, const float* const* x, const float*, float*,
                const GradientFlow& flow) const override {
    const Range part = element_split(pass, out_ld());
    for (std::size_t e = part.begin; e < part.end; ++e) {
      const float share = share_of_extreme(kind_, count_, flow.input, [&](std::size_t i) { return x[i][e]; });
      flow.dx[e] = share == 0.0f ? 0.0f : flow.dy[e] * share;
    }
  }

 private:
  Merge kind_;
  std::size_t count_;
};

class DotOperation final : public Operation {
 public:
  DotOperation(const Dot& spec, const Widths& widths)
      : Operation(widths[0], width_of(spec, widths)), spec_(spec), widths_(widths) {}

  double flops_per_row() const override { return 6.0 * static_cast<double>(spec_.length * out()); }

  void infer(const Pass& pass, const float* const* x, float* y) const override { forward(pass, x, y, nullptr); }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override {
    const Range rows = split_rows(pass, out_ld());
    for (std::size_t r = rows.begin; r < rows.end; ++r) {
      float* const to = y + r * out_ld();
      dot_row(spec_, side(x, 0, r), side(x, 1, r), to);
      std::fill(to + out(), to + out_ld(), 0.0f);
    }
  }
  bool backward_in_place(bool) const override { return false; }
  void backward(const Pass& pass, const float* const* x, const float*, float*,
                const GradientFlow& flow) const override {
    const bool first = flow.input == 0;
    const std::size_t width = widths_[flow.input], ld = padded_ld(width);
    const Range rows = split_rows(pass, ld);
    for (std::size_t r = rows.begin; r < rows.end; ++r) {
      const Vectors mine = side(x, flow.input, r), other = side(x, 1 - flow.input, r);
      float* const dx = flow.dx + r * ld;
      dot_row_backward(spec_, mine, other, flow.dy + r * out_ld(), first ? other.count : 1, first ? 1 : mine.count, dx);
      std::fill(dx + width, dx + ld, 0.0f);
    }
  }

 private:
  // Rows of one float are shared in whole cache lines.
  static Range split_rows(const Pass& pass, std::size_t ld) { return pass.team.split(pass.rows, ld == 1 ? kLane : 1); }
  Vectors side(const float* const* x, std::size_t input, std::size_t row) const {
    return vectors_of(spec_, input == 0, x[input] + row * padded_ld(widths_[input]), widths_[input]);
  }

  Dot spec_;
  Widths widths_;
};

}  // namespace

std::size_t width_of(const Dot& dot, const Widths& inputs) {
  return (inputs[0] / dot.length) * (inputs[1] / dot.length);
}

std::unique_ptr<Operation> make_operation(const Subtract&, const OperationContext& context) {
  if (broadcasts(context.inputs)) return make_broadcast(Elementwise::subtract, context.inputs);
  return std::make_unique<SubtractOperation>(context.inputs[0]);
}
std::unique_ptr<Operation> make_operation(const Average&, const OperationContext& context) {
  if (broadcasts(context.inputs)) return make_broadcast(Elementwise::average, context.inputs);
  return std::make_unique<AverageOperation>(context.inputs[0], context.inputs.size());
}
std::unique_ptr<Operation> make_operation(const Maximum&, const OperationContext& context) {
  if (broadcasts(context.inputs)) return make_broadcast(Elementwise::maximum, context.inputs);
  return std::make_unique<ExtremeOperation>(Merge::maximum, context.inputs[0], context.inputs.size());
}
std::unique_ptr<Operation> make_operation(const Minimum&, const OperationContext& context) {
  if (broadcasts(context.inputs)) return make_broadcast(Elementwise::minimum, context.inputs);
  return std::make_unique<ExtremeOperation>(Merge::minimum, context.inputs[0], context.inputs.size());
}
std::unique_ptr<Operation> make_operation(const Dot& layer, const OperationContext& context) {
  return std::make_unique<DotOperation>(layer, context.inputs);
}

}  // namespace fastreg
