// Reads the JSON description, format 1, into the structs of spec.h. What values are allowed is validate.cpp's business;
// here it is names and JSON types. Knows nothing of files or of how a network computes.
//
//   n_features  integer                 required by parse_network
//   seed        integer in [0, 2^64)    default 0
//   layers      array of objects        required by parse_network
//     their names and fields are those of fastreg/layers.h, and so are those of initializers and regularizers
//   loss        object                  required by parse_training
//     MeanSquaredError, BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy (these three:
//     from_logits)
//   optimizer   object                  required by parse_training; names and fields are those of fastreg/optimizers.h
//   metrics     array of objects        default empty
//     BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy, MeanSquaredError, MeanAbsoluteError
//
// Every object of these names its kind in "type". An absent member has the default of its struct, a member that is
// not listed is ignored.
#include "fastreg/spec.h"

#include <stdexcept>
#include <utility>

#include "core/read_fields.h"

namespace fastreg {
namespace {

// In the order of the enums.
const std::vector<const char*> kLosses = {"mean_squared_error", "binary_crossentropy",
                                          "categorical_crossentropy", "sparse_categorical_crossentropy"};
const std::vector<const char*> kLossTypes = {"MeanSquaredError", "BinaryCrossentropy", "CategoricalCrossentropy",
                                             "SparseCategoricalCrossentropy"};
const std::vector<const char*> kMetricTypes = {"BinaryAccuracy", "CategoricalAccuracy",
                                               "SparseCategoricalAccuracy", "MeanSquaredError", "MeanAbsoluteError"};

void require_format(const Members& top) {
  const std::string rule = "1 (the only format known; a newer fastreg may read others)";
  const std::uint64_t format = top.whole("format", rule);
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
    spec.layers.push_back(read_one_of(Layers(), layers[i], "layers[" + std::to_string(i) + "]"));
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
  spec.optimizer = read_one_of(Optimizers(), top.required("optimizer"), "optimizer");
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
  spec.optimizer = read_one_of(Optimizers(), parse_json(json), "optimizer");
  validate(spec);
  return spec.optimizer;
}

LossKind loss_from_name(std::string_view name) {
  return static_cast<LossKind>(index_of_name(kLosses, name, "loss"));
}

}  // namespace fastreg
