// Reads the JSON description, format 1, into the structs of spec.h. What values are allowed is validate.cpp's business;
// here it is names and JSON types. Knows nothing of files or of how a network computes.
//
//   n_features  integer                 required by parse_network
//   seed        integer in [0, 2^64)    default 0
//   layers      array of objects        required by parse_network
//     Dense                units (required), activation, use_bias, kernel_initializer, bias_initializer,
//                          kernel_regularizer, bias_regularizer (null or L1L2: l1, l2, proximal), trainable
//     Activation           activation (required)
//     BatchNormalization   momentum, epsilon, center, scale, trainable
//     Dropout              rate, seed (null or an integer in [0, 2^64))
//   loss        object                  required by parse_training
//     MeanSquaredError, BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy (these three:
//     from_logits)
//   optimizer   object                  required by parse_training; learning_rate is a number, or an object (a
//                                       schedule) that is not read here, since the rates come as an array;
//                                       clipvalue, clipnorm, global_clipnorm: null or a number, of one at most
//     SGD                  learning_rate, momentum, nesterov
//     Adam                 learning_rate, beta_1, beta_2, epsilon
//     AdamW                learning_rate, weight_decay, beta_1, beta_2, epsilon
//     RMSprop              learning_rate, rho, epsilon
//   metrics     array of objects        default empty
//     BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy, MeanSquaredError, MeanAbsoluteError
//   initializers: Zeros, Ones, Constant (value), RandomNormal and TruncatedNormal (mean, stddev), RandomUniform
//     (minval, maxval), GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal
//
// Every object of these names its kind in "type". An absent member has the default of its struct in spec.h, a member
// that is not listed is ignored.
#include "fastreg/spec.h"

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "core/json.h"

namespace fastreg {
namespace {

// In the order of the enums.
constexpr std::array<const char*, 10> kActivations = {"linear", "relu", "leaky_relu", "elu",      "gelu",
                                                      "silu",   "tanh", "sigmoid",    "softplus", "softmax"};
constexpr std::array<const char*, 4> kLosses = {"mean_squared_error", "binary_crossentropy",
                                                "categorical_crossentropy", "sparse_categorical_crossentropy"};
constexpr std::array<const char*, 4> kLossTypes = {"MeanSquaredError", "BinaryCrossentropy", "CategoricalCrossentropy",
                                                   "SparseCategoricalCrossentropy"};
constexpr std::array<const char*, 5> kMetricTypes = {"BinaryAccuracy", "CategoricalAccuracy",
                                                     "SparseCategoricalAccuracy", "MeanSquaredError",
                                                     "MeanAbsoluteError"};
constexpr std::array<const char*, 12> kInitializerTypes = {
    "Zeros",         "Ones",         "Constant",  "RandomNormal", "RandomUniform", "TruncatedNormal",
    "GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal",     "LecunUniform",  "LecunNormal"};
// In the order of the variants.
constexpr std::array<const char*, 4> kLayerTypes = {"Dense", "Activation", "BatchNormalization", "Dropout"};
constexpr std::array<const char*, 4> kOptimizerTypes = {"SGD", "Adam", "AdamW", "RMSprop"};
constexpr std::array<const char*, 1> kRegularizerTypes = {"L1L2"};
// In the order of ClipKind, none left out.
constexpr std::array<const char*, 3> kClippings = {"clipvalue", "clipnorm", "global_clipnorm"};

static_assert(kActivations.size() == static_cast<std::size_t>(ActivationKind::softmax) + 1);
static_assert(kLosses.size() == static_cast<std::size_t>(LossKind::sparse_categorical_crossentropy) + 1);
static_assert(kMetricTypes.size() == static_cast<std::size_t>(MetricKind::mean_absolute_error) + 1);
static_assert(kInitializerTypes.size() == static_cast<std::size_t>(InitializerKind::lecun_normal) + 1);
static_assert(kClippings.size() == static_cast<std::size_t>(ClipKind::global_norm));
static_assert(kLayerTypes.size() == std::variant_size_v<Layer>);
static_assert(kOptimizerTypes.size() == std::variant_size_v<Optimizer>);

template <std::size_t n>
std::size_t index_of(const std::array<const char*, n>& names, std::string_view wanted, const std::string& what) {
  std::string known;
  for (std::size_t i = 0; i < n; ++i) {
    if (wanted == names[i]) return i;
    known.append(i > 0 ? ", " : "").append(names[i]);
  }
  throw std::invalid_argument(what + " must be one of " + known + ", got " + quoted(Json{std::string(wanted)}));
}

// The members of one JSON object, read by name; `where` starts every message, e.g. "layers[2] (Dropout)".
class Members {
 public:
  Members(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (object_.get<Json::Object>() == nullptr) fail_type("", "an object", object_);
  }

