// A frozen network as lists, tuples and arrays of Python, which is the content of a pickle of a Predictor.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bindings/convert.h"
#include "fastreg/predictor.h"

namespace fastreg::bindings {

// A list of layers for a chain without names; for any other network a dict of its inputs, nodes and outputs.
py::object frozen_state(const Predictor& predictor);
// Makes a predictor from a compiled network or from the result of frozen_state, which anyone may have changed.
std::unique_ptr<const Predictor> predictor_from(py::handle source, MatmulPrecision precision);
// What a Predictor of Python serves.
std::shared_ptr<const Predictor> shared_predictor(py::handle object);

// Checks names of columns: a tuple of strings, one for each feature; of several inputs a tuple with that, or None, for
// each. It holds nothing that could refer back to a predictor.
void check_feature_names(py::handle names, const std::vector<NetworkInput>& inputs);

// The columns of a table as tuples, each with all its fields in their order, and such columns from the outside.
py::list column_list(const TableColumns& columns);
TableColumns columns_from(py::handle source);

// The work, in the unit of Predictor::work_per_row, from which the interpreter lock is released: about 20 us. For
// shorter calls, releasing the lock and taking it again would cost other threads more than the call.
constexpr double kReleaseWork = 2e6;

[[noreturn]] inline void refuse(const char* rule, py::handle got, bool value = false) {
  const std::string message = std::string("Predictor: ") + rule + ", got " + std::string(py::str(py::repr(got)));
  if (value) throw py::value_error(message);
  throw py::type_error(message);
}

}  // namespace fastreg::bindings
