// Reads Python objects as JSON, by the rules of json.dumps and of fastreg/json.h.
#include "bindings/description.h"

#include <cmath>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fastreg/strict_math.h"

namespace fastreg::bindings {
namespace {

namespace py = pybind11;

Json tree_of(py::handle value, std::size_t depth);

std::string_view text_of(py::handle text) {
  Py_ssize_t size = 0;
  const char* const data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (data == nullptr) throw py::error_already_set();
  return {data, static_cast<std::size_t>(size)};
}

double real_of(double number) {
  if (!std::isfinite(number)) throw std::invalid_argument("numbers of a description must be finite");
  return number;
}

// As in a text, an integer that a uint64 does not hold is a double.
Json integer(py::handle number) {
  const auto value = PyLong_AsUnsignedLongLong(number.ptr());
  if (PyErr_Occurred() == nullptr) return {std::uint64_t{value}};
  PyErr_Clear();
  const double real = PyLong_AsDouble(number.ptr());
  const bool is_too_large = PyErr_Occurred() != nullptr;
  PyErr_Clear();
  return {real_of(is_too_large ? HUGE_VAL : real)};
}

Json object(py::handle dict, std::size_t depth) {
  Json::Object members;
  members.reserve(static_cast<std::size_t>(PyDict_GET_SIZE(dict.ptr())));
  for (const auto& [name, value] : py::reinterpret_borrow<py::dict>(dict)) {
    if (!PyUnicode_Check(name.ptr())) throw py::type_error("names of a description must be strings");
    members.push_back({std::string(text_of(name)), tree_of(value, depth)});
  }
  return {std::move(members)};
}

Json array(py::handle sequence, std::size_t depth) {
  Json::Array values;
  const auto size = static_cast<std::size_t>(PySequence_Fast_GET_SIZE(sequence.ptr()));
  values.reserve(size);
  for (std::size_t i = 0; i < size; ++i)
    values.push_back(tree_of(PySequence_Fast_GET_ITEM(sequence.ptr(), static_cast<Py_ssize_t>(i)), depth));
  return {std::move(values)};
}

// depth: how many dicts, lists and tuples are around the value.
Json tree_of(py::handle value, std::size_t depth) {
  PyObject* const one = value.ptr();
  if (value.is_none()) return {nullptr};
  if (PyBool_Check(one)) return {one == Py_True};
  if (PyUnicode_Check(one)) return {std::string(text_of(value))};
  if (PyFloat_Check(one)) return {real_of(PyFloat_AS_DOUBLE(one))};
  if (PyLong_Check(one)) return integer(value);
  if (depth == kMaxJsonDepth)
    throw std::invalid_argument("a description must not be nested deeper than " + std::to_string(kMaxJsonDepth));
  if (PyDict_Check(one)) return object(value, depth + 1);
  if (PyList_Check(one) || PyTuple_Check(one)) return array(value, depth + 1);
  throw py::type_error("a description must consist of dicts, lists, strings, numbers, bools and None, got " +
                       std::string(py::str(py::type::of(value).attr("__name__"))));
}

}  // namespace

Json json_of(py::handle description) {
  return PyUnicode_Check(description.ptr()) ? parse_json(text_of(description)) : tree_of(description, 0);
}

}  // namespace fastreg::bindings
