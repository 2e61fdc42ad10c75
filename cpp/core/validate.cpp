// Whether a description can be computed: every field is in its interval (check_fields.h), and layers fit each other.
// The network, the trainer and the parser of descriptions all call this, so that kernels never see a value out of
// range. Knows nothing of JSON.
#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "core/activations.h"
#include "core/check_fields.h"
#include "core/layers/layers.h"
#include "core/layers/table_codes.h"
#include "core/wiring.h"
#include "fastreg/strict_math.h"

namespace fastreg {
namespace {

void check_activation(const Check& check, const ActivationSpec& activation, std::size_t width) {
  if (needs_rows(activation.kind) && width == 1)
    check.fail(std::string(name(activation.kind)) + " over 1 unit is always " +
               (activation.kind == activation_from_name("log_softmax") ? "0" : "1; use sigmoid"));
}

struct LayerCheck {
  std::string where;
  const Widths& inputs;

  template <class AnyLayer>
  void operator()(const AnyLayer& layer) const {
    const Check check(where, AnyLayer::kName);
    check_fields(check, layer);
    if constexpr (requires { AnyLayer::kInputs; }) {
      if (inputs.size() != AnyLayer::kInputs)
        check.fail("must have " + std::to_string(AnyLayer::kInputs) + " inputs, got " + std::to_string(inputs.size()));
    } else if constexpr (requires { AnyLayer::kJoin; }) {
      if (inputs.size() < 2) check.fail("must have at least 2 inputs, got " + std::to_string(inputs.size()));
    } else {
      if (inputs.size() != 1) check.fail("must have 1 input, got " + std::to_string(inputs.size()));
    }
    check_with_inputs(check, layer);
    check_weights(check, layer);
  }

  // What concerns single weights of a layer: constraints have an axis that the weight has, multipliers name a weight.
  template <class AnyLayer>
  void check_weights(const Check& check, const AnyLayer& layer) const {
    if constexpr (requires { layer.multipliers; }) {
      const std::vector<WeightSpec> weights = weights_of(layer, inputs);
      for (const WeightSpec& weight : weights) {
        const bool matrix = weight.is_kernel();
        std::visit(
            [&](const auto& initializer) {
              if constexpr (requires { initializer.kMatrix; })
                if (!matrix)
                  check.fail(std::string(weight.name) + "_initializer must not be " + initializer.kName +
                             ", which is for matrices only, as the weight is a vector");
            },
            weight.initializer);
        if (weight.penalty.orthogonal != 0.0f && !matrix)
          check.fail(std::string(weight.name) + "_regularizer must not be OrthogonalRegularizer, which is for matrices "
                     "only, as the weight is a vector");
        if (!weight.constraint) continue;
        std::visit(
            [&](const auto& constraint) {
              if constexpr (requires { constraint.axis; })
                if (constraint.axis.second && !matrix)
                  check.fail(std::string(weight.name) +
                             "_constraint: axis must be 0, as the weight is a vector, got 1");
            },
            *weight.constraint);
      }
      check_names(check, "learning_rate_multiplier", layer.multipliers.learning_rate, weights);
      check_names(check, "weight_decay_multiplier", layer.multipliers.weight_decay, weights);
    }
  }

  static void check_names(const Check& check, const char* field, const Multiplier& multiplier,
                          const std::vector<WeightSpec>& weights) {
    for (const auto& [name, factor] : multiplier.single) {
      std::string known;
      for (const WeightSpec& weight : weights) known.append(known.empty() ? "" : ", ").append(weight.name);
      if (std::none_of(weights.begin(), weights.end(), [&](const WeightSpec& weight) { return weight.name == name; }))
        check.fail(std::string(field) + " must name weights of the layer, which are " + known + ", got " + name);
    }
  }

  // Joins take equally wide inputs, or some of a single column, unless they say otherwise.
  template <class AnyLayer>
  void check_with_inputs(const Check& check, const AnyLayer&) const {
    if constexpr (requires { AnyLayer::kJoin; }) equal_widths(check);
  }
  void check_with_inputs(const Check& check, const Dense& layer) const {
    check_activation(check, layer.activation, layer.units);
    if (layer.activity_regularizer.proximal) check.fail("activity_regularizer must not be proximal");
  }
  template <class AnyLayer>
    requires IsActivation<AnyLayer>
  void check_with_inputs(const Check& check, const AnyLayer& layer) const {
    check_activation(check, layer.spec(), inputs[0]);
  }
  void check_with_inputs(const Check& check, const Concatenate&) const {
    std::size_t width = 0;
    for (const std::size_t input : inputs)
      check_value(check, "the columns of all inputs together", kWidth, width += input);
  }

