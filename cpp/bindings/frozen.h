// A frozen network as Python's lists, tuples and arrays: what a pickle of a Predictor holds.
#pragma once
#include <memory>
#include <string>

#include "bindings/convert.h"
#include "fastreg/predictor.h"

namespace fastreg::bindings {

// Of a chain without names a list of layers, of any other network a dict of its inputs, nodes and outputs.
py::object frozen_state(const Predictor& predictor);
// From a compiled network, or from what frozen_state returned, or from anyone.
std::unique_ptr<const Predictor> predictor_from(py::handle source);

[[noreturn]] inline void refuse(const char* rule, py::handle got, bool value = false) {
  const std::string message = std::string("Predictor: ") + rule + ", got " + std::string(py::str(py::repr(got)));
  if (value) throw py::value_error(message);
  throw py::type_error(message);
}

}  // namespace fastreg::bindings
