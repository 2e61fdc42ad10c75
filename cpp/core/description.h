// Names of a description, for the bindings: one activation, loss or optimizer by itself. Whole descriptions are read by
// parse_network and parse_training of fastreg/spec.h.
#pragma once
#include <string>
#include <string_view>

#include "fastreg/spec.h"

namespace fastreg {

// The optimizer's object of a description, validated, e.g. `{"type":"Adam","learning_rate":0.001}`.
// Throws std::invalid_argument as parse_training does.
Optimizer parse_optimizer(const std::string& json);

// The names of the enums, e.g. "relu" and "mean_squared_error". An unknown one is a std::invalid_argument that lists
// the known ones.
const char* name(ActivationKind);
ActivationKind activation_from_name(std::string_view);
LossKind loss_from_name(std::string_view);

}  // namespace fastreg
