// Descriptions: every field arrives where it belongs, and whatever else a text holds is an error with the documented
// message.
#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "core/check_fields.h"
#include "fastreg/json.h"
#include "fastreg/spec.h"
#include "texts.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

const std::string kTraining =
    R"("loss":{"type":"BinaryCrossentropy"},"optimizer":{"type":"Adam"},"metrics":[{"type":"BinaryAccuracy"}])";

std::string with_layers(const std::string& layers) {
  return R"({"format":1,"n_features":4,"seed":3,"layers":[)" + layers + "]," + kTraining + "}";
}
std::string with_optimizer(const std::string& optimizer) {
  return R"({"format":1,"loss":{"type":"MeanSquaredError"},"optimizer":)" + optimizer + "}";
}

void a_full_description_is_read() {
  const std::string text = R"({"format":1,"n_features":10,"seed":18446744073709551615,"other":{"python":[1,2]},
    "layers":[{"type":"Dense","units":64,"activation":"gelu","use_bias":false,
     "kernel_initializer":{"type":"RandomNormal","mean":1,"stddev":0.25},
     "bias_initializer":{"type":"Constant","value":0.125},
     "kernel_regularizer":{"type":"L1L2","l1":0.5,"l2":0.25,"proximal":true},
     "bias_regularizer":{"type":"L1L2","l2":2},"name":"first"},
    {"type":"Activation","activation":"leaky_relu"},
    {"type":"BatchNormalization","momentum":0.5,"epsilon":0.25,"center":false,"scale":false},
    {"type":"Dropout","rate":0.25},
    {"type":"Dense","units":1,"kernel_initializer":{"type":"RandomUniform"},"kernel_regularizer":null}],
    "loss":{"type":"BinaryCrossentropy","from_logits":true},
    "optimizer":{"type":"AdamW","learning_rate":0.5,"weight_decay":0.25,"beta_1":0.125,"beta_2":0.75,"epsilon":2},
    "metrics":[{"type":"MeanAbsoluteError","name":"mae"},{"type":"SparseCategoricalAccuracy"}],
    "matmul_precision":"high"})";
  const NetworkSpec network = parse_network(text);
  CHECK(network.n_features == 10 && network.seed == UINT64_MAX && network.layers.size() == 5);
  const auto& first = std::get<Dense>(network.layers[0]);
  CHECK(first.units == 64 && first.activation == ActivationKind::gelu && !first.use_bias);
  const auto& normal = std::get<RandomNormal>(first.kernel_initializer);
  CHECK(normal.mean == 1 && normal.stddev == 0.25);
  CHECK(std::get<Constant>(first.bias_initializer).value == 0.125);
  CHECK((first.kernel_regularizer == Penalty{0.5f, 0.25f, true} && first.bias_regularizer == Penalty{0, 2, false}));
  CHECK(std::get<Activation>(network.layers[1]).activation == ActivationKind::leaky_relu);
  const auto& norm = std::get<BatchNormalization>(network.layers[2]);
  CHECK(norm.momentum == 0.5f && norm.epsilon == 0.25f && !norm.center && !norm.scale);
  CHECK(std::get<Dropout>(network.layers[3]).rate == 0.25f);
  const auto& last = std::get<Dense>(network.layers[4]);
  CHECK(last.activation == ActivationKind::linear && last.use_bias && last.kernel_regularizer == Penalty{});
  const auto& uniform = std::get<RandomUniform>(last.kernel_initializer);
  CHECK(uniform.minval == -0.05 && uniform.maxval == 0.05);
  CHECK(std::holds_alternative<Zeros>(last.bias_initializer));

  const TrainingSpec training = parse_training(text);
  CHECK(std::get<losses::BinaryCrossentropy>(training.loss).from_logits);
  const auto& adam = std::get<AdamW>(training.optimizer);
  CHECK(adam.learning_rate == 0.5f && adam.weight_decay == 0.25f && adam.beta_1 == 0.125f && adam.beta_2 == 0.75f);
  CHECK(adam.epsilon == 2.0f && training.metrics.size() == 2);
  CHECK(training.matmul_precision == MatmulPrecision::high);
  CHECK(std::holds_alternative<metrics::MeanAbsoluteError>(training.metrics[0]));
  CHECK(std::holds_alternative<metrics::SparseCategoricalAccuracy>(training.metrics[1]));
}

