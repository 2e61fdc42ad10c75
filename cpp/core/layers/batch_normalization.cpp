// Batch normalisation (Ioffe, Szegedy 2015) with what is fused around it: a Dropout layer behind, and on the way back
// the activation and the bias gradient of the Dense layer in front. Columns are independent, so a team splits columns.
#include <optional>
#include <string>

#include "core/layers/layers.h"

namespace fastreg {
namespace {

class BatchNormalizationOperation final : public Operation {
 public:
  BatchNormalizationOperation(const BatchNormalization& spec, std::size_t cols, std::size_t index,
                              const Dropout* dropout, std::size_t dropout_index, const DenseTail* tail,
                              Parameters& parameters)
      : Operation(cols, cols), spec_(spec), parameters_(parameters), tail_(tail ? *tail : DenseTail{}) {
    const std::string prefix = "layers." + std::to_string(index) + ".";
    const auto add = [&](const char* name, bool trainable) {
      return parameters.add({prefix + name, 1, cols, true, trainable}, false, {}, false);
    };
    if (spec.scale) gamma_ = add("gamma", true);
    if (spec.center) beta_ = add("beta", true);
    moving_mean_ = add("moving_mean", false);
    moving_variance_ = add("moving_variance", false);
    if (dropout != nullptr) masks_.emplace(dropout->rate, dropout->seed, dropout_index);
  }

  bool trainable() const override { return spec_.scale || spec_.center; }
  std::size_t cache_floats(std::size_t rows) const override {
    return 2 * statistics_floats() + (masks_ ? masks_->floats(rows * out_ld()) : 0);
  }

  void infer(const Pass& pass, const float* x, float* y) const override {
    pass.kernels.batch_norm_forward_infer(arguments(pass, x, y, nullptr, {0, out_ld()}));
  }

  void forward(const Pass& pass, const float* x, float* y, float* cache) const override {
    if (masks_) {
      masks_->draw(pass, pass.rows * out_ld(), cache + 2 * statistics_floats());
      pass.team.sync();
    }
    pass.kernels.batch_norm_forward_train(arguments(pass, x, y, cache, column_split(pass.team, out_ld())));
  }

  bool takes_outer_product() const override { return true; }

  Gradient backward(const Pass& pass, const float* x, const float*, float* cache, Gradient dy, float* spare,
                    Wanted) const override {
    BatchNormBackward args{};
    args.x = x;
    args.dy = dy.data;
    args.dy_row = dy.row;
    args.dx = dy.row != nullptr ? spare : dy.data;
    args.gamma = parameters_.in(pass.weights, gamma_);
    args.mean = cache;
    args.inv_std = cache + statistics_floats();
    args.dgamma = parameters_.in(pass.gradients, gamma_);
    args.dbeta = parameters_.in(pass.gradients, beta_);
    args.dropout = dropout(cache);
    args.activation = tail_.activation;
    args.db = parameters_.in(pass.gradients, tail_.bias);
    args.rows = pass.rows;
    args.ld = out_ld();
    args.cols = column_split(pass.team, out_ld());
    pass.kernels.batch_norm_backward(args);
    return {args.dx};
  }

 private:
  std::size_t statistics_floats() const { return round_up(out_ld(), kLane); }
  DropoutMask dropout(const float* cache) const {
    return masks_ ? masks_->mask(cache + 2 * statistics_floats()) : DropoutMask{nullptr, 1.0f};
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
      args.dropout = dropout(cache);
    }
    args.momentum = spec_.momentum;
    args.epsilon = spec_.epsilon;
    args.rows = pass.rows;
    args.ld = out_ld();
    args.cols = cols;
    return args;
  }

  BatchNormalization spec_;
  const Parameters& parameters_;
  DenseTail tail_;
  std::optional<DropoutMasks> masks_;
  std::size_t gamma_ = kNoSegment, beta_ = kNoSegment, moving_mean_ = kNoSegment, moving_variance_ = kNoSegment;
};

}  // namespace

std::unique_ptr<Operation> make_batch_normalization(const BatchNormalization& spec, std::size_t cols, std::size_t index,
                                                    const Dropout* dropout, std::size_t dropout_index,
                                                    const DenseTail* tail, Parameters& parameters) {
  return std::make_unique<BatchNormalizationOperation>(spec, cols, index, dropout, dropout_index, tail, parameters);
}

}  // namespace fastreg
