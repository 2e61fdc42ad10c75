// Batch normalisation (Ioffe, Szegedy 2015), fused with a Dropout layer that follows it and, in the backward pass, with
// the activation and the bias gradient of the preceding Dense layer. Columns are independent, so a team splits columns.
#include <algorithm>
#include <optional>

#include "core/layers/layers.h"

namespace fastreg {
namespace {

class BatchNormalizationOperation final : public Operation {
 public:
  BatchNormalizationOperation(const BatchNormalization& spec, const OperationContext& context)
      : Operation(context.inputs[0], context.inputs[0]),
        spec_(spec),
        parameters_(context.parameters),
        tail_(context.tail != nullptr ? *context.tail : DenseTail{}),
        gamma_(parameters_.find(context.index, "gamma")),
        beta_(parameters_.find(context.index, "beta")),
        moving_mean_(parameters_.find(context.index, "moving_mean")),
        moving_variance_(parameters_.find(context.index, "moving_variance")) {
    if (context.dropout != nullptr)
      masks_.emplace(StepRate(context.dropout->rate, kNotScheduled), context.dropout->seed, context.dropout_index);
  }

  bool trainable() const override { return spec_.scale || spec_.center; }
  bool takes_batch_statistics() const override { return true; }
  std::size_t cache_floats(std::size_t rows) const override {
    return 2 * statistics_floats() + (masks_ ? masks_->floats(rows * out_ld()) : 0);
  }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    pass.kernels.batch_norm_forward_infer(arguments(pass, x[0], y, nullptr, {0, out_ld()}));
  }

  void forward(const Pass& pass, const float* const* x, float* y, float* cache) const override {
    if (masks_) {
      masks_->draw(pass, pass.rows * out_ld(), cache + 2 * statistics_floats());
      pass.team.sync();
    }
    pass.kernels.batch_norm_forward_train(arguments(pass, x[0], y, cache, column_split(pass.team, out_ld())));
  }

  bool takes_outer_product() const override { return true; }

  bool backward_in_place(bool outer) const override { return !outer; }

  void backward(const Pass& pass, const float* const* x, const float*, float* cache,
                const GradientFlow& flow) const override {
    BatchNormBackward args{};
    args.x = x[0];
    args.dy = flow.dy;
    args.dy_row = flow.row;
    args.dx = flow.dx;
    args.gamma = parameters_.in(pass.weights, gamma_);
    args.mean = cache;
    args.inv_std = cache + statistics_floats();
    args.dgamma = parameters_.gradient(pass.gradients, gamma_);
    args.dbeta = parameters_.gradient(pass.gradients, beta_);
    args.dropout = dropout(pass, cache);
    args.activation = tail_.activation;
    args.db = parameters_.gradient(pass.gradients, tail_.bias);
    args.rows = pass.rows;
    args.ld = out_ld();
    args.cols = column_split(pass.team, out_ld());
    pass.kernels.batch_norm_backward(args);
  }

 private:
  std::size_t statistics_floats() const { return round_up(out_ld(), kLane); }
  DropoutMask dropout(const Pass& pass, const float* cache) const {
    return masks_ ? masks_->mask(pass, cache + 2 * statistics_floats()) : DropoutMask{nullptr, 1.0f};
  }
  BatchNormForward arguments(const Pass& pass, const float* x, float* y, float* cache, Range cols) const {
    BatchNormForward args{};
    args.x = x;
    args.y = y;
    args.gamma = parameters_.in(pass.weights, gamma_);
    args.beta = parameters_.in(pass.weights, beta_);
    args.moving_mean = parameters_.in(pass.weights, moving_mean_);
    args.moving_variance = parameters_.in(pass.weights, moving_variance_);
    if (cache != nullptr) {
      args.mean = cache;
      args.inv_std = cache + statistics_floats();
      args.dropout = dropout(pass, cache);
    }
    // Without a momentum the average is that of all batches so far.
    const double batches = static_cast<double>(pass.step) + 1.0;
    args.momentum = spec_.momentum.value_or(static_cast<float>((batches - 1.0) / batches));
    args.epsilon = spec_.epsilon;
    args.rows = pass.rows;
    args.ld = out_ld();
    args.cols = cols;
    return args;
  }