void a_tree_is_read_as_a_text_is() {
  const Json layer{Json::Object{{"type", {std::string("Dense")}}, {"units", {std::uint64_t{3}}}}};
  const Json tree{Json::Object{{"format", {std::uint64_t{1}}}, {"n_features", {std::uint64_t{4}}},
                               {"layers", {Json::Array{layer}}},
                               {"loss", {Json::Object{{"type", {std::string("Huber")}}, {"delta", {0.5}}}}},
                               {"optimizer", {Json::Object{{"type", {std::string("SGD")}}}}}}};
  const NetworkSpec network = parse_network(tree);
  CHECK(network.n_features == 4 && std::get<Dense>(network.layers.at(0)).units == 3);
  CHECK(std::get<losses::Huber>(parse_training(tree).loss).delta == 0.5f);
  CHECK(std::get<Dense>(parse_layer(layer)).units == 3);
}

void absent_members_have_the_defaults_of_the_structs() {
  const NetworkSpec network = parse_network(R"({"format":1,"n_features":2,"layers":[{"type":"Dense","units":3},
    {"type":"BatchNormalization"},{"type":"Dropout"}]})");
  CHECK(network.seed == 0);
  CHECK(parse_training(with_optimizer(R"({"type":"SGD"})")).matmul_precision == MatmulPrecision::highest);
  CHECK(std::holds_alternative<GlorotUniform>(std::get<Dense>(network.layers[0]).kernel_initializer));
  CHECK(std::get<BatchNormalization>(network.layers[1]).momentum == BatchNormalization{}.momentum);
  CHECK(std::get<Dropout>(network.layers[2]).rate == Dropout{}.rate);
  const auto sgd = std::get<SGD>(parse_optimizer(R"({"type":"SGD","learning_rate":{"type":"CosineDecay"}})"));
  CHECK(sgd.learning_rate == SGD{}.learning_rate && sgd.momentum == 0.0f && !sgd.nesterov);
  const auto adam = std::get<Adam>(parse_optimizer(R"({"type":"Adam"})"));
  CHECK(adam.learning_rate == 1e-3f && adam.beta_1 == 0.9f && adam.beta_2 == 0.999f && adam.epsilon == 1e-7f);
  CHECK(adam.options.clipping.kind == ClipKind::none && adam.options.clipping.limit == 0.0f);
  CHECK(adam.options.weight_decay == 0.0f && !adam.options.use_ema && adam.options.ema_momentum == 0.99f);
  CHECK(adam.options.ema_overwrite_frequency == 0 && adam.options.gradient_accumulation_steps == 1);
  const auto adamw = std::get<AdamW>(parse_optimizer(R"({"type":"AdamW"})"));
  CHECK(adamw.weight_decay == 4e-3f && adamw.beta_1 == 0.9f && adamw.beta_2 == 0.999f && adamw.epsilon == 1e-7f);
  const auto rmsprop = std::get<RMSprop>(parse_optimizer(R"({"type":"RMSprop"})"));
  CHECK(rmsprop.learning_rate == 1e-3f && rmsprop.rho == 0.9f && rmsprop.epsilon == 1e-7f);
}

