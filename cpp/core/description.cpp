// Reads the JSON description into the structs of spec.h. It checks names and JSON types; validate.cpp checks values. It
// knows nothing of files or of how a network computes.
//
//   format      1, or 2 for a graph     required
//   n_features  integer                 required by parse_network in format 1
//   seed        integer in [0, 2^64)    default 0
//   inputs      array of objects        required by parse_network in format 2, like nodes and outputs: name, n_features
//   nodes       array of objects        layer (index in layers), inputs (array of values, which spec.h numbers)
//   outputs     array of objects        name, value
//   layers      array of objects        required by parse_network
//     their names and fields are those of fastreg/layers.h, and so are those of initializers and regularizers
//   loss        object, or an array     required by parse_training; an array has one for each output of the network
//     names and fields are those of fastreg/losses.h
//   loss_weights array of numbers       default ones; only with an array of losses, one for each
//   optimizer   object                  required by parse_training; names and fields are those of fastreg/optimizers.h,
//     with one more, excluded_from_weight_decay, null or an array of strings (TrainingSpec)
//   metrics, weighted_metrics  array of objects  default empty; with an array of losses, an array of such arrays
//     names and fields are those of fastreg/metrics.h
//   matmul_precision  highest, high or medium   default highest
//
// Every one of these objects names its kind in "type". A member that is absent has the default of its struct, and a
// member that is not listed is ignored.
#include "fastreg/spec.h"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "core/check_fields.h"
#include "core/read_fields.h"

namespace fastreg {
namespace {

// 1, or 2 for a graph.
std::uint64_t read_format(const Members& top) {
  const std::string rule = "1 or 2 (the only formats known; a newer fastreg may read others)";
  const std::uint64_t format = top.whole("format", rule);
  if (format != 1 && format != 2)
    throw std::invalid_argument("format must be " + rule + ", got " + std::to_string(format));
  return format;
}

// Calls read(members, element) for each object of an array.
template <class Element, class Read>
std::vector<Element> read_array(const Members& top, const char* list, Read read) {
  std::vector<Element> out;
  const Json::Array& array = top.array(list);
  for (std::size_t i = 0; i < array.size(); ++i)
    read(Members(array[i], std::string(list) + "[" + std::to_string(i) + "]"), out.emplace_back());
  return out;
}

void read_graph(const Members& top, NetworkSpec& spec) {
  spec.inputs = read_array<NetworkInput>(top, "inputs", [](const Members& fields, NetworkInput& input) {
    input.name = fields.text("name");
    input.n_features = fields.whole("n_features", "an integer in [1, 2^31)");
  });
  spec.nodes = read_array<Node>(top, "nodes", [](const Members& fields, Node& node) {
    node.layer = fields.whole("layer", "the index of a layer");
    for (const Json& value : fields.array("inputs")) {
      const auto* number = value.get<std::uint64_t>();
      if (number == nullptr)
        throw std::invalid_argument(fields.label("inputs") + " must be numbers of values, got " + quoted(value));
      node.inputs.push_back(*number);
    }
  });
  spec.outputs = read_array<NetworkOutput>(top, "outputs", [](const Members& fields, NetworkOutput& output) {
    output.name = fields.text("name");
    output.value = fields.whole("value", "the number of a value");
  });
  if (spec.is_chain()) throw std::invalid_argument("inputs, nodes and outputs must not all be empty");
}

std::vector<Metric> read_metrics(const Json::Array& metrics, const std::string& where) {
  std::vector<Metric> out;
  for (std::size_t i = 0; i < metrics.size(); ++i)
    out.push_back(read_one_of(AllMetrics(), metrics[i], where + "[" + std::to_string(i) + "]"));
  return out;
}

std::vector<Metric> read_own_metrics(const Json& metrics, const std::string& where) {
  const auto* const own = metrics.get<Json::Array>();
  if (own == nullptr) throw std::invalid_argument(where + " must be an array, got " + quoted(metrics));
  return read_metrics(*own, where);
}

// An array with an element for each of the losses; null if it is absent.
const Json::Array* beside_losses(const Members& top, const char* list, std::size_t count) {
  if (top.find(list) == nullptr) return nullptr;
  const Json::Array& array = top.array(list);
  if (array.size() != count)
    throw std::invalid_argument(std::string(list) + " must be as many as losses, " + std::to_string(count) + ", got " +
                                std::to_string(array.size()));
  return &array;
}

void read_outputs(const Members& top, TrainingSpec& spec) {
  const Json::Array& losses = top.array("loss");
  if (losses.empty()) throw std::invalid_argument("loss must be an object, or at least one in an array, got none");
  const Json::Array* const metrics = beside_losses(top, "metrics", losses.size());
  const Json::Array* const weighted = beside_losses(top, "weighted_metrics", losses.size());
  const Json::Array* const weights = beside_losses(top, "loss_weights", losses.size());
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const std::string index = "[" + std::to_string(i) + "]";
    OutputTraining& output = spec.outputs.emplace_back();
    output.loss = read_one_of(AllLosses(), losses[i], "loss" + index);
    if (metrics != nullptr) output.metrics = read_own_metrics((*metrics)[i], "metrics" + index);
    if (weighted != nullptr) output.weighted_metrics = read_own_metrics((*weighted)[i], "weighted_metrics" + index);
    if (weights == nullptr) continue;
    const auto number = (*weights)[i].number();
    if (!number || !(std::abs(*number) <= std::numeric_limits<float>::max()))
      throw std::invalid_argument("loss_weights" + index + " must be a number that is finite in float32, got " +
                                  quoted((*weights)[i]));
    output.weight = static_cast<float>(*number);
  }
}

// Whether a number of an object is one, which stands for a schedule.
bool has_schedule(const Json& object, const char* member) {
  const Json* const value = object.find(member);
  return value != nullptr && value->get<Json::Object>() != nullptr;
}

bool is_dropout(const Layer& layer) {
  return std::visit([](const auto& any) { return requires { any.rate; }; }, layer);
}

void read_exclusions(const Members& optimizer, TrainingSpec& spec) {
  const char* const name = "excluded_from_weight_decay";
  if (!optimizer.has(name)) return;
  std::vector<std::string>& excluded = spec.excluded_from_weight_decay.emplace();
  for (const Json& one : optimizer.array(name)) {
    const auto* text = one.get<std::string>();
    if (text == nullptr)
      throw std::invalid_argument(optimizer.label(name) + " must be null or an array of strings, got " + quoted(one));
    excluded.push_back(*text);
  }
}

}  // namespace

