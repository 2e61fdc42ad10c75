// The names of activations, how one with given parameters is computed, and what its backward pass reads, from the lists
// of math/activations.h and math/separate_activations.h.
#include "core/activations.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
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

constexpr std::size_t kKindCount = math::Activations::kSize + math::SeparateActivations::kSize;

// The names of all kinds, in the order of the kinds.
constexpr std::array<const char*, kKindCount> kAllNames = [] {
  std::array<const char*, kKindCount> names{};
  const auto fused = names_of(math::Activations());
  const auto separate = names_of(math::SeparateActivations());
  std::copy(separate.begin(), separate.end(), std::copy(fused.begin(), fused.end(), names.begin()));
  return names;
}();

template <class... F>
constexpr bool is_general(List<F...>, ActivationKind kind) {
  return ((requires { F::kGeneral; } && kind == math::kSeparateKind<F>) || ...);
}

constexpr bool is_general(std::size_t kind) {
  return is_general(math::SeparateActivations(), static_cast<ActivationKind>(kind));
}

// The kinds that can be asked for by their names.
constexpr std::size_t kNamedCount = [] {
  std::size_t count = 0;
  for (std::size_t i = 0; i < kKindCount; ++i) count += is_general(i) ? 0 : 1;
  return count;
}();

// Their names, in the order of the kinds.
constexpr std::array<const char*, kNamedCount> kNamed = [] {
  std::array<const char*, kNamedCount> names{};
  for (std::size_t i = 0, next = 0; i < kKindCount; ++i)
    if (!is_general(i)) names[next++] = kAllNames[i];
  return names;
}();

// How many parameters each kind is computed with.
template <class... F>
constexpr std::size_t parameter_count(List<F...>, ActivationKind kind) {
  const auto of = [&]<class Function>(Type<Function>) -> std::size_t {
    if constexpr (requires { Function::kParameters; })
      return kind == math::kSeparateKind<Function> ? Function::kParameters : 0;
    else
      return 0;
  };
  return (of(Type<F>()) + ...);
}

// The place of a kind in the list. Throws std::invalid_argument if it is that of no activation.
std::size_t checked_index(ActivationKind kind) {
  const auto index = static_cast<std::size_t>(kind);
  if (index >= kKindCount)
    throw std::invalid_argument("ActivationKind must be below activation_count(), " + std::to_string(kKindCount) +
                                ", got " + std::to_string(index));
  return index;
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

std::size_t activation_count() { return kKindCount; }

const char* name(ActivationKind kind) { return kAllNames[checked_index(kind)]; }

std::vector<const char*> activation_names() { return {kNamed.begin(), kNamed.end()}; }

ActivationKind activation_from_name(std::string_view wanted) { return kind_from_name(wanted, "activation"); }

ActivationKind kind_from_name(std::string_view wanted, const std::string& what) {
  return static_cast<ActivationKind>(index_of_name(kAllNames, wanted, what));
}

const char* refusal_of(const ActivationSpec& activation) {
  if (static_cast<std::size_t>(activation.kind) >= kKindCount) return "must be a kind below activation_count()";
  const std::size_t count = parameter_count(math::SeparateActivations(), activation.kind);
  for (std::size_t i = 0; i < std::size(activation.parameters); ++i) {
    const float value = activation.parameters[i];
    if (i >= count && value != 0.0f)
      return "must have no parameters that its kind is not computed with; spec() of fastreg/activations.h makes one";
    if (std::isnan(value)) return "must have parameters that are not NaN";
  }
  const bool divides = activation.kind == math::kSeparateKind<math::Celu> ||
                       activation.kind == math::kSeparateKind<math::Squareplus>;
  if (divides && !kNormal.contains(static_cast<double>(activation.parameters[0])))
    return "must have a parameter >= 2^-126 and finite (float32); parse_activation makes one with its default";
  return nullptr;
}

ActivationSpec read_activation(const Json& json, const std::string& where) {
  const std::string* const named = json.get<std::string>();
  if (named == nullptr && json.get<Json::Object>() == nullptr)
    throw std::invalid_argument(where + " must be a string or an object, got " + quoted(json));
  const Json nothing{Json::Object{}};
  const Members members(named == nullptr ? json : nothing, where);
  const std::string& wanted = named == nullptr ? members.text("type") : *named;
  std::optional<ActivationSpec> spec;
  with_parameters(ActivationParameters(), wanted, [&]<class Parameters>(Type<Parameters>) {
    Parameters parameters;
    read_fields(members, parameters);
    check_description(where, parameters);
    spec = parameters.spec();
  });
  if (spec) return *spec;
  return kind_from_name(kNamed[index_of_name(kNamed, wanted, where)], where);
}

ActivationSpec parse_activation(const std::string& text) {
  return read_activation(text.starts_with('{') ? parse_json(text) : Json{text}, "activation");
}

bool derivative_from_output(ActivationKind kind) {
  checked_index(kind);
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
