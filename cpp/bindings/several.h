// The arrays of a call of a frozen network with several inputs or outputs.
#pragma once
#include <string>
#include <vector>

#include "bindings/convert.h"

namespace fastreg::bindings {

// The arrays of several inputs or outputs in their order: from a list or tuple, or from a dict by their names. A single
// one may be given as it is.
template <class Named>
std::vector<py::object> in_order(py::handle given, const std::vector<Named>& wanted, const char* argument) {
  const auto fail = [&](const std::string& got) {
    throw py::value_error(std::string(argument) + ": must be " + std::to_string(wanted.size()) +
                          " arrays, in their order or by name, got " + got);
  };
  std::vector<py::object> out;
  if (py::isinstance<py::dict>(given)) {
    const auto named = py::reinterpret_borrow<py::dict>(given);
    for (const Named& one : wanted) {
      if (!named.contains(one.name.c_str())) fail("none for " + one.name);
      out.push_back(named[one.name.c_str()]);
    }
    if (named.size() != wanted.size()) fail(std::to_string(named.size()));
    return out;
  }
  if (!is_sequence(given)) {
    if (wanted.size() != 1) fail("one " + std::string(py::str(py::type::of(given).attr("__name__"))));
    return {py::reinterpret_borrow<py::object>(given)};
  }
  for (const py::handle one : given) out.push_back(py::reinterpret_borrow<py::object>(one));
  if (out.size() != wanted.size()) fail(std::to_string(out.size()));
  return out;
}

}  // namespace fastreg::bindings