// A value that a field may have and that is not its default, and its JSON.
std::string other_value(const Interval& interval, float& value) {
  for (const float other : {0.25f, 0.5f, 1.25f, -0.25f})
    if (value != other && interval.contains(other)) {
      value = other;
      return shown(value);
    }
  throw std::logic_error(std::string("no other value is ") + interval.rule);
  return shown(value);
}
std::string other_value(const Interval& interval, Numbers& value) {
  value.count = 2;
  return "[" + other_value(interval, value.values[0]) + "," + other_value(interval, value.values[1]) + "]";
}
std::string other_value(const Interval&, double& value) {
  value = value == 0.25 ? 0.5 : 0.25;
  return shown(value);
}
template <class Whole>
  requires std::is_same_v<Whole, std::size_t> || std::is_same_v<Whole, std::uint32_t>
std::string other_value(const Interval&, Whole& value) {
  value += 3;
  return std::to_string(value);
}
std::string other_value(const Interval&, Axis& value) {
  value = Axis::rows;
  return "0";
}
std::string other_value(const Interval&, bool& value) {
  value = !value;
  return value ? "true" : "false";
}

template <Choice Enum>
std::string other_value(const Interval&, Enum& value) {
  value = static_cast<Enum>(value == Enum{} ? 1 : 0);
  return std::string("\"") + Choices<Enum>::kNames[static_cast<std::size_t>(value)] + "\"";
}
template <class T>
std::string other_value(const Interval& interval, std::optional<T>& value) {
  return other_value(interval, value.emplace());
}

template <Choice Enum>
bool same(Enum a, Enum b) {
  return a == b;
}
template <class T>
bool same(const std::optional<T>& a, const std::optional<T>& b) {
  return a == b;
}
bool same(float a, float b) { return a == b; }
bool same(double a, double b) { return a == b; }
bool same(std::size_t a, std::size_t b) { return a == b; }
bool same(Axis a, Axis b) { return a == b; }
bool same(bool a, bool b) { return a == b; }
bool same(const Numbers& a, const Numbers& b) {
  return a.count == b.count && std::equal(a.values, a.values + a.count, b.values);
}
bool same(const UpdateOptions& a, const UpdateOptions& b) {
  return a.clipping.kind == b.clipping.kind && a.clipping.limit == b.clipping.limit && a.use_ema == b.use_ema &&
         a.weight_decay == b.weight_decay && a.ema_momentum == b.ema_momentum &&
         a.ema_overwrite_frequency == b.ema_overwrite_frequency &&
         a.gradient_accumulation_steps == b.gradient_accumulation_steps;
}
// The members of the options, which are fields of the optimizer in JSON. One that an optimizer has itself is not here,
// and one that averages weights itself refuses the average.
std::string options_json(UpdateOptions& options, bool own_decay, bool own_average) {
  options = {{ClipKind::norm, 0.25f}, own_decay ? 0.0f : 0.125f, !own_average, 0.5f, 3, 4};
  return std::string(R"("clipnorm":0.25,"ema_momentum":0.5,"ema_overwrite_frequency":3,)") +
         (own_average ? "" : R"("use_ema":true,)") + (own_decay ? "" : R"("weight_decay":0.125,)") +
         R"("gradient_accumulation_steps":4)";
}

Metric parse_metric(const std::string& json) {
  return parse_training(R"({"format":1,"optimizer":{"type":"SGD"},"loss":{"type":"MeanSquaredError"},"metrics":[)" +
                        json + "]}")
      .metrics.at(0);
}

// With every field of every description written down, each arrives in its own member.
template <class Descriptions, class Parse>
void every_field_is_read(Descriptions list, Parse parse) {
  for_each_type(list, [&]<class Description>(Type<Description>) {
    Description wanted;
    std::string json = std::string(R"({"type":")") + Description::kName + "\"";
    Description::kFields.visit([&](const auto& field) {
      if constexpr (requires { (wanted.*field.member).clipping; })
        json += "," + options_json(wanted.*field.member, requires { wanted.weight_decay; },
                                   std::is_same_v<Description, ScheduleFreeAdamW>);
      else
        json += std::string(",\"") + field.name + "\":" + other_value(field.interval, wanted.*field.member);
    });
    auto read = std::get<Description>(parse(json + "}"));
    if constexpr (requires { read.weight_decay; }) read.options.weight_decay = 0.0f;   // the same member of the JSON
    Description::kFields.visit([&](const auto& field) {
      CHECK_NAMED(same(read.*field.member, wanted.*field.member), json + ": " + field.name);
    });
  });
}

