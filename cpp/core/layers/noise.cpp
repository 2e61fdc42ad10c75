// Noise in training: GaussianNoise, GaussianDropout (Srivastava et al. 2014) and AlphaDropout (Klambauer et al. 2017).
// Every random number is a function of (seed, step, layer, element), as that of dropout (dropout.cpp); element is the
// index in the padded buffer.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/layers/layers.h"

namespace fastreg {
namespace {

constexpr std::size_t kGroup = 64;   // the number of normal numbers that are drawn together

// Adds or multiplies normal numbers. The backward pass of a product needs them again.
class GaussianOperation final : public Operation {
 public:
  GaussianOperation(Combination combination, float deviation, std::optional<std::uint64_t> seed,
                    const OperationContext& context)
      : Operation(context.inputs[0], context.inputs[0]),
        combination_(combination),
        deviation_(deviation),
        seed_(seed),
        stream_(static_cast<std::uint32_t>(context.index)) {}

  bool identity_in_inference() const override { return true; }
  std::size_t cache_floats(std::size_t rows) const override { return round_up(rows * out_ld(), kGroup); }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    std::memcpy(y, x[0], pass.rows * out_ld() * sizeof(float));
  }
  void forward(const Pass& pass, const float* const* x, float* y, float* cache) const override {
    const Range groups = pass.team.split(round_up(pass.rows * out_ld(), kGroup) / kGroup);
    const float mean = combination_ == Combination::multiply ? 1.0f : 0.0f;
    pass.kernels.random_normals({{seed_.value_or(pass.seed), stream_, pass.step}, mean, deviation_, cache, groups});
    combine(pass, groups, x[0], cache, y);
  }

  bool passes_gradient_on() const override { return combination_ == Combination::add; }
  void backward(const Pass& pass, const float* const*, const float*, float* cache,
                const GradientFlow& flow) const override {
    combine(pass, pass.team.split(round_up(pass.rows * out_ld(), kGroup) / kGroup), flow.dy, cache, flow.dy);
  }

 private:
  // The elements of these groups, so that each member reads the numbers that it drew itself.
  void combine(const Pass& pass, Range groups, const float* x, const float* noise, float* y) const {
    const std::size_t total = pass.rows * out_ld();
    const std::size_t begin = std::min(total, groups.begin * kGroup), end = std::min(total, groups.end * kGroup);
    if (begin < end) pass.kernels.combine(combination_, x + begin, noise + begin, y + begin, end - begin);
  }

  Combination combination_;
  float deviation_;
  std::optional<std::uint64_t> seed_;
  std::uint32_t stream_;
};

// With a = ((1 - p) (1 + p limit^2))^(-1/2) for the probability p and the limit of selu: y = a x + b where an element is
// kept, else a limit + b, and b = -a p limit keeps the mean.
class AlphaDropoutOperation final : public Operation {
 public:
  AlphaDropoutOperation(const AlphaDropout& spec, const OperationContext& context)
      : Operation(context.inputs[0], context.inputs[0]), masks_(spec.rate, spec.seed, context.index) {
    constexpr double kLimit = -1.7580993408473766;
    const double p = masks_.probability(), a = 1.0 / std::sqrt((1.0 - p) * (1.0 + p * kLimit * kLimit));
    scale_ = static_cast<float>(a);
    shift_ = static_cast<float>(-a * p * kLimit);
    dropped_ = static_cast<float>(a * kLimit - a * p * kLimit);
  }

  bool identity_in_inference() const override { return true; }
  std::size_t cache_floats(std::size_t rows) const override { return masks_.floats(rows * out_ld()); }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    std::memcpy(y, x[0], pass.rows * out_ld() * sizeof(float));
  }
  void forward(const Pass& pass, const float* const* x, float* y, float* cache) const override {
    if (!masks_.active()) return pass.kernels.dropout_apply({nullptr, 1.0f}, x[0], y, part(pass));
    masks_.draw(pass, pass.rows * out_ld(), cache);
    pass.team.sync();
    pass.kernels.dropout_affine(mask(cache), shift_, dropped_, x[0], y, part(pass));
  }
  void backward(const Pass& pass, const float* const*, const float*, float* cache,
                const GradientFlow& flow) const override {
    if (masks_.active()) pass.kernels.dropout_apply(mask(cache), flow.dy, flow.dy, part(pass));
  }

 private:
  DropoutMask mask(const float* cache) const { return {masks_.mask(cache).mask, scale_}; }
  Range part(const Pass& pass) const { return pass.team.split(round_up(pass.rows * out_ld(), kLane), kLane); }

  DropoutMasks masks_;
  float scale_, shift_, dropped_;
};

}  // namespace

std::unique_ptr<Operation> make_operation(const GaussianNoise& layer, const OperationContext& context) {
  return std::make_unique<GaussianOperation>(Combination::add, layer.stddev, layer.seed, context);
}
std::unique_ptr<Operation> make_operation(const GaussianDropout& layer, const OperationContext& context) {
  const float deviation = std::sqrt(layer.rate / (1.0f - layer.rate));
  return std::make_unique<GaussianOperation>(Combination::multiply, deviation, layer.seed, context);
}
std::unique_ptr<Operation> make_operation(const AlphaDropout& layer, const OperationContext& context) {
  return std::make_unique<AlphaDropoutOperation>(layer, context);
}

}  // namespace fastreg
