// A learned factor for each column: of every element (Scale), or of those that are not above 0 (PReLU). Columns are
// independent, so a team splits columns.
#include "core/layers/layers.h"

namespace fastreg {
namespace {

class FeatureScaleOperation final : public Operation {
 public:
  FeatureScaleOperation(bool rectified, bool trainable, const char* weight, const OperationContext& context)
      : Operation(context.inputs[0], context.inputs[0]),
        rectified_(rectified),
        trainable_(trainable),
        parameters_(context.parameters),
        scale_(parameters_.find(context.index, weight)) {}

  bool trainable() const override { return trainable_; }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    multiply(pass, x[0], y, {0, out_ld()});
  }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override {
    multiply(pass, x[0], y, column_split(pass.team, out_ld()));
  }
  void backward(const Pass& pass, const float* const* x, const float*, float*,
                const GradientFlow& flow) const override {
    pass.kernels.feature_scale_backward({x[0], parameters_.in(pass.weights, scale_), flow.dy, flow.dx,
                                         parameters_.gradient(pass.gradients, scale_), rectified_, pass.rows, out(),
                                         out_ld(), column_split(pass.team, out_ld())});
  }

 private:
  void multiply(const Pass& pass, const float* x, float* y, Range range) const {
    pass.kernels.feature_scale(
        {x, parameters_.in(pass.weights, scale_), y, rectified_, pass.rows, out(), out_ld(), range});
  }

  bool rectified_, trainable_;
  const Parameters& parameters_;
  std::size_t scale_;
};

}  // namespace

std::vector<WeightSpec> weights_of(const Scale& layer, const Widths& inputs) {
  return {
      WeightSpec{"scale", {inputs[0]}, layer.scale_initializer, layer.scale_regularizer}.with(layer.scale_constraint)};
}
std::vector<WeightSpec> weights_of(const PReLU& layer, const Widths& inputs) {
  return {
      WeightSpec{"alpha", {inputs[0]}, layer.alpha_initializer, layer.alpha_regularizer}.with(layer.alpha_constraint)};
}

std::unique_ptr<Operation> make_operation(const Scale& layer, const OperationContext& context) {
  return std::make_unique<FeatureScaleOperation>(false, layer.trainable, "scale", context);
}
std::unique_ptr<Operation> make_operation(const PReLU& layer, const OperationContext& context) {
  return std::make_unique<FeatureScaleOperation>(true, layer.trainable, "alpha", context);
}

}  // namespace fastreg
