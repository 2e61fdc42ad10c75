// An activation as an operation of its own: any that is not fused into the operation before it.
#include "core/activations.h"
#include "core/layers/layers.h"

namespace fastreg {
namespace {

class ActivationOperation final : public Operation {
 public:
  ActivationOperation(const ActivationSpec& activation, std::size_t cols)
      : Operation(cols, cols), activation_(activation) {}

  bool identity_in_inference() const override { return kind() == ActivationKind::linear; }

  void infer(const Pass& pass, const float* const* x, float* y) const override { apply(pass, x[0], y); }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override { apply(pass, x[0], y); }

  bool backward_reads_output() const override {
    return kind() != ActivationKind::linear && derivative_from_output(kind());
  }

  void backward(const Pass& pass, const float* const* x, const float* y, float*,
                const GradientFlow& flow) const override {
    float* const dy = flow.dy;
    if (needs_rows(kind())) {
      pass.kernels.softmax_backward({out(), out_ld(), nullptr, const_cast<float*>(y), dy, dy, row_split(pass), kind()});
    } else if (!is_fused(kind())) {
      const Range part = element_split(pass);
      pass.kernels.separate_backward(activation_, x[0] + part.begin, dy + part.begin, dy + part.begin,
                                     part.end - part.begin);
    } else if (kind() != ActivationKind::linear) {
      const float* saved = derivative_from_output(kind()) ? y : x[0];
      pass.kernels.activation_backward(
          {kind(), saved, dy, dy, nullptr, pass.rows, out_ld(), column_split(pass.team, out_ld())});
    }
  }

 private:
  ActivationKind kind() const { return activation_.kind; }
  static Range row_split(const Pass& pass) { return pass.team.split(pass.rows); }
  Range element_split(const Pass& pass) const { return pass.team.split(round_up(pass.rows * out_ld(), kLane), kLane); }

  void apply(const Pass& pass, const float* x, float* y) const {
    if (needs_rows(kind()))
      return pass.kernels.softmax_forward({out(), out_ld(), x, y, nullptr, nullptr, row_split(pass), kind()});
    const Range part = element_split(pass);
    if (is_fused(kind()))
      pass.kernels.activation_forward(kind(), x + part.begin, y + part.begin, part.end - part.begin);
    else
      pass.kernels.separate_forward(activation_, x + part.begin, y + part.begin, part.end - part.begin);
  }

  ActivationSpec activation_;
};

}  // namespace

std::unique_ptr<Operation> make_operation(const Activation& layer, const OperationContext& context) {
  return std::make_unique<ActivationOperation>(layer.activation, context.inputs[0]);
}

}  // namespace fastreg
