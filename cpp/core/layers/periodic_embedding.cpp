// PeriodicEmbedding (periodic_layer.h): cosines of each column and a small product behind them. Rows of the output and
// columns of the gradients are independent, and a team splits these.
#include <algorithm>

#include "core/layers/layers.h"

namespace fastreg {
namespace {

class PeriodicOperation final : public Operation {
 public:
  PeriodicOperation(const PeriodicEmbedding& spec, const OperationContext& context)
      : Operation(context.inputs[0], width_of(spec, context.inputs)),
        parameters_(context.parameters),
        frequencies_(parameters_.find(context.index, "frequencies")),
        phases_(parameters_.find(context.index, "phases")),
        kernel_(parameters_.find(context.index, "kernel")),
        bias_(parameters_.find(context.index, "bias")),
        count_(spec.n_frequencies),
        units_(spec.units),
        rectify_(spec.rectify),
        keep_input_(spec.keep_input),
        trainable_(spec.trainable) {}

  bool trainable() const override { return trainable_; }
  // A cosine and a sine take some 30 operations, and the backward pass has as many again.
  double flops_per_row() const override {
    return static_cast<double>(in() * count_) * (60.0 + 8.0 * static_cast<double>(units_));
  }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    const Range rows = pass.team.split(pass.rows, out_ld() == 1 ? kLane : 1);
    pass.kernels.periodic_forward({call(pass, x[0]), y, out_ld(), rows});
    for (std::size_t r = rows.begin; r < rows.end; ++r)
      std::fill(y + r * out_ld() + out(), y + (r + 1) * out_ld(), 0.0f);
  }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override { infer(pass, x, y); }

  bool backward_reads_output() const override { return rectify_; }
  bool backward_in_place(bool) const override { return false; }
  void backward(const Pass& pass, const float* const* x, const float* y, float*,
                const GradientFlow& flow) const override {
    const auto gradient = [&](std::size_t segment) { return parameters_.gradient(pass.gradients, segment); };
    pass.kernels.periodic_backward({call(pass, x[0]), y, flow.dy, out_ld(), flow.dx, in_ld(), gradient(frequencies_),
                                    gradient(phases_), gradient(kernel_), gradient(bias_), pass.rows,
                                    pass.team.split(in())});
    for (std::size_t r = 0; flow.dx != nullptr && pass.team.leader() && r < pass.rows; ++r)
      std::fill(flow.dx + r * in_ld() + in(), flow.dx + (r + 1) * in_ld(), 0.0f);
  }

 private:
  Periodic call(const Pass& pass, const float* x) const {
    const auto weight = [&](std::size_t segment) { return parameters_.in(pass.weights, segment); };
    return {x,    in_ld(), weight(frequencies_), weight(phases_), weight(kernel_), weight(bias_),
            in(), count_,  units_,               rectify_,        keep_input_};
  }

  const Parameters& parameters_;
  std::size_t frequencies_, phases_, kernel_, bias_, count_, units_;
  bool rectify_, keep_input_, trainable_;
};

}  // namespace

std::vector<WeightSpec> weights_of(const PeriodicEmbedding& layer, const Widths& inputs) {
  const std::size_t in = inputs[0], count = layer.n_frequencies;
  std::vector<WeightSpec> out{{"frequencies", {count, in}, layer.frequencies_initializer}};
  if (layer.use_phases) out.push_back({"phases", {count, in}, layer.phases_initializer});
  out.push_back({"kernel",
                 {layer.use_phases ? count : 2 * count, in * layer.units},
                 layer.kernel_initializer,
                 {},
                 true,
                 true});
  out.push_back({"bias", {in * layer.units}, layer.bias_initializer});
  return out;
}

std::size_t width_of(const PeriodicEmbedding& layer, const Widths& inputs) {
  return inputs[0] * (layer.units + (layer.keep_input ? 1 : 0));
}

std::unique_ptr<Operation> make_operation(const PeriodicEmbedding& layer, const OperationContext& context) {
  return std::make_unique<PeriodicOperation>(layer, context);
}

}  // namespace fastreg