  // Index of "type" among the names, which from now on is part of `where`.
  template <std::size_t n>
  std::size_t type(const std::array<const char*, n>& names) {
    const std::size_t kind = index_of(names, text("type"), label("type"));
    where_ += std::string(" (") + names[kind] + ")";
    return kind;
  }

  void read(const char* member, bool& out) const {
    const Json* json = find(member);
    if (json == nullptr) return;
    const bool* flag = json->get<bool>();
    if (flag == nullptr) fail_type(member, "true or false", *json);
    out = *flag;
  }

  void read(const char* member, double& out) const {
    const Json* json = find(member);
    if (json == nullptr) return;
    const auto number = json->number();
    if (!number) fail_type(member, "a number", *json);
    out = *number;
  }

  void read(const char* member, float& out) const {
    double number = out;
    read(member, number);
    if (std::abs(number) > std::numeric_limits<float>::max()) fail_type(member, "finite in float32", required(member));
    out = static_cast<float>(number);
  }

  std::uint64_t whole(const char* member, const char* rule) const {
    const Json& json = required(member);
    const auto* number = json.get<std::uint64_t>();
    if (number == nullptr) fail_type(member, rule, json);
    return *number;
  }

  const std::string& text(const char* member) const {
    const Json& json = required(member);
    const auto* text = json.get<std::string>();
    if (text == nullptr) fail_type(member, "a string", json);
    return *text;
  }

  const Json::Array& array(const char* member) const {
    const Json& json = required(member);
    const auto* array = json.get<Json::Array>();
    if (array == nullptr) fail_type(member, "an array", json);
    return *array;
  }

  const Json* find(const char* member) const { return object_.find(member); }

  const Json& required(const char* member) const {
    const Json* json = find(member);
    if (json == nullptr) throw std::invalid_argument(label(member) + " is missing");
    return *json;
  }

  // How a message names a member: "layers[2] (Dropout): rate", or "n_features" at the top.
  std::string label(const char* member) const {
    if (where_.empty()) return *member != '\0' ? member : "description";
    return *member != '\0' ? where_ + ": " + member : where_;
  }

 private:
  [[noreturn]] void fail_type(const char* member, const char* wanted, const Json& json) const {
    throw std::invalid_argument(label(member) + " must be " + wanted + ", got " + quoted(json));
  }

