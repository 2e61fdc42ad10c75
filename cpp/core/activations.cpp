// The names of activations, and whether their backward pass reads the output, from the list of math/activations.h.
#include "core/activations.h"

#include "core/read_fields.h"
#include "math/activations.h"

namespace fastreg {
namespace {

template <class... F>
constexpr bool reads_output(List<F...>, ActivationKind kind) {
  return ((kind == math::kKind<F> && !F::kFromInput) || ...);
}

}  // namespace

std::size_t activation_count() { return math::Activations::kSize; }

const char* name(ActivationKind kind) { return names_of(math::Activations()).at(static_cast<std::size_t>(kind)); }

ActivationKind find_activation(std::string_view name, const std::string& what) {
  return static_cast<ActivationKind>(index_of_name(names_of(math::Activations()), name, what));
}

ActivationKind activation_from_name(std::string_view name) { return find_activation(name, "activation"); }

bool derivative_from_output(ActivationKind kind) { return reads_output(math::Activations(), kind); }

}  // namespace fastreg