void every_limit_of_gradients_is_read() {
  for_each_type(Optimizers(), []<class Description>(Type<Description>) {
    for (const ClipKind kind : kClippings) {
      const std::string clipped = std::string(R"({"type":")") + Description::kName + "\",\"" + clipping_name(kind);
      const Clipping clipping = std::get<Description>(parse_optimizer(clipped + "\":0.25}")).options.clipping;
      CHECK(clipping.kind == kind && clipping.limit == 0.25f);
    }
  });
  const auto null = std::get<SGD>(parse_optimizer(R"({"type":"SGD","clipnorm":null,"global_clipnorm":null})"));
  CHECK(null.options.clipping.kind == ClipKind::none);
}

// The names of a list's descriptions, as messages list them.
template <class... T>
std::string listed(List<T...>) {
  std::string names;
  ((names += std::string(names.empty() ? "" : ", ") + T::kName), ...);
  return names;
}

// The values at and beside the bounds of an interval are taken or refused as it says.
template <class Parse>
void bounds_are_checked(Parse parse, const std::string& json, const Interval& interval) {
  const auto accepted = [&](double value) {
    try {
      parse(json + shown(value) + "}");
    } catch (const std::invalid_argument&) {
      return false;
    }
    return true;
  };
  const auto next = [](double value, float towards) {
    return static_cast<double>(std::nextafter(static_cast<float>(value), towards));
  };
  CHECK_NAMED(accepted(interval.minimum) == !interval.above_minimum, json + " minimum");
  if (interval.minimum > -kLargestFloat)
    CHECK_NAMED(!accepted(next(interval.minimum, -1.0f)), json + " below the minimum");
  CHECK_NAMED(accepted(interval.maximum) == !interval.below_maximum, json + " maximum");
  if (interval.maximum < kLargestFloat) CHECK_NAMED(!accepted(next(interval.maximum, 4.0f)), json + " above it");
}

template <class Descriptions, class Parse>
std::size_t every_interval_is_checked(Descriptions list, Parse parse) {
  std::size_t checked = 0;
  for_each_type(list, [&]<class Description>(Type<Description>) {
    Description::kFields.visit([&]<class Member>(const Field<Description, Member>& field) {
      if constexpr (std::is_same_v<Member, float>) {
        const std::string json = std::string(R"({"type":")") + Description::kName + "\",\"" + field.name + "\":";
        bounds_are_checked(parse, json, field.interval);
        ++checked;
      }
    });
  });
  return checked;
}

void every_description_is_read_and_checked() {
  every_field_is_read(Optimizers(), parse_optimizer);
  every_field_is_read(Losses(), parse_loss);
  every_field_is_read(Metrics(), parse_metric);
  CHECK(every_interval_is_checked(Optimizers(), parse_optimizer) > Optimizers::kSize);
  every_interval_is_checked(Losses(), parse_loss);
  every_interval_is_checked(Metrics(), parse_metric);
}

