// What a model is, as plain values: layers (fastreg/layers.h), loss, metrics and optimizer (fastreg/optimizers.h). Nothing
// here computes. The JSON description in a model file and the Python dataclasses have the same fields under the same
// names; core/description.cpp converts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fastreg/enums.h"
#include "fastreg/layers.h"
#include "fastreg/loss_kind.h"
#include "fastreg/metric_kind.h"
#include "fastreg/optimizers.h"

namespace fastreg {

struct Loss {
  LossKind kind = LossKind::mean_squared_error;
  bool from_logits = false;
};

using Optimizer = Optimizers::Into<std::variant>;

struct NetworkSpec {
  std::size_t n_features = 0;
  std::uint64_t seed = 0;
  std::vector<Layer> layers;
};

struct TrainingSpec {
  Loss loss;
  Optimizer optimizer;
  std::vector<MetricKind> metrics;
};

// The JSON description, `{"format": 1, "n_features": ..., "seed": ..., "layers": [...], "loss": ..., "optimizer": ...,
// "metrics": [...]}`; cpp/core/description.cpp documents every field. Throws std::invalid_argument, naming the field,
// the rule and the value. Other members are ignored, so that Python may keep its own beside them.
NetworkSpec parse_network(const std::string& description);
TrainingSpec parse_training(const std::string& description);

// The optimizer's object of a description, validated, e.g. `{"type":"Adam","learning_rate":0.001}`.
// Throws std::invalid_argument as parse_training does.
Optimizer parse_optimizer(const std::string& json);

// The name of an activation, e.g. "relu", and the activation of a name. An unknown name is a std::invalid_argument that
// lists the known ones. Not every activation has an enumerator: kinds are 0 to activation_count() - 1.
const char* name(ActivationKind);
ActivationKind activation_from_name(std::string_view);
std::size_t activation_count();
// Whether its derivative follows from its output; else the backward pass needs the input.
bool derivative_from_output(ActivationKind);

// The same for losses, e.g. "mean_squared_error".
LossKind loss_from_name(std::string_view);

// Everything that a description may be made of, as JSON: kind, name, fields with type, default and range.
// core/schema.cpp describes it.
std::string schema();

// Throws std::invalid_argument unless every hyper-parameter is in range, naming layer, field, rule and value.
void validate(const NetworkSpec&);
void validate(const TrainingSpec&);

}  // namespace fastreg