  const Json& object_;
  std::string where_;
};

void read_activation(const Members& layer, ActivationKind& out) {
  if (layer.find("activation") == nullptr) return;
  out = static_cast<ActivationKind>(index_of(kActivations, layer.text("activation"), layer.label("activation")));
}

void read_initializer(const Members& layer, const char* member, Initializer& out) {
  const Json* json = layer.find(member);
  if (json == nullptr) return;
  Members fields(*json, layer.label(member));
  out = {static_cast<InitializerKind>(fields.type(kInitializerTypes))};
  switch (out.kind) {
    case InitializerKind::constant:
      fields.read("value", out.a);
      break;
    case InitializerKind::random_normal:
    case InitializerKind::truncated_normal:
      out.b = 0.05;
      fields.read("mean", out.a);
      fields.read("stddev", out.b);
      break;
    case InitializerKind::random_uniform:
      out.a = -0.05;
      out.b = 0.05;
      fields.read("minval", out.a);
      fields.read("maxval", out.b);
      break;
    default:
      break;
  }
}

void read_penalty(const Members& layer, const char* member, Penalty& out) {
  const Json* json = layer.find(member);
  if (json == nullptr || json->is_null()) return;
  Members fields(*json, layer.label(member));
  fields.type(kRegularizerTypes);
  fields.read("l1", out.l1);
  fields.read("l2", out.l2);
  fields.read("proximal", out.proximal);
}

void read_fields(const Members& fields, Dense& out) {
  out.units = fields.whole("units", "an integer in [1, 2^31)");
  read_activation(fields, out.activation);
  fields.read("use_bias", out.use_bias);
  read_initializer(fields, "kernel_initializer", out.kernel_initializer);
  read_initializer(fields, "bias_initializer", out.bias_initializer);
  read_penalty(fields, "kernel_regularizer", out.kernel_regularizer);
  read_penalty(fields, "bias_regularizer", out.bias_regularizer);
  fields.read("trainable", out.trainable);
}

void read_fields(const Members& fields, Activation& out) {
  fields.required("activation");
  read_activation(fields, out.activation);
}

void read_fields(const Members& fields, BatchNormalization& out) {
  fields.read("momentum", out.momentum);
  fields.read("epsilon", out.epsilon);
  fields.read("center", out.center);
  fields.read("scale", out.scale);
  fields.read("trainable", out.trainable);
}

void read_fields(const Members& fields, Dropout& out) {
  fields.read("rate", out.rate);
  const Json* seed = fields.find("seed");
  if (seed != nullptr && !seed->is_null()) out.seed = fields.whole("seed", "null or an integer in [0, 2^64)");
}

void read_clipping(const Members& fields, Clipping& out) {
  for (std::size_t i = 0; i < kClippings.size(); ++i) {
    const Json* json = fields.find(kClippings[i]);
    if (json == nullptr || json->is_null()) continue;
    if (out.kind != ClipKind::none)
      throw std::invalid_argument(fields.label(kClippings[i]) + " must be the only limit of gradients, got others too");
    out.kind = static_cast<ClipKind>(i + 1);
    fields.read(kClippings[i], out.limit);
  }
}

// What every optimizer has.
template <class AnyOptimizer>
void read_common(const Members& fields, AnyOptimizer& out) {
  const Json* rate = fields.find("learning_rate");
  if (rate != nullptr && rate->get<Json::Object>() == nullptr) fields.read("learning_rate", out.learning_rate);
  read_clipping(fields, out.clipping);
}

void read_fields(const Members& fields, SGD& out) {
  read_common(fields, out);
  fields.read("momentum", out.momentum);
  fields.read("nesterov", out.nesterov);
}

void read_fields(const Members& fields, Adam& out) {
  read_common(fields, out);
  fields.read("beta_1", out.beta_1);
  fields.read("beta_2", out.beta_2);
  fields.read("epsilon", out.epsilon);
}

void read_fields(const Members& fields, AdamW& out) {
  read_common(fields, out);
  fields.read("weight_decay", out.weight_decay);
  fields.read("beta_1", out.beta_1);
  fields.read("beta_2", out.beta_2);
  fields.read("epsilon", out.epsilon);
}

void read_fields(const Members& fields, RMSprop& out) {
  read_common(fields, out);
  fields.read("rho", out.rho);
  fields.read("epsilon", out.epsilon);
}

// The variant's alternative number `kind`, with its defaults.
template <class Variant, std::size_t i = 0>
Variant alternative(std::size_t kind) {
  if constexpr (i + 1 < std::variant_size_v<Variant>) {
    if (kind != i) return alternative<Variant, i + 1>(kind);
  }
  return Variant(std::in_place_index<i>);
}

template <class Variant, std::size_t n>
Variant read_variant(const Json& json, std::string where, const std::array<const char*, n>& types) {
  Members fields(json, std::move(where));
  Variant result = alternative<Variant>(fields.type(types));
  std::visit([&](auto& chosen) { read_fields(fields, chosen); }, result);
  return result;
}

void require_format(const Members& top) {
  const std::string rule = "1 (the only format known; a newer fastreg may read others)";
  const std::uint64_t format = top.whole("format", rule.c_str());
  if (format != 1) throw std::invalid_argument("format must be " + rule + ", got " + std::to_string(format));
}

}  // namespace

NetworkSpec parse_network(const std::string& description) {
  const Json json = parse_json(description);
  const Members top(json, "");
  require_format(top);
  NetworkSpec spec;
  spec.n_features = top.whole("n_features", "an integer in [1, 2^31)");
  if (top.find("seed") != nullptr) spec.seed = top.whole("seed", "an integer in [0, 2^64)");
  const Json::Array& layers = top.array("layers");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    spec.layers.push_back(read_variant<Layer>(layers[i], "layers[" + std::to_string(i) + "]", kLayerTypes));
  }
  validate(spec);
  return spec;
}

TrainingSpec parse_training(const std::string& description) {
  const Json json = parse_json(description);
  const Members top(json, "");
  require_format(top);
  TrainingSpec spec;
  Members loss(top.required("loss"), "loss");
  spec.loss.kind = static_cast<LossKind>(loss.type(kLossTypes));
  if (spec.loss.kind != LossKind::mean_squared_error) loss.read("from_logits", spec.loss.from_logits);
  spec.optimizer = read_variant<Optimizer>(top.required("optimizer"), "optimizer", kOptimizerTypes);
  if (top.find("metrics") != nullptr) {
    const Json::Array& metrics = top.array("metrics");
    for (std::size_t i = 0; i < metrics.size(); ++i) {
      Members metric(metrics[i], "metrics[" + std::to_string(i) + "]");
      spec.metrics.push_back(static_cast<MetricKind>(metric.type(kMetricTypes)));
    }
  }
  validate(spec);
  return spec;
}

Optimizer parse_optimizer(const std::string& json) {
  TrainingSpec spec;
  spec.optimizer = read_variant<Optimizer>(parse_json(json), "optimizer", kOptimizerTypes);
  validate(spec);
  return spec.optimizer;
}

const char* name(ActivationKind kind) { return kActivations.at(static_cast<std::size_t>(kind)); }

ActivationKind activation_from_name(std::string_view name) {
  return static_cast<ActivationKind>(index_of(kActivations, name, "activation"));
}

LossKind loss_from_name(std::string_view name) {
  return static_cast<LossKind>(index_of(kLosses, name, "loss"));
}

}  // namespace fastreg
