// Converts NumPy arrays into views. python/fastreg casts them beforehand; here dtype, layout and shape are checked once
// more, so that no call of the compiled module, however wrong, reads memory that it must not read.
#pragma once
#include <bit>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fastreg/network.h"
#include "fastreg/strict_math.h"
#include "fastreg/view.h"

namespace fastreg::bindings {

namespace py = pybind11;

using FloatArray = py::array_t<float, py::array::c_style>;

// An array of exactly this element type, C-contiguous and aligned. ndim < 0: any number of dimensions.
template <class T>
py::array checked(py::handle object, const char* name, int ndim, bool writable = false) {
  const auto fail = [&](const std::string& rule) {
    throw py::type_error(std::string(name) + " must be " + rule + ", got " +
                         std::string(py::str(py::type::of(object).attr("__name__"))));
  };
  if (!py::isinstance<py::array>(object)) fail("an array");
  auto array = py::reinterpret_borrow<py::array>(object);
  if (!array.dtype().equal(py::dtype::of<T>()))
    throw py::type_error(std::string(name) + " must have dtype " + std::string(py::str(py::dtype::of<T>())) + ", got " +
                         std::string(py::str(array.dtype())));
  const int needed = py::array::c_style | static_cast<int>(py::detail::npy_api::NPY_ARRAY_ALIGNED_);
  if ((array.flags() & needed) != needed) fail("C-contiguous and aligned");
  if (writable && !array.writeable()) throw py::value_error(std::string(name) + " must be writable");
  if (ndim >= 0 && array.ndim() != ndim)
    throw py::value_error(std::string(name) + " must have " + std::to_string(ndim) + " dimensions, got " +
                          std::to_string(array.ndim()));
  return array;
}

inline MatrixView<const float> matrix(py::handle object, const char* name) {
  const py::array array = checked<float>(object, name, 2);
  const auto rows = static_cast<std::size_t>(array.shape(0)), cols = static_cast<std::size_t>(array.shape(1));
  return {static_cast<const float*>(array.data()), rows, cols, cols};
}

// Determines the element type of an array that the core can read directly; false for any other array. A bool is read as
// a byte, which data/arrays.py has made 0 or 1.
inline bool element_type(const py::array& array, ElementType& type) {
  const py::dtype dtype = array.dtype();
  const int number = dtype.num();
  if (dtype.byteorder() == (std::endian::native == std::endian::little ? '>' : '<')) return false;
  if (number == py::dtype::num_of<float>())
    type = ElementType::float32;
  else if (number == py::dtype::num_of<double>())
    type = ElementType::float64;
  else if (number == py::dtype::num_of<std::uint8_t>() || number == py::dtype::num_of<bool>())
    type = ElementType::uint8;
  else
    return false;
  return true;
}

// Rows of any element type. Each row is contiguous; the distance between rows is arbitrary, and they may overlap.
inline Features features(py::handle object, const char* name) {
  if (!py::isinstance<py::array>(object))
    throw py::type_error(std::string(name) + " must be an array, got " +
                         std::string(py::str(py::type::of(object).attr("__name__"))));
  const auto array = py::reinterpret_borrow<py::array>(object);
  Features out;
  if (!element_type(array, out.type))
    throw py::type_error(std::string(name) + " must have dtype float32, float64, uint8 or bool, got " +
                         std::string(py::str(array.dtype())));
  if (array.ndim() != 2)
    throw py::value_error(std::string(name) + " must have 2 dimensions, got " + std::to_string(array.ndim()));
  const py::ssize_t rows = array.shape(0), cols = array.shape(1), size = array.itemsize();
  const py::ssize_t stride = rows > 1 ? array.strides(0) : cols * size;
  const bool aligned = (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
  if (!aligned || stride < 0 || stride % size != 0 || (cols > 1 && array.strides(1) != size))
    throw py::type_error(std::string(name) + " must be aligned, its rows contiguous and in order");
  out.data = array.data();
  out.rows = static_cast<std::size_t>(rows);
  out.cols = static_cast<std::size_t>(cols);
  out.stride = static_cast<std::size_t>(stride / size);
  return out;
}

inline bool is_sequence(py::handle object) {
  return py::isinstance<py::list>(object) || py::isinstance<py::tuple>(object);
}

// The features of each array of a list or tuple, or of a single array.
inline std::vector<Features> all_features(const py::object& x, const char* name) {
  if (!is_sequence(x)) return {features(x, name)};
  std::vector<Features> out;
  for (const py::handle one : x) {
    if (!py::isinstance<py::array>(one))
      throw py::type_error(std::string(name) + " must be an array, or a list of arrays, got a list of " +
                           std::string(py::str(py::type::of(one).attr("__name__"))));
    out.push_back(features(one, (std::string(name) + '[' + std::to_string(out.size()) + ']').c_str()));
  }
  if (out.empty()) throw py::value_error(std::string(name) + " must have at least one array");
  return out;
}

// The span is empty for None.
template <class T>
Span<const T> vector(py::handle object, const char* name) {
  if (object.is_none()) return {};
  const py::array array = checked<T>(object, name, 1);
  return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.size())};
}

