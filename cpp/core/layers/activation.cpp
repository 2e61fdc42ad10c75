// An activation as an operation of its own: softmax, and any activation that is not fused into the operation before it.
#include "core/layers/layers.h"

namespace fastreg {
namespace {

class ActivationOperation final : public Operation {
 public:
  ActivationOperation(ActivationKind activation, std::size_t cols) : Operation(cols, cols), activation_(activation) {}

  bool identity_in_inference() const override { return activation_ == ActivationKind::linear; }

  void infer(const Pass& pass, const float* const* x, float* y) const override { apply(pass, x[0], y); }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override { apply(pass, x[0], y); }

  bool backward_reads_output() const override {
    return activation_ == ActivationKind::softmax ||
           (activation_ != ActivationKind::linear && derivative_from_output(activation_));
  }

  void backward(const Pass& pass, const float* const* x, const float* y, float*,
                const GradientFlow& flow) const override {
    float* const dy = flow.dy;
    if (activation_ == ActivationKind::softmax) {
      pass.kernels.softmax_backward({out(), out_ld(), nullptr, const_cast<float*>(y), dy, dy, row_split(pass)});
    } else if (activation_ != ActivationKind::linear) {
      const float* saved = derivative_from_output(activation_) ? y : x[0];
      pass.kernels.activation_backward(
          {activation_, saved, dy, dy, nullptr, pass.rows, out_ld(), column_split(pass.team, out_ld())});
    }
  }

 private:
  static Range row_split(const Pass& pass) { return pass.team.split(pass.rows); }

  void apply(const Pass& pass, const float* x, float* y) const {
    if (activation_ == ActivationKind::softmax) {
      pass.kernels.softmax_forward({out(), out_ld(), x, y, nullptr, nullptr, row_split(pass)});
    } else {
      const Range part = pass.team.split(round_up(pass.rows * out_ld(), kLane), kLane);
      pass.kernels.activation_forward(activation_, x + part.begin, y + part.begin, part.end - part.begin);
    }
  }

  ActivationKind activation_;
};

}  // namespace

std::unique_ptr<Operation> make_operation(const Activation& layer, const OperationContext& context) {
  return std::make_unique<ActivationOperation>(layer.activation, context.inputs[0]);
}

}  // namespace fastreg
