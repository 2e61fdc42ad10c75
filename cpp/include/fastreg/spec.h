// What a model is, as plain values: layers, loss, metrics and optimizer. Nothing here computes. The JSON description in
// a model file and the Python dataclasses have the same fields under the same names; core/description.cpp converts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fastreg/enums.h"
#include "fastreg/losses.h"
#include "fastreg/metrics.h"

namespace fastreg {

enum class InitializerKind : std::uint8_t {
  zeros, ones, constant, random_normal, random_uniform, truncated_normal,
  glorot_uniform, glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal
};

// constant: a = value. random_normal, truncated_normal: a = mean, b = standard deviation. random_uniform: [a, b).
struct Initializer {
  InitializerKind kind = InitializerKind::zeros;
  double a = 0.0, b = 0.0;
};

// Adds l1 * sum|w| + l2 * sum w^2 to the loss. proximal: the l1 part is a soft threshold in the optimizer's own metric
// (Yun, Lozano, Yang 2021) instead of a subgradient, which gives exact zeros.
struct Penalty {
  float l1 = 0.0f, l2 = 0.0f;
  bool proximal = false;
  bool operator==(const Penalty&) const = default;
};

// trainable: false leaves the layer's weights as they are in training; they have no moments and no penalty.

// y = activation(x W + b), W: (in, units), b: (units).
struct Dense {
  std::size_t units = 1;
  ActivationKind activation = ActivationKind::linear;
  bool use_bias = true;
  Initializer kernel_initializer{InitializerKind::glorot_uniform};
  Initializer bias_initializer{};
  Penalty kernel_regularizer{}, bias_regularizer{};
  bool trainable = true;
};

struct Activation {
  ActivationKind activation = ActivationKind::linear;
};

// y = gamma (x - mean) / sqrt(var + epsilon) + beta. momentum is the weight of the old moving average (Keras). Where it is
// not trainable, it uses the moving statistics in training too, and they stay as they are.
struct BatchNormalization {
  float momentum = 0.99f, epsilon = 1e-3f;
  bool center = true, scale = true, trainable = true;
};

// Inverted dropout: rate is the probability to drop, in [0, 1); what is kept is scaled by 1 / (1 - rate).
// seed: keys the masks in place of the network's.
struct Dropout {
  float rate = 0.5f;
  std::optional<std::uint64_t> seed = std::nullopt;
};

using Layer = std::variant<Dense, Activation, BatchNormalization, Dropout>;

using Loss = Losses::Into<std::variant>;
using Metric = Metrics::Into<std::variant>;

// Bounds the gradient before the update rule sees it, penalties included (but no proximal step, which is no gradient):
// each element to [-limit, limit], or by one factor the norm to limit, of each weight alone or of all together.
enum class ClipKind : std::uint8_t { none, value, norm, global_norm };
struct Clipping {
  ClipKind kind = ClipKind::none;
  float limit = 0.0f;
};

struct SGD {
  float learning_rate = 0.01f, momentum = 0.0f;
  bool nesterov = false;
  Clipping clipping{};
};
struct Adam {
  float learning_rate = 1e-3f, beta_1 = 0.9f, beta_2 = 0.999f, epsilon = 1e-7f;
  Clipping clipping{};
};
struct AdamW {
  float learning_rate = 1e-3f, weight_decay = 4e-3f, beta_1 = 0.9f, beta_2 = 0.999f, epsilon = 1e-7f;
  Clipping clipping{};
};
struct RMSprop {
  float learning_rate = 1e-3f, rho = 0.9f, epsilon = 1e-7f;
  Clipping clipping{};
};
using Optimizer = std::variant<SGD, Adam, AdamW, RMSprop>;

struct NetworkSpec {
  std::size_t n_features = 0;
  std::uint64_t seed = 0;
  std::vector<Layer> layers;
};

struct TrainingSpec {
  Loss loss;
  Optimizer optimizer;
  std::vector<Metric> metrics;
};

// The JSON description, `{"format": 1, "n_features": ..., "seed": ..., "layers": [...], "loss": ..., "optimizer": ...,
// "metrics": [...]}`; cpp/core/description.cpp documents every field. Throws std::invalid_argument, naming the field,
// the rule and the value. Other members are ignored, so that Python may keep its own beside them.
NetworkSpec parse_network(const std::string& description);
TrainingSpec parse_training(const std::string& description);

// The optimizer's object of a description, validated, e.g. `{"type":"Adam","learning_rate":0.001}`.
// Throws std::invalid_argument as parse_training does.
Optimizer parse_optimizer(const std::string& json);
// The same for the object of a loss.
Loss parse_loss(const std::string& json);
// Whether its targets are labels, not a matrix.
bool takes_labels(const Loss& loss);

// The names of the enum, e.g. "relu". An unknown one is a std::invalid_argument that lists
// the known ones.
const char* name(ActivationKind);
ActivationKind activation_from_name(std::string_view);

// Throws std::invalid_argument unless every hyper-parameter is in range, naming layer, field, rule and value.
void validate(const NetworkSpec&);
void validate(const TrainingSpec&);

}  // namespace fastreg