void the_schema_has_every_list() {
  const Json json = parse_json(schema());
  const auto size = [&](const char* kind) { return json.find(kind)->get<Json::Object>()->size(); };
  CHECK(size("optimizers") == Optimizers::kSize && size("activations") == activation_names().size());
  CHECK(size("initializers") == Initializers::kSize && size("layers") == Layers::kSize);
  CHECK(size("regularizers") == Regularizers::kSize && size("constraints") == Constraints::kSize);
  CHECK(size("losses") == Losses::kSize && size("metrics") == Metrics::kSize);
  CHECK_EQUAL(
      json.find("losses")->find("BinaryCrossentropy")->dump(),
      R"({"fields":{"from_logits":{"type":"bool","default":false},"label_smoothing":{"type":"float","default":0,)"
      R"("minimum":0,"maximum":1,"rule":"in [0, 1]"}},"targets":"probabilities","absorbs":"sigmoid"})");
  CHECK_EQUAL(json.find("losses")->find("Quantile")->find("fields")->dump(),
              R"x({"quantiles":{"type":"floats","default":[0.5],"exclusiveMinimum":0,"exclusiveMaximum":1,)x"
              R"x("rule":"in (0, 1)"}})x");
  CHECK_EQUAL(json.find("losses")->find("MeanSquaredError")->dump(),
              R"({"fields":{},"targets":"values","absorbs":null})");
  CHECK_EQUAL(
      json.find("metrics")->find("AUC")->dump(),
      R"({"fields":{"curve":{"type":"choice","default":"ROC","choices":["ROC","PR"]},"multi_label":{"type":"bool",)"
      R"("default":false}},"targets":"any","direction":"max"})");
  const Json& fields = *json.find("optimizers")->find("Adam")->find("fields");
  CHECK_EQUAL(fields.find("beta_1")->dump(),
              R"_({"type":"float","default":0.9,"minimum":0,"exclusiveMaximum":1,"rule":"in [0, 1)"})_");
  const std::string positive = R"_("exclusiveMinimum":0,"rule":"> 0 and finite (float32)"})_";
  CHECK_EQUAL(fields.find("learning_rate")->dump(), R"({"type":"float","default":0.001,"schedule":true,)" + positive);
  CHECK_EQUAL(fields.find("clipvalue")->dump(), R"({"type":"float","default":null,"nullable":true,)" + positive);
  const Json& dense = *json.find("layers")->find("Dense")->find("fields");
  CHECK_EQUAL(dense.find("units")->dump(),
              R"_({"type":"int","minimum":1,"exclusiveMaximum":2147483648,"rule":"in [1, 2^31)"})_");
  CHECK_EQUAL(dense.find("kernel_initializer")->dump(), R"({"type":"initializer","default":{"type":"GlorotUniform"}})");
  CHECK_EQUAL(json.find("activations")->find("gelu")->dump(),
              R"({"fields":{"approximate":{"type":"bool","default":false}},"backward_from":"input"})");
  CHECK_EQUAL(json.find("activations")->find("tanh")->dump(), R"({"fields":{},"backward_from":"output"})");
}

void activations_are_read_with_their_parameters() {
  CHECK(parse_activation("relu") == ActivationKind::relu);
  CHECK(parse_activation(R"({"type":"leaky_relu","negative_slope":0.2})") == ActivationKind::leaky_relu);
  CHECK(parse_activation(R"({"type":"elu","alpha":1})") == ActivationKind::elu);
  CHECK(parse_activation(R"({"type":"relu","max_value":null})") == ActivationKind::relu);
  const ActivationSpec leaky = parse_activation(R"({"type":"leaky_relu","negative_slope":0.5})");
  CHECK_EQUAL(name(leaky.kind), "rectifier");
  CHECK(std::isinf(leaky.parameters[0]) && leaky.parameters[1] == 0.5f && leaky.parameters[2] == 0.0f);
  const struct { const char *text, *message; } rows[] = {
      {R"({"type":"leaky_relu","negative_slope":-1})", "activation (leaky_relu): negative_slope must be >= 0"},
      {R"({"type":"threshold","threshold":1})", "activation: default_value is missing"},
      {R"({"type":"celu","alpha":0})", "activation (celu): alpha must be >= 2^-126"},
      {R"({"type":"rectifier"})", "activation must be one of linear"},
      {R"({"alpha":1})", "activation: type is missing"},
      {"threshold", "activation: threshold is missing"},
  };
  for (const auto& row : rows)
    CHECK(has(message_of<std::invalid_argument>([&] { parse_activation(row.text); }), row.message));
}

