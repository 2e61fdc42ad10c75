// Normalisation of single rows: LayerNormalization (Ba, Kiros, Hinton 2016), RMSNormalization (Zhang, Sennrich 2019)
// and UnitNormalization. Rows are independent, so a team splits them; the gradients of weights it splits by columns.
#include "core/layers/layers.h"

namespace fastreg {
namespace {

class RowNormalizationOperation final : public Operation {
 public:
  // gamma, beta: the names of the weights.
  RowNormalizationOperation(RowStatistic statistic, float epsilon, bool trainable, const char* gamma,
                            const OperationContext& context)
      : Operation(context.inputs[0], context.inputs[0]),
        statistic_(statistic),
        epsilon_(epsilon),
        parameters_(context.parameters),
        gamma_(parameters_.find(context.index, gamma)),
        beta_(parameters_.find(context.index, "beta")),
        trainable_(trainable && (gamma_ != kNoSegment || beta_ != kNoSegment)) {}

  bool trainable() const override { return trainable_; }
  std::size_t cache_floats(std::size_t rows) const override { return 2 * statistics_floats(rows); }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    normalise(pass, x[0], y, nullptr, {0, pass.rows});
  }
  void forward(const Pass& pass, const float* const* x, float* y, float* cache) const override {
    normalise(pass, x[0], y, cache, pass.team.split(pass.rows));
  }

  void backward(const Pass& pass, const float* const* x, const float*, float* cache,
                const GradientFlow& flow) const override {
    RowNormBackward args{};
    args.statistic = statistic_;
    args.x = x[0];
    args.dy = flow.dy;
    args.dx = flow.dx;
    args.gamma = parameters_.in(pass.weights, gamma_);
    args.mean = cache;
    args.inv = cache + statistics_floats(pass.rows);
    args.dgamma = parameters_.gradient(pass.gradients, gamma_);
    args.dbeta = parameters_.gradient(pass.gradients, beta_);
    args.cols = out();
    args.ld = out_ld();
    if (trainable_) {
      args.rows = {0, pass.rows};
      pass.kernels.row_norm_parameters(args, column_split(pass.team, out_ld()));
      pass.team.sync();   // dx overwrites dy
    }
    args.rows = pass.team.split(pass.rows);
    pass.kernels.row_norm_backward(args);
  }

 private:
  static std::size_t statistics_floats(std::size_t rows) { return round_up(rows, kLane); }
  void normalise(const Pass& pass, const float* x, float* y, float* cache, Range rows) const {
    float* const inv = cache != nullptr ? cache + statistics_floats(pass.rows) : nullptr;
    pass.kernels.row_norm_forward({statistic_, epsilon_, x, y, parameters_.in(pass.weights, gamma_),
                                   parameters_.in(pass.weights, beta_), cache, inv, out(), out_ld(), rows});
  }

  RowStatistic statistic_;
  float epsilon_;
  const Parameters& parameters_;
  std::size_t gamma_, beta_;
  bool trainable_;
};

}  // namespace

std::vector<WeightSpec> weights_of(const LayerNormalization& layer, const Widths& inputs) {
  const Widths width{inputs[0]};
  std::vector<WeightSpec> out;
  if (layer.scale)
    out.push_back(
        WeightSpec{"gamma", width, layer.gamma_initializer, layer.gamma_regularizer}.with(layer.gamma_constraint));
  if (layer.center)
    out.push_back(
        WeightSpec{"beta", width, layer.beta_initializer, layer.beta_regularizer}.with(layer.beta_constraint));
  return out;
}

std::vector<WeightSpec> weights_of(const RMSNormalization&, const Widths& inputs) {
  return {{"scale", {inputs[0]}, Ones{}}};
}

std::unique_ptr<Operation> make_operation(const LayerNormalization& layer, const OperationContext& context) {
  return std::make_unique<RowNormalizationOperation>(RowStatistic::standard, layer.epsilon, layer.trainable, "gamma",
                                                     context);
}
std::unique_ptr<Operation> make_operation(const RMSNormalization& layer, const OperationContext& context) {
  return std::make_unique<RowNormalizationOperation>(RowStatistic::root_mean_square, layer.epsilon, layer.trainable,
                                                     "scale", context);
}
std::unique_ptr<Operation> make_operation(const UnitNormalization&, const OperationContext& context) {
  return std::make_unique<RowNormalizationOperation>(RowStatistic::unit, 0.0f, false, "gamma", context);
}

}  // namespace fastreg
