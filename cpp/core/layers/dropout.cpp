// Dropout, with masks that are kept as bits. The bit of an element is a function of (seed, step, layer, element) alone:
// seed is the layer's own or else the network's, step is the trainer's, layer is the index of the layer in the spec
// (the stream of the key; a layer that several nodes use has another one at each), and element is the index in the
// padded buffer, row * ld + column, in the order of DropoutBits (kernels.h). ld depends on the width only, so one seed
// gives the same masks on every ISA and for any number of threads.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/layers/layers.h"

namespace fastreg {
namespace {

constexpr std::size_t kGroup = 128;   // the number of elements whose bits are drawn together: 8 words of 16 bits

class DropoutOperation final : public Operation {
 public:
  DropoutOperation(const Dropout& spec, const OperationContext& context)
      : Operation(context.inputs[0], context.inputs[0]),
        masks_({spec.rate, context.scheduled}, spec.seed, context.stream) {}

  bool identity_in_inference() const override { return true; }
  std::size_t cache_floats(std::size_t rows) const override { return masks_.floats(rows * out_ld()); }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    std::memcpy(y, x[0], pass.rows * out_ld() * sizeof(float));
  }

  void forward(const Pass& pass, const float* const* x, float* y, float* cache) const override {
    masks_.draw(pass, pass.rows * out_ld(), cache);
    pass.team.sync();
    pass.kernels.dropout_apply(masks_.mask(pass, cache), x[0], y, part(pass));
  }

  void backward(const Pass& pass, const float* const*, const float*, float* cache,
                const GradientFlow& flow) const override {
    pass.kernels.dropout_apply(masks_.mask(pass, cache), flow.dy, flow.dy, part(pass));
  }

 private:
  Range part(const Pass& pass) const { return pass.team.split(round_up(pass.rows * out_ld(), kLane), kLane); }

  DropoutMasks masks_;
};

std::uint32_t threshold_of(float rate) {
  return static_cast<std::uint32_t>(std::min(65535.0, std::round(65536.0 * static_cast<double>(rate))));
}

// The probability that is used is threshold / 65536. Scaling by it keeps the expectation exact.
float scale_of(std::uint32_t threshold) { return static_cast<float>(65536.0 / (65536.0 - threshold)); }

}  // namespace

DropoutMasks::DropoutMasks(StepRate rate, std::optional<std::uint64_t> seed, std::size_t stream)
    : rate_(rate), seed_(seed), stream_(static_cast<std::uint32_t>(stream)) {
  if (rate.scheduled()) return;
  threshold_ = threshold_of(rate.initial());
  scale_ = scale_of(threshold_);
}

std::uint32_t DropoutMasks::threshold_at(const Pass& pass) const { return threshold_of(rate_.at(pass)); }

std::size_t DropoutMasks::floats(std::size_t elements) const {
  return rate_.may_be_positive() ? round_up((elements + kGroup - 1) / kGroup * (kGroup / 32), kLane) : 0;
}

void DropoutMasks::draw(const Pass& pass, std::size_t elements, float* storage) const {
  const std::uint32_t chosen = threshold(pass);
  if (chosen == 0) return;
  pass.kernels.dropout_bits({{seed_.value_or(pass.seed), stream_, pass.step},
                             chosen,
                             reinterpret_cast<std::uint16_t*>(storage),
                             pass.team.split((elements + kGroup - 1) / kGroup)});
}

DropoutMask DropoutMasks::mask(const Pass& pass, const float* storage) const {
  const std::uint32_t chosen = threshold(pass);
  return {chosen > 0 ? reinterpret_cast<const std::uint16_t*>(storage) : nullptr,
          rate_.scheduled() ? scale_of(chosen) : scale_};
}

std::unique_ptr<Operation> make_operation(const Dropout& layer, const OperationContext& context) {
  return std::make_unique<DropoutOperation>(layer, context);
}

}  // namespace fastreg
