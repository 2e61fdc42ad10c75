// Functions that each layer defines in its file: its weights, the width of its output, and its operation. fusion.cpp
// decides which layers are fused, and make_operation creates the operation. `index` is the layer's index in the spec,
// by which its weights are found.
#pragma once
#include <algorithm>
#include <memory>
#include <optional>

#include "core/layer.h"
#include "core/layers/rows.h"
#include "core/weights.h"

namespace fastreg {

// The weights of a layer and the width of its output. Most layers have no weights and do not change the width; joins
// that compute element by element have the width of the widest input.
template <class AnyLayer>
std::vector<WeightSpec> weights_of(const AnyLayer&, const Widths&) {
  return {};
}
template <class AnyLayer>
std::size_t width_of(const AnyLayer&, const Widths& inputs) {
  return *std::max_element(inputs.begin(), inputs.end());
}
std::vector<WeightSpec> weights_of(const Dense&, const Widths&);
std::size_t width_of(const Dense&, const Widths&);
std::vector<WeightSpec> weights_of(const BatchNormalization&, const Widths&);
std::vector<WeightSpec> weights_of(const LayerNormalization&, const Widths&);
std::vector<WeightSpec> weights_of(const RMSNormalization&, const Widths&);
std::vector<WeightSpec> weights_of(const Scale&, const Widths&);
std::vector<WeightSpec> weights_of(const PReLU&, const Widths&);
std::size_t width_of(const Concatenate&, const Widths&);
std::size_t width_of(const Dot&, const Widths&);
std::vector<WeightSpec> weights_of(const Embedding&, const Widths&);
std::size_t width_of(const Embedding&, const Widths&);
std::size_t width_of(const CategoryEncoding&, const Widths&);
std::vector<WeightSpec> weights_of(const Normalization&, const Widths&);
std::vector<WeightSpec> weights_of(const TableInput&, const Widths&);
std::size_t width_of(const TableInput&, const Widths&);
std::vector<WeightSpec> weights_of(const PeriodicEmbedding&, const Widths&);
std::size_t width_of(const PeriodicEmbedding&, const Widths&);
std::vector<WeightSpec> weights_of(const ParametricActivation&, const Widths&);

// What batch normalisation needs to differentiate the preceding Dense layer's activation in its own backward pass.
struct DenseTail {
  ActivationKind activation = ActivationKind::linear;
  std::size_t bias = kNoSegment;
};

inline constexpr std::size_t kNotScheduled = static_cast<std::size_t>(-1);

// The arguments from which an operation is made, besides the description of its layer.
struct OperationContext {
  const Widths& inputs;
  std::size_t index;               // of the layer in the spec
  std::size_t stream;              // of random numbers: the index, or another number where the layer is used again
  const Parameters& parameters;
  ActivationKind activation;       // for Dense: the activation that is fused with the product
  std::size_t scheduled;           // the index of its rate in Pass::rates, or kNotScheduled
  const Dropout* dropout;          // null, or a Dropout layer that is fused after this operation
  std::size_t dropout_index;       // the index of that Dropout layer
  DenseTail* leaves_tail;          // If it is not null, the next operation differentiates the activation and sums the
                                   // bias gradient; the function fills it for that operation.
  const DenseTail* tail;           // for batch normalisation: null, or the one that the preceding Dense filled
  std::size_t l2_cache;            // of the backend
};

std::unique_ptr<Operation> make_operation(const Dense& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Activation& layer, const OperationContext& context);
template <class AnyLayer>
  requires IsActivation<AnyLayer>
std::unique_ptr<Operation> make_operation(const AnyLayer& layer, const OperationContext& context) {
  return make_operation(Activation{layer.spec()}, context);
}
std::unique_ptr<Operation> make_operation(const BatchNormalization& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Dropout& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const LayerNormalization& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const RMSNormalization& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const UnitNormalization& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Scale& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const PReLU& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const GaussianNoise& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const GaussianDropout& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const AlphaDropout& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const ActivityRegularization& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Add& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Multiply& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Concatenate& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Subtract& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Average& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Maximum& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Minimum& layer, const OperationContext& context);
// Whether the inputs of a join that computes element by element differ in width, and its operation then.
bool broadcasts(const Widths& inputs);
std::unique_ptr<Operation> make_broadcast(Elementwise kind, const Widths& inputs);
std::unique_ptr<Operation> make_operation(const Dot& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Embedding& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const CategoryEncoding& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Rescaling& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const Normalization& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const TableInput& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const PeriodicEmbedding& layer, const OperationContext& context);
std::unique_ptr<Operation> make_operation(const ParametricActivation& layer, const OperationContext& context);

// The rate of a layer: a number, or that of the step.
class StepRate {
 public:
  StepRate(float rate, std::size_t scheduled) : rate_(rate), scheduled_(scheduled) {}
  float at(const Pass& pass) const {
    return scheduled_ == kNotScheduled ? rate_ : static_cast<float>(pass.rates[scheduled_]);
  }
  bool may_be_positive() const { return scheduled() || rate_ > 0.0f; }
  bool scheduled() const { return scheduled_ != kNotScheduled; }
  float initial() const { return rate_; }

 private:
  float rate_;
  std::size_t scheduled_;
};

// The masks of one dropout layer, kept as bits between forward and backward.
class DropoutMasks {
 public:
  DropoutMasks(StepRate rate, std::optional<std::uint64_t> seed, std::size_t stream);
  bool active(const Pass& pass) const { return threshold(pass) > 0; }
  double probability(const Pass& pass) const { return threshold(pass) / 65536.0; }   // to drop an element
  std::size_t floats(std::size_t elements) const;   // the size of `storage` for this many elements
  // Writes this member's part of the masks. The team must sync before they are used.
  void draw(const Pass& pass, std::size_t elements, float* storage) const;
  DropoutMask mask(const Pass& pass, const float* storage) const;   // its bits are null if dropout is not active

 private:
  std::uint32_t threshold(const Pass& pass) const { return rate_.scheduled() ? threshold_at(pass) : threshold_; }
  std::uint32_t threshold_at(const Pass& pass) const;

  StepRate rate_;
  std::uint32_t threshold_ = 0;   // that of a rate without a schedule, and the scale of the elements that are kept
  float scale_ = 1.0f;
  std::optional<std::uint64_t> seed_;   // if it has no value, the network's seed is used
  std::uint32_t stream_;
};

}  // namespace fastreg