  BatchNormalization spec_;
  const Parameters& parameters_;
  DenseTail tail_;
  std::size_t gamma_, beta_, moving_mean_, moving_variance_;
  std::optional<DropoutMasks> masks_;
};

// A layer that is not trained. It uses the moving statistics in training, too, so each column is a linear function.
class FrozenNormalizationOperation final : public Operation {
 public:
  FrozenNormalizationOperation(const BatchNormalization& spec, const OperationContext& context)
      : Operation(context.inputs[0], context.inputs[0]),
        epsilon_(spec.epsilon),
        parameters_(context.parameters),
        gamma_(parameters_.find(context.index, "gamma")),
        beta_(parameters_.find(context.index, "beta")),
        moving_mean_(parameters_.find(context.index, "moving_mean")),
        moving_variance_(parameters_.find(context.index, "moving_variance")) {}

  // A mean of zeros, for the backward pass.
  std::size_t cache_floats(std::size_t) const override { return round_up(out_ld(), kLane); }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    normalise(pass, x[0], y, {0, out_ld()});
  }

  void forward(const Pass& pass, const float* const* x, float* y, float*) const override {
    normalise(pass, x[0], y, column_split(pass.team, out_ld()));
  }

  // dx = gamma dy / sqrt(variance + epsilon): the forward pass of dy with neither mean nor beta.
  void backward(const Pass& pass, const float* const*, const float*, float* cache,
                const GradientFlow& flow) const override {
    const Range cols = column_split(pass.team, out_ld());
    std::fill(cache + cols.begin, cache + cols.end, 0.0f);
    BatchNormForward args = arguments(pass, flow.dy, flow.dy, cols);
    args.beta = nullptr;
    args.moving_mean = cache;
    pass.kernels.batch_norm_forward_infer(args);
  }

 private:
  void normalise(const Pass& pass, const float* x, float* y, Range cols) const {
    pass.kernels.batch_norm_forward_infer(arguments(pass, x, y, cols));
  }
  BatchNormForward arguments(const Pass& pass, const float* x, float* y, Range cols) const {
    BatchNormForward args{};
    args.x = x;
    args.y = y;
    args.gamma = parameters_.in(pass.weights, gamma_);
    args.beta = parameters_.in(pass.weights, beta_);
    args.moving_mean = parameters_.in(pass.weights, moving_mean_);
    args.moving_variance = parameters_.in(pass.weights, moving_variance_);
    args.dropout = {nullptr, 1.0f};
    args.epsilon = epsilon_;
    args.rows = pass.rows;
    args.ld = out_ld();
    args.cols = cols;
    return args;
  }

  float epsilon_;
  const Parameters& parameters_;
  std::size_t gamma_, beta_, moving_mean_, moving_variance_;
};

}  // namespace

std::vector<WeightSpec> weights_of(const BatchNormalization& layer, const Widths& inputs) {
  const Widths width{inputs[0]};
  std::vector<WeightSpec> out;
  if (layer.scale)
    out.push_back(
        WeightSpec{"gamma", width, layer.gamma_initializer, layer.gamma_regularizer}.with(layer.gamma_constraint));
  if (layer.center)
    out.push_back(
        WeightSpec{"beta", width, layer.beta_initializer, layer.beta_regularizer}.with(layer.beta_constraint));
  out.push_back({"moving_mean", width, layer.moving_mean_initializer, {}, false});
  out.push_back({"moving_variance", width, layer.moving_variance_initializer, {}, false});
  return out;
}

std::unique_ptr<Operation> make_operation(const BatchNormalization& layer, const OperationContext& context) {
  if (!layer.trainable) return std::make_unique<FrozenNormalizationOperation>(layer, context);
  return std::make_unique<BatchNormalizationOperation>(layer, context);
}

}  // namespace fastreg