void names_are_those_of_the_enums() {
  for (std::size_t i = 0; i < activation_count(); ++i) {
    CHECK(activation_from_name(name(static_cast<ActivationKind>(i))) == static_cast<ActivationKind>(i));
  }
  CHECK(derivative_from_output(ActivationKind::relu) && !derivative_from_output(ActivationKind::gelu));
  CHECK_EQUAL(name(ActivationKind::leaky_relu), "leaky_relu");
  CHECK(has(message_of<std::invalid_argument>([] { activation_from_name("Relu"); }), "got \"Relu\""));
}

void layer_errors_name_layer_field_rule_and_value() {
  const struct { std::string layers, message;
  } rows[] = {
      {"", "layers must have at least one layer, got none"},
      {"3", "layers[0] must be an object, got 3"},
      {R"({"units":1})", "layers[0]: type is missing"},
      {R"({"type":"Conv"})", "layers[0]: type must be one of " + listed(Layers()) + ", got \"Conv\""},
      {R"({"type":"Add"})", "layers[0] (Add): must have at least 2 inputs, got 1"},
      {R"({"type":"Dropout"},{"type":"Dropout","rate":1})", "layers[1] (Dropout): rate must be in [0, 1), got 1"},
      {R"({"type":"Dropout","rate":0.99999999999})", "layers[0] (Dropout): rate must be in [0, 1), got 1"},
      {R"({"type":"Dropout","rate":-0.5})", "layers[0] (Dropout): rate must be in [0, 1), got -0.5"},
      {R"({"type":"Dropout","rate":"0.5"})", "layers[0] (Dropout): rate must be a number, got \"0.5\""},
      {R"({"type":"Dropout","rate":1e39})", "layers[0] (Dropout): rate must be finite in float32, got 1e+39"},
      {R"({"type":"Dense"})", "layers[0] (Dense): units is missing"},
      {R"({"type":"Dense","units":0})", "layers[0] (Dense): units must be in [1, 2^31), got 0"},
      {R"({"type":"Dense","units":2147483648})", "layers[0] (Dense): units must be in [1, 2^31), got 2147483648"},
      {R"({"type":"Dense","units":1.5})", "layers[0] (Dense): units must be an integer in [1, 2^31), got 1.5"},
      {R"({"type":"Dense","units":2147483647},{"type":"Dense","units":2147483647})",
       "layers[1] (Dense): the network must not have more than 2^48 parameters"},
      {R"({"type":"Dense","units":2,"use_bias":1})", "layers[0] (Dense): use_bias must be true or false, got 1"},
      {R"({"type":"Dense","units":2,"activation":null})",
       "layers[0] (Dense): activation must be a string or an object, got null"},
      {R"({"type":"Dense","units":1,"activation":"softmax"})",
       "layers[0] (Dense): softmax over 1 unit is always 1; use sigmoid"},
      {R"({"type":"Dense","units":1},{"type":"Activation","activation":"softmax"})",
       "layers[1] (Activation): softmax over 1 unit is always 1; use sigmoid"},
      {R"({"type":"Activation"})", "layers[0] (Activation): activation is missing"},
      {R"({"type":"Dense","units":2,"kernel_initializer":"zeros"})",
       "layers[0] (Dense): kernel_initializer must be an object, got \"zeros\""},
      {R"({"type":"Dense","units":2,"kernel_initializer":{"type":"RandomNormal","stddev":-1}})",
       "layers[0] (Dense): kernel_initializer: stddev must be >= 0, got -1"},
      {R"({"type":"Dense","units":2,"bias_initializer":{"type":"RandomUniform","minval":1,"maxval":0.5}})",
       "layers[0] (Dense): bias_initializer: maxval must be >= minval, got 0.5"},
      {R"({"type":"Dense","units":2,"bias_initializer":{"type":"Constant","value":1e300}})",
       "layers[0] (Dense): bias_initializer: value must be finite (float32), got 1e+300"},
      {R"({"type":"Dense","units":2,"kernel_regularizer":{"type":"L1L2","l1":-0.5}})",
       "layers[0] (Dense): kernel_regularizer: l1 must be >= 0 and finite (float32), got -0.5"},
      {R"({"type":"Dense","units":2,"bias_regularizer":{"type":"L3"}})",
       "layers[0] (Dense): bias_regularizer: type must be one of " + listed(Regularizers()) + ", got \"L3\""},
      {R"({"type":"BatchNormalization","momentum":1.5})",
       "layers[0] (BatchNormalization): momentum must be in [0, 1], got 1.5"},
      {R"({"type":"BatchNormalization","epsilon":1e-60})",
       "layers[0] (BatchNormalization): epsilon must be >= 2^-126 and finite (float32), got 0"}};
  for (const auto& row : rows) {
    CHECK_EQUAL(message_of<std::invalid_argument>([&] { parse_network(with_layers(row.layers)); }), row.message);
  }
  const NetworkSpec frozen = parse_network(with_layers(R"({"type":"BatchNormalization","momentum":1})"));
  CHECK(std::get<BatchNormalization>(frozen.layers[0]).momentum == 1.0f);
  CHECK(has(message_of<std::invalid_argument>(
                [] { parse_network(with_layers(R"({"type":"Dense","units":2,"activation":"swish"})")); }),
            "layers[0] (Dense): activation must be one of linear, relu, "));
}

