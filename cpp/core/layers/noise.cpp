// Noise in training: GaussianNoise, GaussianDropout (Srivastava et al. 2014) and AlphaDropout (Klambauer et al. 2017).
// Every random number is a function of (seed, step, layer, element), as that of dropout (dropout.cpp); element is the
// index in the padded buffer.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/layers/layers.h"

namespace fastreg {
namespace {

constexpr std::size_t kNormals = 64;   // the number of normal numbers that are drawn together

// Adds or multiplies normal numbers. The backward pass of a product needs them again.
class GaussianOperation final : public Operation {
 public:
  // amount: the deviation of what is added, or the rate of what is multiplied with.
  GaussianOperation(Combination combination, StepRate amount, std::optional<std::uint64_t> seed,
                    const OperationContext& context)
      : Operation(context.inputs[0], context.inputs[0]),
        combination_(combination),
        amount_(amount),
        seed_(seed),
        stream_(static_cast<std::uint32_t>(context.stream)) {}

  bool identity_in_inference() const override { return true; }
  std::size_t cache_floats(std::size_t rows) const override { return round_up(rows * out_ld(), kNormals); }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    std::memcpy(y, x[0], pass.rows * out_ld() * sizeof(float));
  }
  void forward(const Pass& pass, const float* const* x, float* y, float* cache) const override {
    const Range groups = pass.team.split(round_up(pass.rows * out_ld(), kNormals) / kNormals);
    const float amount = amount_.at(pass);
    const bool multiplies = combination_ == Combination::multiply;
    const float deviation = multiplies ? std::sqrt(amount / (1.0f - amount)) : amount;
    pass.kernels.random_normals(
        {{seed_.value_or(pass.seed), stream_, pass.step}, multiplies ? 1.0f : 0.0f, deviation, cache, groups});
    combine(pass, groups, x[0], cache, y);
  }

  bool passes_gradient_on() const override { return combination_ == Combination::add; }
  void backward(const Pass& pass, const float* const*, const float*, float* cache,
                const GradientFlow& flow) const override {
    combine(pass, pass.team.split(round_up(pass.rows * out_ld(), kNormals) / kNormals), flow.dy, cache, flow.dy);
  }

 private:
  // The elements of these groups, so that each member reads the numbers that it drew itself.
  void combine(const Pass& pass, Range groups, const float* x, const float* noise, float* y) const {
    const std::size_t total = pass.rows * out_ld();
    const std::size_t begin = std::min(total, groups.begin * kNormals), end = std::min(total, groups.end * kNormals);
    if (begin < end) pass.kernels.combine(combination_, x + begin, noise + begin, y + begin, end - begin);
  }

  Combination combination_;
  StepRate amount_;
  std::optional<std::uint64_t> seed_;
  std::uint32_t stream_;
};

// With a = ((1 - p) (1 + p limit^2))^(-1/2) for the probability p and the limit of selu: y = a x + b where an element
// is kept, else a limit + b, and b = -a p limit keeps the mean.
class AlphaDropoutOperation final : public Operation {
 public:
  AlphaDropoutOperation(const AlphaDropout& spec, const OperationContext& context)
      : Operation(context.inputs[0], context.inputs[0]),
        masks_({spec.rate, context.scheduled}, spec.seed, context.stream) {}

  bool identity_in_inference() const override { return true; }
  std::size_t cache_floats(std::size_t rows) const override { return masks_.floats(rows * out_ld()); }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    std::memcpy(y, x[0], pass.rows * out_ld() * sizeof(float));
  }
  void forward(const Pass& pass, const float* const* x, float* y, float* cache) const override {
    if (!masks_.active(pass)) return pass.kernels.dropout_apply({nullptr, 1.0f}, x[0], y, part(pass));
    masks_.draw(pass, pass.rows * out_ld(), cache);
    pass.team.sync();
    const Line line = line_of(pass);
    pass.kernels.dropout_affine(mask(pass, cache), line.shift, line.dropped, x[0], y, part(pass));
  }
  void backward(const Pass& pass, const float* const*, const float*, float* cache,
                const GradientFlow& flow) const override {
    if (masks_.active(pass)) pass.kernels.dropout_apply(mask(pass, cache), flow.dy, flow.dy, part(pass));
  }

 private:
  struct Line {
    float scale, shift, dropped;
  };
  Line line_of(const Pass& pass) const {
    constexpr double kLimit = -1.7580993408473766;
    const double p = masks_.probability(pass), a = 1.0 / std::sqrt((1.0 - p) * (1.0 + p * kLimit * kLimit));
    return {static_cast<float>(a), static_cast<float>(-a * p * kLimit),
            static_cast<float>(a * kLimit - a * p * kLimit)};
  }
  DropoutMask mask(const Pass& pass, const float* cache) const {
    return {masks_.mask(pass, cache).mask, line_of(pass).scale};
  }
  Range part(const Pass& pass) const { return pass.team.split(round_up(pass.rows * out_ld(), kLane), kLane); }

  DropoutMasks masks_;
};

}  // namespace

std::unique_ptr<Operation> make_operation(const GaussianNoise& layer, const OperationContext& context) {
  return std::make_unique<GaussianOperation>(Combination::add, StepRate(layer.stddev, kNotScheduled), layer.seed,
                                             context);
}
std::unique_ptr<Operation> make_operation(const GaussianDropout& layer, const OperationContext& context) {
  return std::make_unique<GaussianOperation>(Combination::multiply, StepRate(layer.rate, context.scheduled), layer.seed,
                                             context);
}
std::unique_ptr<Operation> make_operation(const AlphaDropout& layer, const OperationContext& context) {
  return std::make_unique<AlphaDropoutOperation>(layer, context);
}

}  // namespace fastreg