NetworkSpec parse_network(const Json& description) {
  const Members top(description, "");
  NetworkSpec spec;
  if (read_format(top) == 2)
    read_graph(top, spec);
  else
    spec.n_features = top.whole("n_features", "an integer in [1, 2^31)");
  if (top.find("seed") != nullptr) spec.seed = top.whole("seed", "an integer in [0, 2^64)");
  const Json::Array& layers = top.array("layers");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    spec.layers.push_back(read_one_of(Layers(), layers[i], "layers[" + std::to_string(i) + "]"));
    if (has_schedule(layers[i], "rate") && is_dropout(spec.layers.back())) spec.scheduled.push_back(i);
  }
  validate(spec);
  return spec;
}

TrainingSpec parse_training(const Json& description) {
  const Members top(description, "");
  read_format(top);
  TrainingSpec spec;
  if (top.required("loss").get<Json::Array>() != nullptr) {
    read_outputs(top, spec);
  } else {
    spec.loss = read_one_of(AllLosses(), top.required("loss"), "loss");
    if (top.find("metrics") != nullptr) spec.metrics = read_metrics(top.array("metrics"), "metrics");
    if (top.find("weighted_metrics") != nullptr)
      spec.weighted_metrics = read_metrics(top.array("weighted_metrics"), "weighted_metrics");
  }
  spec.optimizer = read_one_of(Optimizers(), top.required("optimizer"), "optimizer");
  read_exclusions(Members(top.required("optimizer"), "optimizer"), spec);
  spec.schedules_weight_decay = has_schedule(top.required("optimizer"), "weight_decay");
  read_value(top, "matmul_precision", kFinite, spec.matmul_precision);
  validate(spec);
  return spec;
}

Layer parse_layer(const Json& description) { return read_one_of(Layers(), description, "layer"); }

NetworkSpec parse_network(const std::string& description) { return parse_network(parse_json(description)); }
TrainingSpec parse_training(const std::string& description) { return parse_training(parse_json(description)); }
Layer parse_layer(const std::string& json) { return parse_layer(parse_json(json)); }

Optimizer parse_optimizer(const std::string& json) {
  TrainingSpec spec;
  spec.optimizer = read_one_of(Optimizers(), parse_json(json), "optimizer");
  validate(spec);
  return spec.optimizer;
}

Loss parse_loss(const std::string& json) {
  TrainingSpec spec;
  spec.loss = read_one_of(AllLosses(), parse_json(json), "loss");
  validate(spec);
  return spec.loss;
}

Metric parse_metric(const std::string& json) {
  Metric metric = read_one_of(AllMetrics(), parse_json(json), "metric");
  std::visit([](const auto& chosen) { check_description("metric", chosen); }, metric);
  return metric;
}

const char* name(MatmulPrecision precision) {
  check_value(Check(""), "MatmulPrecision", kFinite, precision);
  return Choices<MatmulPrecision>::kNames[static_cast<std::size_t>(precision)];
}

MatmulPrecision matmul_precision_from_name(std::string_view wanted) {
  return static_cast<MatmulPrecision>(index_of_name(Choices<MatmulPrecision>::kNames, wanted, "matmul_precision"));
}

bool takes_labels(const Loss& loss) {
  if (const auto* const function = std::get_if<losses::Function>(&loss)) return function->labels;
  return std::visit([](const auto& any) { return any.kTargets == Targets::labels; }, loss);
}

}  // namespace fastreg