void other_errors_of_descriptions_name_their_field() {
  const struct { std::string text, message;
  } rows[] = {
      {"[]", "description must be an object, got []"},
      {"{", "JSON: expected a name in double quotes, at byte 1"},
      {"{}", "format is missing"},
      {R"({"format":3})", "format must be 1 or 2 (the only formats known; a newer fastreg may read others), got 3"},
      {R"({"format":"1"})",
       "format must be 1 or 2 (the only formats known; a newer fastreg may read others), got \"1\""},
      {R"({"format":1})", "n_features is missing"},
      {R"({"format":1,"n_features":0,"layers":[{"type":"Dropout"}]})", "n_features must be in [1, 2^31), got 0"},
      {R"({"format":1,"n_features":-1})", "n_features must be an integer in [1, 2^31), got -1"},
      {R"({"format":1,"n_features":1,"seed":1.5})", "seed must be an integer in [0, 2^64), got 1.5"},
      {R"({"format":1,"n_features":1})", "layers is missing"},
      {R"({"format":1,"n_features":1,"layers":{}})", "layers must be an array, got {}"}};
  for (const auto& row : rows) {
    CHECK_EQUAL(message_of<std::invalid_argument>([&] { parse_network(row.text); }), row.message);
  }
  const std::string loss = R"({"format":1,"optimizer":{"type":"Adam"},"loss":)";
  const struct { std::string text, message; } training[] = {
      {R"({"format":1})", "loss is missing"},
      {R"({"format":1,"loss":{"type":"MeanSquaredError"}})", "optimizer is missing"},
      {loss + R"("mse"})", "loss must be an object, got \"mse\""},
      {loss + R"({"type":"BinaryCrossentropy","from_logits":0}})",
       "loss (BinaryCrossentropy): from_logits must be true or false, got 0"},
      {loss + R"({"type":"MeanSquaredError"},"metrics":[{"type":"Luck"}]})",
       "metrics[0]: type must be one of " + listed(AllMetrics()) + ", got \"Luck\""},
      {loss + R"({"type":"Luck"}})", "loss: type must be one of " + listed(AllLosses()) + ", got \"Luck\""},
      {with_optimizer(R"({"type":"Tiger"})"),
       "optimizer: type must be one of " + listed(Optimizers()) + ", got \"Tiger\""},
      {with_optimizer(R"({"type":"Adam","learning_rate":0})"),
       "optimizer (Adam): learning_rate must be > 0 and finite (float32), got 0"},
      {with_optimizer(R"({"type":"Adam","learning_rate":"fast"})"),
       "optimizer (Adam): learning_rate must be a number, got \"fast\""},
      {with_optimizer(R"({"type":"Adam","beta_1":1})"), "optimizer (Adam): beta_1 must be in [0, 1), got 1"},
      {with_optimizer(R"({"type":"AdamW","beta_2":-1})"), "optimizer (AdamW): beta_2 must be in [0, 1), got -1"},
      {with_optimizer(R"({"type":"Adam","epsilon":1e-50})"),
       "optimizer (Adam): epsilon must be >= 2^-126 and finite (float32), got 0"},
      {with_optimizer(R"({"type":"AdamW","weight_decay":-1})"),
       "optimizer (AdamW): weight_decay must be >= 0 and finite (float32), got -1"},
      {with_optimizer(R"({"type":"RMSprop","rho":1})"), "optimizer (RMSprop): rho must be in [0, 1), got 1"},
      {with_optimizer(R"({"type":"SGD","momentum":1})"), "optimizer (SGD): momentum must be in [0, 1), got 1"},
      {with_optimizer(R"({"type":"SGD","clipnorm":0})"),
       "optimizer (SGD): clipnorm must be > 0 and finite (float32), got 0"},
      {with_optimizer(R"({"type":"AdamW","clipvalue":-1})"),
       "optimizer (AdamW): clipvalue must be > 0 and finite (float32), got -1"},
      {with_optimizer(R"({"type":"Adam","global_clipnorm":"1"})"),
       "optimizer (Adam): global_clipnorm must be a number, got \"1\""},
      {with_optimizer(R"({"type":"RMSprop","clipnorm":1,"clipvalue":1})"),
       "optimizer (RMSprop): clipnorm must be the only limit of gradients, got others too"},
      {with_optimizer(R"({"type":"SGD","nesterov":true})"),
       "optimizer (SGD): momentum must be > 0 with nesterov, got 0"},
      {loss + R"({"type":"MeanSquaredError"},"matmul_precision":"low"})",
       "matmul_precision must be one of highest, high, medium, got \"low\""},
      {loss + R"({"type":"MeanSquaredError"},"matmul_precision":null})",
       "matmul_precision must be a string, got null"}};
  for (const auto& row : training) {
    CHECK_EQUAL(message_of<std::invalid_argument>([&] { parse_training(row.text); }), row.message);
  }
  // A tree may have numbers that no text has.
  Json tree = parse_json(R"({"format":1,"n_features":1})");
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const auto& [value, shown] : {std::pair{kInfinity, "inf"}, {std::nan(""), "nan"}}) {
    std::get<Json::Object>(tree.value)[1].value = {value};
    CHECK_EQUAL(message_of<std::invalid_argument>([&] { parse_network(tree); }),
                std::string("n_features must be an integer in [1, 2^31), got ") + shown);
  }
  TrainingSpec spec;
  spec.optimizer = SGD{std::numeric_limits<float>::quiet_NaN()};
  CHECK_EQUAL(message_of<std::invalid_argument>([&] { validate(spec); }),
              "optimizer (SGD): learning_rate must be > 0 and finite (float32), got nan");
  CHECK(std::get<losses::CategoricalCrossentropy>(parse_loss(R"({"type":"CategoricalCrossentropy"})")).from_logits ==
        false);
  CHECK_EQUAL(message_of<std::invalid_argument>([] { parse_loss(R"({"type":"BinaryCrossentropy","from_logits":2})"); }),
              "loss (BinaryCrossentropy): from_logits must be true or false, got 2");
}

}  // namespace

int main() {
  a_full_description_is_read();
  a_tree_is_read_as_a_text_is();
  absent_members_have_the_defaults_of_the_structs();
  every_limit_of_gradients_is_read();
  every_description_is_read_and_checked();
  the_schema_has_every_list();
  names_are_those_of_the_enums();
  activations_are_read_with_their_parameters();
  layer_errors_name_layer_field_rule_and_value();
  other_errors_of_descriptions_name_their_field();
  return report("description");
}
