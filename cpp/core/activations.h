// Finds activations by name, for code that reads descriptions. fastreg/spec.h declares the other functions.
#pragma once
#include <string>
#include <string_view>

#include "fastreg/spec.h"

namespace fastreg {

// An unknown name is a std::invalid_argument that lists the known ones and starts with `what`.
ActivationKind find_activation(std::string_view name, const std::string& what);

}  // namespace fastreg
