// Descriptions of networks, layers and training that come from Python.
#pragma once
#include <pybind11/pybind11.h>

#include "fastreg/json.h"

namespace fastreg::bindings {

// The JSON form of a description: a dict of None, bool, int, float, str, lists, tuples and dicts, or a JSON text. A
// dict is not written as text in between, which would take as long as making a small network. Throws
// std::invalid_argument for a number that is not finite, and for what is nested deeper than kMaxJsonDepth, and
// TypeError for an object that JSON does not have.
Json json_of(pybind11::handle description);

}  // namespace fastreg::bindings
