// The names of activations, how one with given parameters is computed, and what its backward pass reads, from the lists
// of math/activations.h and math/separate_activations.h.
#include "core/activations.h"

#include <limits>
#include <optional>
#include <stdexcept>

#include "core/check_fields.h"
#include "core/read_fields.h"
#include "math/separate_activations.h"

namespace fastreg {
namespace {

template <class... F>
constexpr bool reads_output(List<F...>, ActivationKind kind) {
  return ((kind == math::kKind<F> && !F::kFromInput) || ...);
}

std::vector<const char*> all_names() {
  std::vector<const char*> names = names_of(math::Activations());
  for (const char* separate : names_of(math::SeparateActivations())) names.push_back(separate);
  return names;
}

template <class... F>
bool is_general(List<F...>, ActivationKind kind) {
  return ((requires { F::kGeneral; } && kind == math::kSeparateKind<F>) || ...);
}

// Calls body with the type of the parameters of an activation that has this name and some.
template <class... P, class Body>
void with_parameters(List<P...>, std::string_view name, Body body) {
  const auto call = [&]<class Parameters>(Type<Parameters> type) {
    if (name == Parameters::kName) body(type);
  };
  (call(Type<P>()), ...);
}

}  // namespace

std::size_t activation_count() { return math::Activations::kSize + math::SeparateActivations::kSize; }

const char* name(ActivationKind kind) { return all_names().at(static_cast<std::size_t>(kind)); }

std::vector<const char*> activation_names() {
  std::vector<const char*> names;
  for (std::size_t i = 0; i < activation_count(); ++i)
    if (const auto kind = static_cast<ActivationKind>(i); !is_general(math::SeparateActivations(), kind))
      names.push_back(name(kind));
  return names;
}

ActivationKind activation_from_name(std::string_view wanted) { return kind_from_name(wanted, "activation"); }

ActivationKind kind_from_name(std::string_view wanted, const std::string& what) {
  return static_cast<ActivationKind>(index_of_name(all_names(), wanted, what));
}

ActivationSpec read_activation(const Json& json, const std::string& where) {
  if (json.get<std::string>() == nullptr && json.get<Json::Object>() == nullptr)
    throw std::invalid_argument(where + " must be a string or an object, got " + quoted(json));
  const Json named = json.get<std::string>() == nullptr ? Json{} : Json{Json::Object{{"type", json}}};
  Members members(named.is_null() ? json : named, where);
  const std::string& wanted = members.text("type");
  std::optional<ActivationSpec> spec;
  with_parameters(ActivationParameters(), wanted, [&]<class Parameters>(Type<Parameters>) {
    Parameters parameters;
    read_fields(members, parameters);
    check_description(where, parameters);
    spec = parameters.spec();
  });
  if (spec) return *spec;
  const std::vector<const char*> names = activation_names();
  return kind_from_name(names[index_of_name(names, wanted, where)], where);
}

ActivationSpec parse_activation(const std::string& text) {
  return read_activation(text.starts_with('{') ? parse_json(text) : Json{text}, "activation");
}

bool derivative_from_output(ActivationKind kind) {
  return reads_output(math::Activations(), kind) || math::needs_rows(kind);
}
bool is_fused(ActivationKind kind) { return math::is_fused(kind); }
bool needs_rows(ActivationKind kind) { return math::needs_rows(kind); }

ActivationSpec ReluParameters::spec() const {
  if (!max_value && negative_slope == 0.0f && threshold == 0.0f) return ActivationKind::relu;
  const float most = max_value.value_or(std::numeric_limits<float>::infinity());
  return {math::kSeparateKind<math::Rectifier>, most, negative_slope, threshold};
}
ActivationSpec LeakyReluParameters::spec() const {
  if (negative_slope == kLeakyReluSlope) return ActivationKind::leaky_relu;
  return ReluParameters{std::nullopt, negative_slope, 0.0f}.spec();
}
ActivationSpec EluParameters::spec() const {
  if (alpha == kEluAlpha) return ActivationKind::elu;
  return {math::kSeparateKind<math::ScaledElu>, alpha};
}
ActivationSpec GeluParameters::spec() const {
  return approximate ? math::kSeparateKind<math::GeluTanh> : ActivationKind::gelu;
}
ActivationSpec CeluParameters::spec() const { return {math::kSeparateKind<math::Celu>, alpha}; }
ActivationSpec SquareplusParameters::spec() const { return {math::kSeparateKind<math::Squareplus>, b}; }
ActivationSpec SoftShrinkParameters::spec() const { return {math::kSeparateKind<math::SoftShrink>, threshold}; }
ActivationSpec HardShrinkParameters::spec() const { return {math::kSeparateKind<math::HardShrink>, threshold}; }
ActivationSpec ThresholdParameters::spec() const {
  return {math::kSeparateKind<math::Threshold>, threshold, default_value};
}

}  // namespace fastreg
