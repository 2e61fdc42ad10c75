// The schema of all descriptions, which is derived from the lists in fastreg/. A test compares Python's descriptions
// with it. It has the form {kind: {name: {"fields": {field: {...}}, traits}}}, in the order of the lists. The fields of
// an activation are its parameters, and its trait is backward_from; the traits of a loss are targets and absorbs; those
// of a metric are targets, direction and, if it needs a certain number of outputs with its default settings, outputs. A
// field has
//
//   type              float, floats (a list of them), bool, int, activation, initializer, regularizer, constraint,
//                     seed, choice, columns (a list of those of a table), names (a list of them), axis (an integer or a
//                     list of them) or multiplier (a number, or one for each name)
//   choices           the names among which a field of type choice has its value
//   default           is absent if the field is required
//   nullable          is true if null is allowed
//   schedule          is true if an object instead of a number is the schedule of a learning rate
//   minimum, exclusiveMinimum, maximum, exclusiveMaximum
//                     bounds of a number, as in JSON Schema; every number is finite in float32
//   rule              the words of messages for these bounds
#include <cmath>
#include <cstdlib>
#include <utility>

#include "core/check_fields.h"
#include "core/read_fields.h"
#include "fastreg/json.h"

namespace fastreg {
namespace {

void put(Json& object, const char* name, Json value) {
  std::get<Json::Object>(object.value).push_back({name, std::move(value)});
}
Json text(const char* words) { return {std::string(words)}; }

// The double nearest the shortest decimal of a float: 0.9f is 0.9.
Json number(float value) { return {std::strtod(fastreg::shown(value).c_str(), nullptr)}; }
Json number(double value) { return {value}; }
Json number(std::size_t value) { return {static_cast<std::uint64_t>(value)}; }

void put_interval(Json& field, const Interval& interval) {
  if (interval.minimum > -kLargestFloat)
    put(field, interval.above_minimum ? "exclusiveMinimum" : "minimum", {interval.minimum});
  if (interval.maximum < kLargestFloat)
    put(field, interval.below_maximum ? "exclusiveMaximum" : "maximum", {interval.maximum});
  put(field, "rule", text(interval.rule));
}

// A value's type, then its default, for each type that a field may have.
struct Described {
  const char* type;
  Json value;
};
Described described(bool value) { return {"bool", {value}}; }
Described described(float value) { return {"float", number(value)}; }
Described described(double value) { return {"float", number(value)}; }
Described described(std::size_t value) { return {"int", number(value)}; }
Described described(const ActivationSpec& value) { return {"activation", text(name(value.kind))}; }
Described described(const Numbers& value) {
  Json::Array list;
  for (std::size_t i = 0; i < value.count; ++i) list.push_back(number(value.values[i]));
  return {"floats", {std::move(list)}};
}
Described described(std::uint32_t value) { return {"int", number(static_cast<std::size_t>(value))}; }
Described described(Axis value) { return {"axis", number(static_cast<double>(value))}; }
Described described(const Penalty&) { return {"regularizer", {nullptr}}; }
Described described(const Constraint&) { return {"constraint", {nullptr}}; }
Described described(const TableColumns&) { return {"columns", {Json::Array{}}}; }
Described described(const NormAxes&) { return {"axis", {std::uint64_t{0}}}; }
Described described(const std::optional<std::uint64_t>&) { return {"seed", {nullptr}}; }
template <Choice Enum>
Described described(Enum value) {
  return {"choice", text(Choices<Enum>::kNames[static_cast<std::size_t>(value)])};
}
Described described(const Initializer& value) {
  Json object{Json::Object{}};
  put(object, "type", text(std::visit([](const auto& any) { return any.kName; }, value)));
  std::visit(
      [&](const auto& any) {
        any.kFields.visit([&](const auto& field) {
          Json of_field = described(any.*field.member).value;
          if (!of_field.is_null()) put(object, field.name, std::move(of_field));
        });
      },
      value);
  return {"initializer", std::move(object)};
}

template <class T>
Described described(const std::optional<T>& value) {
  return {described(T{}).type, value ? described(*value).value : Json{nullptr}};
}

// The type of a field's value where it is not null.
template <class Member>
struct ValueOf {
  using type = Member;
  static constexpr bool kOptional = false;
};
template <class T>
struct ValueOf<std::optional<T>> {
  using type = T;
  static constexpr bool kOptional = true;
};

// What the schema says of a field besides its type and default; of one that is no number there is no interval.
struct Traits {
  const char* name;
  bool required, nullable, schedule;
  Names choices;
  const Interval* interval;
};

void put_described(Json& fields, const Traits& traits, Described value) {
  Json json{Json::Object{}};
  put(json, "type", text(value.type));
  const bool nullable = value.value.is_null() || traits.nullable;
  if (!traits.required) put(json, "default", std::move(value.value));
  if (nullable) put(json, "nullable", {true});
  if (traits.schedule) put(json, "schedule", {true});
  if (!traits.choices.empty()) {
    Json::Array names;
    for (const char* name : traits.choices) names.push_back(text(name));
    put(json, "choices", {std::move(names)});
  }
  if (traits.interval != nullptr) put_interval(json, *traits.interval);
  put(fields, traits.name, std::move(json));
}

template <class Owner, class Member>
void put_field(Json& fields, const Field<Owner, Member>& field) {
  using Value = typename ValueOf<Member>::type;
  constexpr bool kNumber = std::is_floating_point_v<Value> || std::is_same_v<Member, std::size_t> ||
                           std::is_same_v<Member, Numbers> || std::is_same_v<Value, std::uint32_t>;
  Traits traits{field.name, field.required, ValueOf<Member>::kOptional, field.schedule, {}, nullptr};
  if constexpr (Choice<Value>) traits.choices = Choices<Value>::kNames;
  if constexpr (kNumber) traits.interval = &field.interval;
  put_described(fields, traits, described(Owner{}.*field.member));
}

// A field that is null by default.
void put_nullable(Json& fields, const char* name, const char* type, const Interval* interval, bool schedule = false) {
  Json json{Json::Object{}};
  put(json, "type", text(type));
  put(json, "default", {nullptr});
  put(json, "nullable", {true});
  if (schedule) put(json, "schedule", {true});
  if (interval != nullptr) put_interval(json, *interval);
  put(fields, name, std::move(json));
}

// Several fields in JSON and in Python.
template <class Owner>
void put_field(Json& fields, const Field<Owner, UpdateOptions>&) {
  for (const ClipKind kind : kClippings) put_nullable(fields, clipping_name(kind), "float", &kPositive);
  if constexpr (!requires { &Owner::weight_decay; }) put_nullable(fields, "weight_decay", "float", &kNotNegative, true);
  put_field(fields, field("use_ema", &UpdateOptions::use_ema));
  put_field(fields, field("ema_momentum", &UpdateOptions::ema_momentum, kClosedFraction));
  put_nullable(fields, "ema_overwrite_frequency", "int", &kWidth);
  put_nullable(fields, "gradient_accumulation_steps", "int", &kWidth);
  put_nullable(fields, "excluded_from_weight_decay", "names", nullptr);
}

template <class Owner>
void put_field(Json& fields, const Field<Owner, Multipliers>&) {
  for (const char* name : {"learning_rate_multiplier", "weight_decay_multiplier"}) {
    Json json{Json::Object{}};
    put(json, "type", text("multiplier"));
    put(json, "default", number(Multiplier{}.all));
    put(fields, name, std::move(json));
  }
}

template <class Description>
Json fields_of(Type<Description>) {
  Json fields{Json::Object{}};
  Description::kFields.visit([&](const auto& field) { put_field(fields, field); });
  return fields;
}

// Adds the traits of a description to its fields. put_traits has an overload for each kind that has traits.
template <class Descriptions>
void put_traits(Descriptions, Json&, ...) {}

const char* name_of(Targets targets) {
  switch (targets) {
    case Targets::values: return "values";
    case Targets::counts: return "counts";
    case Targets::probabilities: return "probabilities";
    case Targets::signs: return "signs";
    case Targets::distribution: return "distribution";
    case Targets::labels: return "labels";
  }
  return "";
}
const char* name_of(MetricTargets targets) {
  switch (targets) {
    case MetricTargets::matrix: return "matrix";
    case MetricTargets::labels: return "labels";
    case MetricTargets::any: return "any";
  }
  return "";
}

void put_loss(Json& one, Targets targets, ActivationKind absorbs) {
  put(one, "targets", text(name_of(targets)));
  put(one, "absorbs", absorbs != ActivationKind::linear ? text(name(absorbs)) : Json{nullptr});
}
void put_metric(Json& one, MetricTargets targets, Direction direction, std::size_t outputs) {
  put(one, "targets", text(name_of(targets)));
  put(one, "direction", text(direction == Direction::max ? "max" : "min"));
  if (outputs != 0) put(one, "outputs", number(outputs));
}

template <class Loss>
void put_traits(Losses, Json& one, Type<Loss>) {
  put_loss(one, Loss::kTargets, Loss::kAbsorbs);
}
template <class Metric>
void put_traits(Metrics, Json& one, Type<Metric>) {
  std::size_t outputs = 0;
  if constexpr (requires { Metric{}.outputs(); }) outputs = Metric{}.outputs();
  put_metric(one, Metric::kTargets, Metric::kDirection, outputs);
}

// The entry of a description within its kind, with its fields.
Json& put_fields(Json& kind, const char* name, Json fields) {
  Json one{Json::Object{}};
  put(one, "fields", std::move(fields));
  put(kind, name, std::move(one));
  return std::get<Json::Object>(kind.value).back().value;
}

template <class Descriptions>
Json kind_of(Descriptions list) {
  Json kind{Json::Object{}};
  for_each_type(list, [&]<class Description>(Type<Description> type) {
    put_traits(list, put_fields(kind, Description::kName, fields_of(type)), type);
  });
  return kind;
}

Json activations() {
  Json kind{Json::Object{}};
  for (const std::string activation : activation_names()) {
    Json fields{Json::Object{}};
    for_each_type(ActivationParameters(), [&]<class Parameters>(Type<Parameters> type) {
      if (activation == Parameters::kName) fields = fields_of(type);
    });
    Json& one = put_fields(kind, activation.c_str(), std::move(fields));
    put(one, "backward_from", text(derivative_from_output(activation_from_name(activation)) ? "output" : "input"));
  }
  return kind;
}

}  // namespace

std::string schema() {
  Json all{Json::Object{}};
  put(all, "optimizers", kind_of(Optimizers()));
  put(all, "activations", activations());
  put(all, "initializers", kind_of(Initializers()));
  put(all, "regularizers", kind_of(Regularizers()));
  put(all, "constraints", kind_of(Constraints()));
  put(all, "layers", kind_of(Layers()));
  put(all, "losses", kind_of(Losses()));
  put(all, "metrics", kind_of(Metrics()));
  return all.dump();
}

}  // namespace fastreg