// The same, but None is an error.
template <class T>
Span<const T> required_vector(py::handle object, const char* name) {
  const py::array array = checked<T>(object, name, 1);
  return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.size())};
}

inline std::vector<py::ssize_t> shape_of(const WeightInfo& info) {
  const std::vector<std::size_t> shape = info.shape();
  return {shape.begin(), shape.end()};
}

// A float array with the shape of a weight, or a ValueError that names it.
inline const float* weight_values(py::handle object, const WeightInfo& info) {
  const py::array array = checked<float>(object, info.name.c_str(), -1);
  const std::vector<py::ssize_t> want = shape_of(info), got(array.shape(), array.shape() + array.ndim());
  if (want != got)
    throw py::value_error(info.name + " must have shape " + std::string(py::str(py::tuple(py::cast(want)))) + ", got " +
                          std::string(py::str(py::tuple(py::cast(got)))));
  return static_cast<const float*>(array.data());
}

// Gives a C++ object that __init__ has made to its Python object. py::init is not used, because of two errors of
// pybind11 when it has no memory to register an object: it frees an object that came in a unique_ptr twice, and for any
// other object the exception leaves a function that C code has called.
template <class T>
void own(py::detail::value_and_holder& self, std::unique_ptr<T> made) {
  self.value_ptr() = made.get();
  try {
    self.type->init_instance(self.inst, &made);   // registers it, then moves it into the Python object
  } catch (...) {
    self.value_ptr() = nullptr;
    throw;
  }
}

// An argument that has a default. pybind11 would ask for the text of the default with repr(), in which Python runs
// handlers of signals; one of them might ask for a name of the part that is being bound (module.cpp).
template <class T>
py::arg_v optional(const char* name, T&& value) {
  return {name, std::forward<T>(value), "..."};
}

// Makes the Python class of T. An object that __new__ alone has made is a TypeError where its methods are called;
// without this, pybind11 gives them memory that nobody has written.
template <class T>
py::class_<T> class_of(py::module_& module, const char* name) {
  py::class_<T> made(module, name);
  py::detail::get_type_info(typeid(T), true)->operator_new = [](std::size_t) -> void* {
    throw py::type_error("an object of fastreg._core must be made by a call of its class");
  };
  return made;
}

void bind_cells(py::module_& module);
void bind_network(py::module_& module);
void bind_metrics(py::module_& module);
void bind_trainer(py::module_& module);
void bind_files(py::module_& module);
void bind_ops(py::module_& module);
void bind_predictor(py::module_& module);
void bind_table_predictor(py::module_& module);

}  // namespace fastreg::bindings
