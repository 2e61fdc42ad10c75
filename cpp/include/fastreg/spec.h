// The specification of a model as plain values: layers (fastreg/layers.h), loss (fastreg/losses.h), metrics
// (fastreg/metrics.h) and optimizer (fastreg/optimizers.h). Nothing here computes. The JSON description in a model file
// and the dataclasses of Python have the same fields with the same names; core/description.cpp converts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fastreg/activations.h"
#include "fastreg/enums.h"
#include "fastreg/layers.h"
#include "fastreg/losses.h"
#include "fastreg/metrics.h"
#include "fastreg/optimizers.h"

namespace fastreg {

struct Json;  // fastreg/json.h

template <>
struct Choices<MatmulPrecision> {
  static constexpr const char* kNames[] = {"highest", "high", "medium"};
};

using Loss = AllLosses::Into<std::variant>;
using Metric = AllMetrics::Into<std::variant>;
using Optimizer = Optimizers::Into<std::variant>;

// A network is a graph of numbered values: first its inputs, then the output of each node, in order. A node applies a
// layer to values with smaller numbers. Weights and random streams belong to the layer, not to the node.
struct NetworkInput {
  std::string name{};
  std::size_t n_features = 0;
};
struct Node {
  std::size_t layer = 0;             // index in NetworkSpec::layers
  std::vector<std::size_t> inputs{};   // values
};
struct NetworkOutput {
  std::string name{};
  std::size_t value = 0;
};

// A network that is a list of layers, a chain, has n_features and layers: each layer reads the output of the one
// before. Any other network has inputs, nodes and outputs instead of n_features.
struct NetworkSpec {
  std::size_t n_features = 0;
  std::uint64_t seed = 0;
  std::vector<Layer> layers{};
  std::vector<NetworkInput> inputs{};
  std::vector<Node> nodes{};
  std::vector<NetworkOutput> outputs{};
  // The indices, in ascending order, of the layers Dropout, AlphaDropout and GaussianDropout whose rate is on a
  // schedule: a fit is given their rates for each step (FitOptions::rates), and `rate` of the layer is not used.
  std::vector<std::size_t> scheduled{};

  bool is_chain() const { return inputs.empty() && nodes.empty() && outputs.empty(); }
};

// How one of several outputs is trained. The loss of the network is the weighted sum of the losses of its outputs.
struct OutputTraining {
  Loss loss{};
  std::vector<Metric> metrics{};
  float weight = 1.0f;
  std::vector<Metric> weighted_metrics{};   // metrics that use the weights of rows; `metrics` do not
};

struct TrainingSpec {
  Loss loss{};
  Optimizer optimizer{};
  std::vector<Metric> metrics{};
  std::vector<OutputTraining> outputs{};   // for a network with several outputs, instead of loss and metrics
  // Which weights the optimizer's weight decay leaves out: those whose name is one of these, as in "layers.0.kernel",
  // or has one of these in its last part, as in "kernel". Without a value only kernels decay. A Trainer throws
  // std::invalid_argument for a name with a dot that no weight of its network has; a word without one may fit none, so
  // that {"bias", "gamma", "beta"} serves all networks.
  std::optional<std::vector<std::string>> excluded_from_weight_decay{};
  std::vector<Metric> weighted_metrics{};
  // Whether the weight decay is on a schedule: a fit is given it for each step (FitOptions::rates).
  bool schedules_weight_decay = false;
  // How the steps of a fit compute the matrix products of dense layers, forward, dW and dX, and how Trainer::evaluate
  // does. Weights, moments and all else stay float32.
  MatmulPrecision matmul_precision = MatmulPrecision::highest;
};

// The JSON description, `{"format": 1, "n_features": ..., "seed": ..., "layers": [...], "loss": ..., "optimizer": ...,
// "metrics": [...], "weighted_metrics": [...], "matmul_precision": ...}`; cpp/core/description.cpp documents every
// field. Throws std::invalid_argument, naming the field, the rule and the value. Other members are ignored, so that
// Python may keep its own beside them.
NetworkSpec parse_network(const std::string& description);
TrainingSpec parse_training(const std::string& description);
// The same for a description that is a tree already (fastreg/json.h).
NetworkSpec parse_network(const Json& description);
TrainingSpec parse_training(const Json& description);

// Parses and validates the object of an optimizer, e.g. `{"type":"Adam","learning_rate":0.001}`.
// Throws std::invalid_argument as parse_training does.
Optimizer parse_optimizer(const std::string& json);
// Does the same for the object of a loss.
Loss parse_loss(const std::string& json);
Metric parse_metric(const std::string& json);
// Whether the targets of the loss are labels and not a matrix.
bool takes_labels(const Loss& loss);

// Parses the object of a layer. It can only be validated together with the widths of its inputs.
Layer parse_layer(const std::string& json);
Layer parse_layer(const Json& description);

// The name of an activation, e.g. "relu", and the activation of a name. An unknown name is a std::invalid_argument that
// lists the known ones. Not every activation has an enumerator: kinds are 0 to activation_count() - 1. A kind alone has
// all its parameters zero; parse_activation and the structs of fastreg/activations.h set them. Functions of a kind or a
// precision throw std::invalid_argument for one that there is not.
const char* name(ActivationKind);
ActivationKind activation_from_name(std::string_view);
std::size_t activation_count();
// The names that descriptions may have. A kind with another name is how one of these is computed with other than its
// default parameters.
std::vector<const char*> activation_names();
// The activation of a name, or of an object with parameters, e.g. `{"type":"leaky_relu","negative_slope":0.1}`. Throws
// std::invalid_argument as parse_training does.
ActivationSpec parse_activation(const std::string& text);
// The word of a precision, e.g. "highest", and the precision of a word. An unknown word is a std::invalid_argument that
// lists the known ones.
const char* name(MatmulPrecision);
MatmulPrecision matmul_precision_from_name(std::string_view);
// Whether the derivative can be computed from the output. Otherwise the backward pass needs the input.
bool derivative_from_output(ActivationKind);

// The schema of all descriptions as JSON: kinds, names, and fields with type, default and range.
// core/schema.cpp describes it.
std::string schema();

// Throws std::invalid_argument unless every hyper-parameter is in range, naming layer, field, rule and value.
void validate(const NetworkSpec&);
void validate(const TrainingSpec&);

}  // namespace fastreg
