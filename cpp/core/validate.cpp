// The ranges of every hyper-parameter in spec.h. The network, the trainer and the parser of descriptions all call this,
// so that kernels never see a value out of range. Knows nothing of JSON.
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/weights.h"
#include "fastreg/strict_math.h"

namespace fastreg {
namespace {

// Widths and row indices fit 31 bits, and sizes of buffers in bytes stay far from the limits of size_t.
constexpr std::size_t kMaxWidth = 0x7FFFFFFF;
constexpr std::size_t kMaxParameters = std::size_t{1} << 48;

std::string shown(double value) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

std::string shown(float value) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

// Checks fields of one part of a model; `where` starts every message, e.g. "layers[2] (Dropout)".
class Check {
 public:
  explicit Check(std::string where) : where_(std::move(where)) {}

  // Rules are written so that NaN breaks them.
  void unit_interval(const char* field, float value, bool closed = false) const {
    const bool good = value >= 0.0f && (closed ? value <= 1.0f : value < 1.0f);
    require(good, field, closed ? "in [0, 1]" : "in [0, 1)", value);
  }
  void positive(const char* field, float value) const {
    require(value > 0.0f && std::isfinite(value), field, "> 0 and finite (float32)", value);
  }
  // For what is added to a divisor: vector code takes denormals for zero.
  void normal(const char* field, float value) const {
    const bool good = value >= std::numeric_limits<float>::min() && std::isfinite(value);
    require(good, field, ">= 2^-126 and finite (float32)", value);
  }
  void not_negative(const char* field, float value) const {
    require(value >= 0.0f && std::isfinite(value), field, ">= 0 and finite (float32)", value);
  }
  void finite_float(const char* field, double value) const {
    require(std::abs(value) <= std::numeric_limits<float>::max(), field, "finite (float32)", value);
  }
  void width(const char* field, std::size_t value) const {
    if (value >= 1 && value <= kMaxWidth) return;
    fail(std::string(field) + " must be in [1, 2^31), got " + std::to_string(value));
  }
  template <class Number>
  void require(bool good, const char* field, const char* rule, Number value) const {
    if (!good) fail(std::string(field) + " must be " + rule + ", got " + shown(value));
  }
  [[noreturn]] void fail(const std::string& message) const {
    throw std::invalid_argument(where_.empty() ? message : where_ + ": " + message);
  }

 private:
  std::string where_;
};

void check_initializer(const Check& check, const std::string& field, const Initializer& initializer) {
  const auto at = [&](const char* part) { return field + ": " + part; };
  switch (initializer.kind) {
    case InitializerKind::constant:
      check.finite_float(at("value").c_str(), initializer.a);
      break;
    case InitializerKind::random_normal:
    case InitializerKind::truncated_normal:
      check.finite_float(at("mean").c_str(), initializer.a);
      check.finite_float(at("stddev").c_str(), initializer.b);
      check.require(initializer.b >= 0.0, at("stddev").c_str(), ">= 0", initializer.b);
      break;
    case InitializerKind::random_uniform:
      check.finite_float(at("minval").c_str(), initializer.a);
      check.finite_float(at("maxval").c_str(), initializer.b);
      check.require(initializer.a <= initializer.b, at("maxval").c_str(), ">= minval", initializer.b);
      break;
    default:
      break;
  }
}

void check_penalty(const Check& check, const std::string& field, const Penalty& penalty) {
  check.not_negative((field + ": l1").c_str(), penalty.l1);
  check.not_negative((field + ": l2").c_str(), penalty.l2);
}

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
    const Check check(where + " (Dense)");
    check.width("units", layer.units);
    check_activation(check, layer.activation, layer.units);
    check_initializer(check, "kernel_initializer", layer.kernel_initializer);
    check_initializer(check, "bias_initializer", layer.bias_initializer);
    check_penalty(check, "kernel_regularizer", layer.kernel_regularizer);
    check_penalty(check, "bias_regularizer", layer.bias_regularizer);
    count(check, layer);
  }
  void operator()(const Activation& layer) const {
    check_activation(Check(where + " (Activation)"), layer.activation, width);
  }
  void operator()(const BatchNormalization& layer) const {
    const Check check(where + " (BatchNormalization)");
    check.unit_interval("momentum", layer.momentum, true);
    check.normal("epsilon", layer.epsilon);
    count(check, layer);
  }
  void operator()(const Dropout& layer) const { Check(where + " (Dropout)").unit_interval("rate", layer.rate); }

  void count(const Check& check, const Layer& layer) const {
    for (const WeightSpec& weight : layer_weights(layer, {width})) parameters += weight.size();
    if (parameters > kMaxParameters) check.fail("the network must not have more than 2^48 parameters");
    width = output_width(layer, {width});
  }
};

struct OptimizerCheck {
  void operator()(const SGD& sgd) const {
    const Check check("optimizer (SGD)");
    common(check, sgd);
    check.unit_interval("momentum", sgd.momentum);
    if (sgd.nesterov) check.require(sgd.momentum > 0.0f, "momentum", "> 0 with nesterov", sgd.momentum);
  }
  void operator()(const Adam& adam) const { moments(Check("optimizer (Adam)"), adam); }
  void operator()(const AdamW& adam) const {
    const Check check("optimizer (AdamW)");
    moments(check, adam);
    check.not_negative("weight_decay", adam.weight_decay);
  }
  void operator()(const RMSprop& rmsprop) const {
    const Check check("optimizer (RMSprop)");
    common(check, rmsprop);
    check.unit_interval("rho", rmsprop.rho);
    check.normal("epsilon", rmsprop.epsilon);
  }

  template <class AnyOptimizer>
  static void common(const Check& check, const AnyOptimizer& optimizer) {
    check.positive("learning_rate", optimizer.learning_rate);
    constexpr const char* kFields[] = {"", "clipvalue", "clipnorm", "global_clipnorm"};
    const Clipping& clipping = optimizer.clipping;
    if (clipping.kind != ClipKind::none) check.positive(kFields[static_cast<int>(clipping.kind)], clipping.limit);
  }
  template <class AnyAdam>
  static void moments(const Check& check, const AnyAdam& adam) {
    common(check, adam);
    check.unit_interval("beta_1", adam.beta_1);
    check.unit_interval("beta_2", adam.beta_2);
    check.normal("epsilon", adam.epsilon);
  }
};

}  // namespace

void validate(const NetworkSpec& spec) {
  const Check check("");
  check.width("n_features", spec.n_features);
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
  std::visit(OptimizerCheck{}, spec.optimizer);
}

}  // namespace fastreg
