// Whether a description can be computed: every field in its interval (check_fields.h), and what layers ask of each other.
// The network, the trainer and the parser of descriptions all call this, so that kernels never see a value out of range.
// Knows nothing of JSON.
#include <cstddef>
#include <string>
#include <utility>

#include "core/check_fields.h"
#include "core/weights.h"
#include "fastreg/strict_math.h"

namespace fastreg {
namespace {

constexpr std::size_t kMaxParameters = std::size_t{1} << 48;

void check_activation(const Check& check, ActivationKind activation, std::size_t width) {
  if (activation == ActivationKind::softmax && width == 1) {
    check.fail("softmax over 1 unit is always 1; use sigmoid");
  }
}

// Walks the layers with the width of their input and the number of parameters so far.
struct LayerCheck {
  std::string where;
  std::size_t& width;
  std::size_t& parameters;

  void operator()(const Dense& layer) const {
    const Check check = checked(layer);
    check_activation(check, layer.activation, layer.units);
    count(check, layer);
  }
  void operator()(const Activation& layer) const { check_activation(checked(layer), layer.activation, width); }
  void operator()(const BatchNormalization& layer) const { count(checked(layer), layer); }
  void operator()(const Dropout& layer) const { checked(layer); }

  template <class AnyLayer>
  Check checked(const AnyLayer& layer) const {
    const Check check(where + " (" + AnyLayer::kName + ")");
    check_fields(check, layer);
    return check;
  }
  void count(const Check& check, const Layer& layer) const {
    for (const WeightSpec& weight : layer_weights(layer, {width})) parameters += weight.size();
    if (parameters > kMaxParameters) check.fail("the network must not have more than 2^48 parameters");
    width = output_width(layer, {width});
  }
};

}  // namespace

void validate(const NetworkSpec& spec) {
  const Check check("");
  check_value(check, "n_features", kWidth, spec.n_features);
  if (spec.layers.empty()) check.fail("layers must have at least one layer, got none");
  std::size_t width = spec.n_features, parameters = 0;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    std::visit(LayerCheck{"layers[" + std::to_string(i) + "]", width, parameters}, spec.layers[i]);
  }
}

void validate(const TrainingSpec& spec) {
  if (spec.loss.kind == LossKind::mean_squared_error && spec.loss.from_logits) {
    Check("loss (MeanSquaredError)").fail("from_logits must be false, got true");
  }
  std::visit([](const auto& optimizer) { check_description("optimizer", optimizer); }, spec.optimizer);
}

}  // namespace fastreg