  void check_with_inputs(const Check& check, const Dot& layer) const {
    std::size_t products = 1;
    for (const std::size_t width : inputs) {
      if (width % layer.length != 0)
        check.fail("inputs must have a multiple of length columns, " + std::to_string(layer.length) + ", got " +
                   std::to_string(width));
      products *= width / layer.length;
    }
    check_value(check, "the number of products", kWidth, products);
  }
  void check_with_inputs(const Check& check, const Embedding& layer) const {
    check_value(check, "the columns of all rows of the table together", kWidth, inputs[0] * layer.output_dim);
  }
  void check_with_inputs(const Check& check, const TableInput& layer) const {
    check_activation(check, layer.activation, layer.units);
    if (layer.activity_regularizer.proximal) check.fail("activity_regularizer must not be proximal");
    check_value(check, "the rows of the kernel", kWidth, feature_count(layer.columns));
    if (inputs[0] != code_count(layer.columns))
      check.fail("columns must describe all columns of the input, " + std::to_string(inputs[0]) + ", got " +
                 std::to_string(code_count(layer.columns)));
  }
  void check_with_inputs(const Check& check, const ParametricActivation& layer) const {
    if (needs_rows(layer.activation.kind))
      check.fail("activation must compute element by element, got " + std::string(name(layer.activation.kind)));
  }
  void check_with_inputs(const Check& check, const PeriodicEmbedding& layer) const {
    check_value(check, "the columns of all outputs together", kWidth, width_of(layer, inputs));
  }
  void check_with_inputs(const Check& check, const CategoryEncoding& layer) const {
    const std::size_t times = layer.output_mode == Encoding::one_hot ? inputs[0] : 1;
    check_value(check, "the columns of all indicators together", kWidth, times * layer.num_tokens);
  }

  void equal_widths(const Check& check) const {
    const std::size_t widest = *std::max_element(inputs.begin(), inputs.end());
    for (const std::size_t width : inputs)
      if (width != widest && width != 1)
        check.fail("inputs must have equally many columns, or one, got " + std::to_string(widest) + " and " +
                   std::to_string(width));
  }
};

}  // namespace

void check_layer(const Layer& layer, const std::string& where, const Widths& inputs) {
  std::visit(LayerCheck{where, inputs}, layer);
}

void check_width(const std::string& where, const char* field, std::size_t width) {
  check_value(Check(where), field, kWidth, width);
}

namespace {

void check_loss(const std::string& field, const Loss& loss) {
  std::visit([&](const auto& chosen) { check_description(field, chosen); }, loss);
}

void check_metrics(const std::string& metrics_field,
                   const std::vector<Metric>& metrics) {
  for (std::size_t i = 0; i < metrics.size(); ++i)
    std::visit([&](const auto& metric) { check_description(metrics_field + "[" + std::to_string(i) + "]", metric); },
               metrics[i]);
}

}  // namespace

void validate(const TrainingSpec& spec) {
  if (spec.outputs.empty()) {
    check_loss("loss", spec.loss);
    check_metrics("metrics", spec.metrics);
    check_metrics("weighted_metrics", spec.weighted_metrics);
  }
  for (std::size_t i = 0; i < spec.outputs.size(); ++i) {
    const OutputTraining& output = spec.outputs[i];
    const std::string index = "[" + std::to_string(i) + "]";
    check_loss("loss" + index, output.loss);
    check_metrics("metrics" + index, output.metrics);
    check_metrics("weighted_metrics" + index, output.weighted_metrics);
    check_value(Check(""), ("loss_weights" + index).c_str(), kNotNegative, output.weight);
  }
  std::visit([](const auto& optimizer) { check_description("optimizer", optimizer); }, spec.optimizer);
  check_value(Check(""), "matmul_precision", kFinite, spec.matmul_precision);
}

}  // namespace fastreg
