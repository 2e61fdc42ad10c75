// Activations by name and from JSON, for code that reads descriptions, and how each is computed. fastreg/spec.h
// declares the other functions.
#pragma once
#include <string>
#include <string_view>

#include "fastreg/json.h"
#include "fastreg/spec.h"
#include "fastreg/strict_math.h"

namespace fastreg {

// The kind of a name, general forms included. An unknown name is a std::invalid_argument that lists the known ones and
// starts with `what`.
ActivationKind kind_from_name(std::string_view name, const std::string& what);
// An activation as a name, or as an object with its name under "type" and its parameters.
ActivationSpec read_activation(const Json& json, const std::string& where);

// What is wrong with an activation of the caller's, after "activation ": null if it is a kind that there is, with
// parameters that it has and that it can be computed with.
const char* refusal_of(const ActivationSpec& activation);

// Whether kernels compute it together with other things; what is not fused is a pass of its own.
bool is_fused(ActivationKind);
// Whether it is one of whole rows, as softmax.
bool needs_rows(ActivationKind);

}  // namespace fastreg
