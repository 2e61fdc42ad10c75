// A penalty of what passes: y = x, and the gradient of (l1 sum |x| + l2 sum x^2) / rows is added to that of the loss.
// The training step and the evaluator add the penalty itself to the loss.
#include <cstring>

#include "core/layers/layers.h"

namespace fastreg {
namespace {

class ActivityOperation final : public Operation {
 public:
  ActivityOperation(const Penalty& penalty, std::size_t cols) : Operation(cols, cols), penalty_(penalty) {}

  bool identity_in_inference() const override { return true; }
  const Penalty* activity_penalty() const override { return &penalty_; }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    std::memcpy(y, x[0], pass.rows * out_ld() * sizeof(float));
  }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override {
    const Range rows = pass.team.split(pass.rows);
    std::memcpy(y + rows.begin * out_ld(), x[0] + rows.begin * out_ld(),
                (rows.end - rows.begin) * out_ld() * sizeof(float));
  }
  void backward(const Pass& pass, const float* const* x, const float*, float*,
                const GradientFlow& flow) const override {
    const float share = 1.0f / static_cast<float>(pass.rows);
    const Range rows = pass.team.split(pass.rows);
    for (std::size_t r = rows.begin; r < rows.end; ++r) {
      float* const dy = flow.dy + r * out_ld();
      pass.kernels.whole_gradient({x[0] + r * out_ld(), dy, out(), penalty_.l1 * share, penalty_.l2 * share}, dy);
    }
  }

 private:
  Penalty penalty_;
};

}  // namespace

std::unique_ptr<Operation> make_operation(const ActivityRegularization& layer, const OperationContext& context) {
  return std::make_unique<ActivityOperation>(Penalty{layer.l1, layer.l2}, context.inputs[0]);
}

}  // namespace fastreg
