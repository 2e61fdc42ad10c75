// Predictor for Python: a heap type with a vectorcall entry that uses NumPy's C API, because checking the arguments
// takes most of the time of a call of a small network. An array that is float32, 2-D, C-contiguous, aligned and of
// native byte order is read in place, and a matrix of other numbers or strides block by block (rows.h).
// python/fastreg/data/serving.py handles everything else, including all error messages.
#include "fastreg/predictor.h"

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <numpy/arrayobject.h>
#include <structmember.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>

#include "bindings/convert.h"
#include "bindings/frozen.h"
#include "bindings/predictor_docs.h"
#include "bindings/rows.h"
#include "bindings/several.h"
#include "bindings/slices.h"

namespace fastreg::bindings {
namespace {

struct PyPredictor {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  std::shared_ptr<const Predictor> predictor;
  npy_intp n_features, n_outputs;
  double work_per_row;
  bool several;              // more than one input or output
  PyObject* feature_names;   // what check_feature_names (frozen.h) takes, or null
  PyObject* weak_references;
};

PyPredictor* self_of(PyObject* object) { return reinterpret_cast<PyPredictor*>(object); }
PyArrayObject* array_of(PyObject* object) { return reinterpret_cast<PyArrayObject*>(object); }
float* floats_of(const py::object& array) { return static_cast<float*>(PyArray_DATA(array_of(array.ptr()))); }

PyObject* name_x = nullptr;     // interned, made with the type
PyObject* name_out = nullptr;
PyTypeObject* predictor_type = nullptr;   // made once

// Runs body, which returns a new reference, and converts an exception into a Python error.
template <class Body>
PyObject* guarded(Body body) noexcept {
  try {
    return body();
  } catch (py::error_already_set& raised) {
    raised.restore();
  } catch (const py::builtin_exception& raised) {
    raised.set_error();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::invalid_argument& refused) {
    PyErr_SetString(PyExc_ValueError, refused.what());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

// Takes over a new reference, or throws the error that was raised in its place.
py::object taken(PyObject* made) {
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

bool is_float_matrix(PyObject* object, npy_intp cols, int flags) {
  PyArrayObject* const array = array_of(object);
  return PyArray_TYPE(array) == NPY_FLOAT && PyArray_NDIM(array) == 2 && PyArray_DIM(array, 1) == cols &&
         (PyArray_FLAGS(array) & flags) == flags && PyArray_ISNOTSWAPPED(array);
}

constexpr int kReadable = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED;

[[gnu::always_inline]] inline bool is_read_in_place(PyObject* x, npy_intp n_features) {
  return PyArray_CheckExact(x) && is_float_matrix(x, n_features, kReadable);
}

// A new reference to the conversion of x by serving.features. input: the name of an input among several.
[[gnu::noinline]] PyObject* converted_rows(PyObject* x, npy_intp n_features, PyObject* feature_names,
                                           const std::string* input = nullptr) {
  return guarded([&]() -> PyObject* {
    const py::handle names(feature_names == nullptr ? Py_None : feature_names);
    const py::object convert = py::module_::import("fastreg.data.serving").attr("features");
    const py::object name = input == nullptr ? py::object(py::none()) : py::object(py::str(*input));
    py::object converted = convert(py::handle(x), n_features, names, name);
    if (!PyArray_CheckExact(converted.ptr()) || !is_float_matrix(converted.ptr(), n_features, kReadable))
      throw py::type_error("x: the conversion to float32 gave no usable array");
    return converted.release().ptr();
  });
}

// Whether results can be written directly to this instance of a subclass of an array. If not, an error is set.
bool may_be_written(PyObject* out) {
  PyObject* const checked_none = guarded([&] {
    return py::module_::import("fastreg.data.serving").attr("check_out_type")(py::handle(out)).release().ptr();
  });
  Py_XDECREF(checked_none);
  return checked_none != nullptr;
}

// Raises the error of an out that cannot be written to, for n rows.
[[gnu::noinline]] PyObject* refuse_out(PyObject* out, npy_intp n, npy_intp n_outputs) {
  return guarded([&]() -> PyObject* {
    py::module_::import("fastreg.data.serving").attr("refuse_out")(py::handle(out), py::make_tuple(n, n_outputs));
    throw py::value_error("out: cannot be written to");
  });
}

// A new reference to out, or to a new array if out is null or None. x: what it must not overlap, or null.
[[gnu::always_inline]] inline PyObject* writable(PyObject* out, npy_intp n, npy_intp n_outputs, PyArrayObject* x) {
  if (out == nullptr || out == Py_None) {
    npy_intp shape[2] = {n, n_outputs};
    return PyArray_SimpleNew(2, shape, NPY_FLOAT);
  }
  constexpr int kFlags = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED | NPY_ARRAY_WRITEABLE;
  const bool exact = PyArray_CheckExact(out);
  if ((exact || PyArray_Check(out)) && is_float_matrix(out, n_outputs, kFlags) && PyArray_DIM(array_of(out), 0) == n) {
    if (!exact && !may_be_written(out)) return nullptr;
    const auto begin = reinterpret_cast<std::uintptr_t>(PyArray_DATA(array_of(out)));
    if (x == nullptr) return Py_NewRef(out);
    const auto x_begin = reinterpret_cast<std::uintptr_t>(PyArray_DATA(x));
    const auto end = begin + static_cast<std::size_t>(PyArray_NBYTES(array_of(out)));
    const auto x_end = x_begin + static_cast<std::size_t>(PyArray_NBYTES(x));
    if (end <= x_begin || x_end <= begin || n == 0) return Py_NewRef(out);
    PyErr_SetString(PyExc_ValueError, "out: must not overlap x");
    return nullptr;
  }
  return refuse_out(out, n, n_outputs);
}

// Finds x and out among the arguments. If that fails, it returns false and an error is set.
bool read_arguments(PyObject* const* args, Py_ssize_t positional, PyObject* names, PyObject** x, PyObject** out) {
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  PyObject** const found[2] = {x, out};
  if (positional > 2) {
    PyErr_Format(PyExc_TypeError, "Predictor takes x and out, got %zd arguments", positional);
    return false;
  }
  for (Py_ssize_t i = 0; i < positional; ++i) *found[i] = args[i];
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* const name = PyTuple_GET_ITEM(names, i);
    const bool is_out = name == name_out || PyUnicode_Compare(name, name_out) == 0;
    if (!is_out && PyUnicode_Compare(name, name_x) != 0) {
      PyErr_Format(PyExc_TypeError, "Predictor got an unexpected keyword argument '%U'", name);
      return false;
    }
    if (*found[is_out] != nullptr) {
      PyErr_Format(PyExc_TypeError, "Predictor got two values for argument '%U'", name);
      return false;
    }
    *found[is_out] = args[positional + i];
  }
  if (*x == nullptr) PyErr_SetString(PyExc_TypeError, "Predictor needs an argument x");
  return *x != nullptr;
}

// A function of its own, so that the loop takes no registers of a call for few rows.
[[gnu::noinline]] void predict_many(const PyPredictor& self, const MatrixView<const float>& rows,
                                    const MatrixView<float>& out) {
  in_slices(self.work_per_row, rows.rows, [&](std::size_t first, std::size_t n) {
    self.predictor->predict(part_of(rows, first, n), part_of(out, first, n));
  });
}

void predict(const PyPredictor& self, PyArrayObject* x, PyArrayObject* out) {
  const auto n = static_cast<std::size_t>(PyArray_DIM(x, 0));
  const auto cols = static_cast<std::size_t>(self.n_features), outputs = static_cast<std::size_t>(self.n_outputs);
  const MatrixView<const float> rows{static_cast<const float*>(PyArray_DATA(x)), n, cols, cols};
  const MatrixView<float> result{static_cast<float*>(PyArray_DATA(out)), n, outputs, outputs};
  if (self.work_per_row * static_cast<double>(n) < kReleaseWork) return self.predictor->predict(rows, result);
  predict_many(self, rows, result);
}

// Where an array lies.
struct Memory {
  const char *begin, *end;
  explicit Memory(PyArrayObject* array)
      : begin(static_cast<const char*>(PyArray_DATA(array))), end(begin + PyArray_NBYTES(array)) {}
  bool overlaps(const Memory& other) const { return begin < other.end && other.begin < end; }
};

// The names of the columns of an input, or null or None.
PyObject* names_of(const PyPredictor& self, std::size_t input) {
  const bool each = self.feature_names != nullptr && self.predictor->inputs().size() > 1;
  return each ? PyTuple_GET_ITEM(self.feature_names, static_cast<Py_ssize_t>(input)) : self.feature_names;
}

// Throws std::invalid_argument if the inputs have different numbers of rows.
void predict_several(const PyPredictor& self, const std::vector<MatrixView<const float>>& x,
                     const std::vector<MatrixView<float>>& out) {
  const auto predicted = [&](const auto& rows, const auto& results) {
    self.predictor->predict({rows.data(), rows.size()}, {results.data(), results.size()});
  };
  const std::size_t all = x[0].rows;
  if (std::any_of(x.begin(), x.end(), [&](const auto& one) { return one.rows != all; })) return predicted(x, out);
  auto rows = x;
  auto results = out;
  in_slices(self.work_per_row, all, [&](std::size_t first, std::size_t n) {
    for (std::size_t i = 0; i < x.size(); ++i) rows[i] = part_of(x[i], first, n);
    for (std::size_t i = 0; i < out.size(); ++i) results[i] = part_of(out[i], first, n);
    predicted(rows, results);
  });
}

// A call of a network with several inputs or outputs.
PyObject* call_several(const PyPredictor& self, PyObject* x, PyObject* out) {
  return guarded([&]() -> PyObject* {
    const std::vector<NetworkInput>& inputs = self.predictor->inputs();
    const std::vector<NetworkOutput>& outputs = self.predictor->outputs();
    const std::vector<std::size_t> widths = self.predictor->output_widths();
    std::vector<py::object> rows, results;
    std::vector<MatrixView<const float>> views;
    std::vector<MatrixView<float>> result_views;
    for (const py::object& one : in_order(x, inputs, "x")) {
      const NetworkInput& input = inputs[rows.size()];
      const std::string* const name = inputs.size() > 1 ? &input.name : nullptr;
      const std::size_t cols = input.n_features;
      const auto n_features = static_cast<npy_intp>(cols);
      const bool in_place = is_read_in_place(one.ptr(), n_features);
      rows.push_back(in_place ? one : taken(converted_rows(one.ptr(), n_features, names_of(self, rows.size()), name)));
      PyArrayObject* const array = array_of(rows.back().ptr());
      views.push_back({static_cast<const float*>(PyArray_DATA(array)), static_cast<std::size_t>(PyArray_DIM(array, 0)),
                       cols, cols});
    }
    const bool given = out != nullptr && out != Py_None;
    const std::vector<py::object> outs =
        given ? in_order(out, outputs, "out") : std::vector<py::object>(outputs.size());
    const auto n = static_cast<npy_intp>(views[0].rows);
    for (std::size_t i = 0; i < outs.size(); ++i) {
      const std::size_t cols = widths[i];
      results.push_back(taken(writable(outs[i].ptr(), n, static_cast<npy_intp>(cols), array_of(rows[0].ptr()))));
      const Memory memory(array_of(results.back().ptr()));
      for (const py::object& other : rows)
        if (n > 0 && memory.overlaps(Memory(array_of(other.ptr())))) throw py::value_error("out: must not overlap x");
      for (std::size_t j = 0; j < i; ++j)
        if (n > 0 && memory.overlaps(Memory(array_of(results[j].ptr()))))
          throw py::value_error("out: two of the arrays must not overlap");
      result_views.push_back({floats_of(results.back()), views[0].rows, cols, cols});
    }
    predict_several(self, views, result_views);
    if (results.size() == 1) return results[0].release().ptr();
    return py::cast(results).release().ptr();
  });
}

// The rows of a matrix of numbers with this many columns, unless it needs the conversion by serving.features.
std::optional<Rows> rows_of(PyObject* x, npy_intp cols) {
  if (!PyArray_CheckExact(x)) return {};
  PyArrayObject* const array = array_of(x);
  if (PyArray_NDIM(array) != 2 || PyArray_DIM(array, 1) != cols || !PyArray_ISALIGNED(array) ||
      !PyArray_ISNOTSWAPPED(array))
    return {};
  return Rows::of({static_cast<const char*>(PyArray_DATA(array)), static_cast<std::size_t>(PyArray_DIM(array, 0)),
                   static_cast<std::size_t>(cols), PyArray_STRIDE(array, 0), PyArray_STRIDE(array, 1),
                   PyArray_DESCR(array)->kind, static_cast<std::size_t>(PyArray_ITEMSIZE(array))});
}

// The result for rows that are converted block by block: a new reference; or null, without an error, if the call has to
// go through serving.features, which copies what overlaps out and refuses what float32 cannot hold.
[[gnu::noinline]] PyObject* call_by_blocks(const PyPredictor& self, PyObject* x, PyObject* out) {
  return guarded([&]() -> PyObject* {
    const std::optional<Rows> rows = rows_of(x, self.n_features);
    if (!rows) return nullptr;
    const npy_intp n = PyArray_DIM(array_of(x), 0);
    if (out != nullptr && PyArray_Check(out) &&
        rows->overlap(PyArray_DATA(array_of(out)), static_cast<std::size_t>(PyArray_NBYTES(array_of(out)))))
      return nullptr;
    const auto written = [&] { return taken(writable(out, n, self.n_outputs, nullptr)); };
    const auto predicted = [&](float* to) {
      const auto outputs = static_cast<std::size_t>(self.n_outputs);
      const MatrixView<float> results{to, static_cast<std::size_t>(n), outputs, outputs};
      if (self.work_per_row * static_cast<double>(n) < kReleaseWork) return rows->predict(*self.predictor, results);
      bool within = true;
      in_slices(self.work_per_row, results.rows, [&](std::size_t first, std::size_t some) {
        within &= rows->part(first, some).predict(*self.predictor, part_of(results, first, some));
      });
      return within;
    };
    if (out == nullptr || out == Py_None || !rows->may_be_beyond_float32()) {
      py::object result = written();
      return predicted(floats_of(result)) ? result.release().ptr() : nullptr;
    }
    // Results lie apart until it is known that float32 holds all of x: out stays as it is after an error.
    Floats results(static_cast<std::size_t>(n * self.n_outputs));
    if (!predicted(results.data())) return nullptr;
    py::object result = written();
    std::copy_n(results.data(), n * self.n_outputs, floats_of(result));
    return result.release().ptr();
  });
}

PyObject* call(PyObject* object, PyObject* const* args, std::size_t nargsf, PyObject* names);

// A call for rows that are not read in place.
[[gnu::noinline]] PyObject* call_converted(PyObject* object, PyObject* x, PyObject* out) {
  const PyPredictor& self = *self_of(object);
  PyObject* const found = call_by_blocks(self, x, out);
  if (found != nullptr || PyErr_Occurred() != nullptr) return found;
  PyObject* const rows = converted_rows(x, self.n_features, self.feature_names);
  if (rows == nullptr) return nullptr;
  PyObject* const args[2] = {rows, out == nullptr ? Py_None : out};
  PyObject* const done = call(object, args, 2, nullptr);
  Py_DECREF(rows);
  return done;
}

PyObject* call(PyObject* object, PyObject* const* args, std::size_t nargsf, PyObject* names) {
  const PyPredictor& self = *self_of(object);
  PyObject *x = nullptr, *out = nullptr;
  if (!read_arguments(args, PyVectorcall_NARGS(nargsf), names, &x, &out)) return nullptr;
  if (self.several) return call_several(self, x, out);
  if (!is_read_in_place(x, self.n_features)) return call_converted(object, x, out);
  PyObject* const result = writable(out, PyArray_DIM(array_of(x), 0), self.n_outputs, array_of(x));
  if (result == nullptr) return nullptr;
  PyObject* const done = guarded([&] {
    predict(self, array_of(x), array_of(result));
    return result;
  });
  if (done == nullptr) Py_DECREF(result);
  return done;
}

// The same call as a method, for help() and inspect.signature.
PyObject* call_method(PyObject* object, PyObject* const* args, Py_ssize_t positional, PyObject* names) {
  return call(object, args, static_cast<std::size_t>(positional), names);
}

// The precision of a word, which may come from a pickle that anyone made.
MatmulPrecision precision_from(py::handle word) {
  if (!PyUnicode_CheckExact(word.ptr())) refuse("matmul_precision must be a string", word);
  return matmul_precision_from_name(word.cast<std::string>());
}

PyObject* make(PyTypeObject* type, PyObject* args, PyObject* keywords) {
  return guarded([&]() -> PyObject* {
    const Py_ssize_t count = PyTuple_GET_SIZE(args);
    if (count < 1 || count > 3 || (keywords != nullptr && PyDict_GET_SIZE(keywords) != 0))
      throw py::type_error(
          "Predictor takes a compiled network, feature names and a precision; call model.freeze() to make one");
    const MatmulPrecision precision =
        count == 3 ? precision_from(PyTuple_GET_ITEM(args, 2)) : MatmulPrecision::highest;
    std::shared_ptr<const Predictor> predictor = predictor_from(PyTuple_GET_ITEM(args, 0), precision);
    PyObject* const names = count >= 2 && PyTuple_GET_ITEM(args, 1) != Py_None ? PyTuple_GET_ITEM(args, 1) : nullptr;
    if (names != nullptr) check_feature_names(names, predictor->inputs());
    PyObject* const object = type->tp_alloc(type, 0);
    if (object == nullptr) throw py::error_already_set();
    PyPredictor* const self = self_of(object);
    self->vectorcall = call;
    self->n_features = static_cast<npy_intp>(predictor->n_features());
    self->n_outputs = static_cast<npy_intp>(predictor->n_outputs());
    self->work_per_row = predictor->work_per_row();
    self->several = predictor->inputs().size() > 1 || predictor->outputs().size() > 1;
    self->feature_names = Py_XNewRef(names);
    new (&self->predictor) std::shared_ptr<const Predictor>(std::move(predictor));
    return object;
  });
}

void destroy(PyObject* object) {
  PyTypeObject* const type = Py_TYPE(object);
  if (self_of(object)->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  Py_XDECREF(self_of(object)->feature_names);
  self_of(object)->predictor.~shared_ptr();
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* represent(PyObject* object) {
  return guarded([&] {
    const Predictor& predictor = *self_of(object)->predictor;
    const MatmulPrecision precision = predictor.matmul_precision();
    if (precision == MatmulPrecision::highest)
      return PyUnicode_FromFormat("<Predictor: %s>", predictor.summary().c_str());
    return PyUnicode_FromFormat("<Predictor: %s, matmul_precision=%s>", predictor.summary().c_str(), name(precision));
  });
}

// Only what differs from its default is written, so that older versions read most pickles, too.
PyObject* reduce(PyObject* object, PyObject*) {
  return guarded([&] {
    const py::object type = py::type::of(py::handle(object));
    const PyPredictor& self = *self_of(object);
    const MatmulPrecision precision = self.predictor->matmul_precision();
    const py::handle names(self.feature_names == nullptr ? Py_None : self.feature_names);
    py::tuple arguments = py::make_tuple(frozen_state(*self.predictor));
    if (precision != MatmulPrecision::highest)
      arguments += py::make_tuple(names, name(precision));
    else if (!names.is_none())
      arguments += py::make_tuple(names);
    return py::make_tuple(type, arguments).release().ptr();
  });
}

PyObject* get_n_features(PyObject* object, void*) { return PyLong_FromSsize_t(self_of(object)->n_features); }
PyObject* get_n_outputs(PyObject* object, void*) { return PyLong_FromSsize_t(self_of(object)->n_outputs); }

PyObject* get_matmul_precision(PyObject* object, void*) {
  return PyUnicode_FromString(name(self_of(object)->predictor->matmul_precision()));
}

// The names of the inputs or of the outputs; empty if the network has no names.
template <class Named>
PyObject* name_tuple(const std::vector<Named>& all) {
  return guarded([&] {
    py::list names;
    for (const Named& one : all)
      if (!one.name.empty()) names.append(one.name);
    return py::tuple(names).release().ptr();
  });
}
PyObject* get_input_names(PyObject* object, void*) { return name_tuple(self_of(object)->predictor->inputs()); }
PyObject* get_output_names(PyObject* object, void*) { return name_tuple(self_of(object)->predictor->outputs()); }
PyObject* get_input_widths(PyObject* object, void*) {
  return guarded([&] {
    py::list widths;
    for (const NetworkInput& input : self_of(object)->predictor->inputs()) widths.append(input.n_features);
    return widths.release().ptr();
  });
}
PyObject* get_output_widths(PyObject* object, void*) {
  return guarded([&] { return py::cast(self_of(object)->predictor->output_widths()).release().ptr(); });
}

// As in scikit-learn, an array of objects; the attribute does not exist if there are no names.
PyObject* get_feature_names(PyObject* object, void*) {
  return guarded([&]() -> PyObject* {
    const PyPredictor& self = *self_of(object);
    if (self.feature_names == nullptr)
      throw py::attribute_error("feature_names_in_: the model was not fitted on a frame with names");
    const auto array = [](PyObject* names) -> py::object {
      if (names == Py_None) return py::none();
      return py::module_::import("numpy").attr("array")(py::handle(names), "O");
    };
    const std::vector<NetworkInput>& inputs = self.predictor->inputs();
    if (inputs.size() == 1) return array(self.feature_names).release().ptr();
    py::dict all;
    for (std::size_t i = 0; i < inputs.size(); ++i) all[inputs[i].name.c_str()] = array(names_of(self, i));
    return all.release().ptr();
  });
}

PyTypeObject* make_type() {
  static PyMemberDef members[] = {
      {"__vectorcalloffset__", T_PYSSIZET, offsetof(PyPredictor, vectorcall), READONLY, nullptr},
      {"__weaklistoffset__", T_PYSSIZET, offsetof(PyPredictor, weak_references), READONLY, nullptr},
      {nullptr, 0, 0, 0, nullptr}};
  static PyGetSetDef attributes[] = {
      {"n_features", get_n_features, nullptr, "Columns of x.", nullptr},
      {"n_outputs", get_n_outputs, nullptr, "Columns of the result.", nullptr},
      {"input_names", get_input_names, nullptr, "Names of the inputs, in their order.", nullptr},
      {"output_names", get_output_names, nullptr, "Names of the outputs, in their order.", nullptr},
      {"input_widths", get_input_widths, nullptr, "Columns of each input.", nullptr},
      {"output_widths", get_output_widths, nullptr, "Columns of each output.", nullptr},
      {"matmul_precision", get_matmul_precision, nullptr, "How the matrix products are computed.", nullptr},
      {"feature_names_in_", get_feature_names, nullptr, "Names of the columns that the model was fitted on.", nullptr},
      {nullptr, nullptr, nullptr, nullptr, nullptr}};
  // METH_COEXIST replaces the wrapper of the slot, which has no signature.
  static PyMethodDef methods[] = {
      {"__call__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_method)),
       METH_FASTCALL | METH_KEYWORDS | METH_COEXIST, kPredictorCallDoc},
      {"__reduce__", reduce, METH_NOARGS, nullptr},
      {nullptr, nullptr, 0, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(make)},
                                {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
                                {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                {Py_tp_repr, reinterpret_cast<void*>(represent)},
                                {Py_tp_members, members},
                                {Py_tp_getset, attributes},
                                {Py_tp_methods, methods},
                                {Py_tp_doc, const_cast<char*>(kPredictorDoc)},
                                {0, nullptr}};
  static PyType_Spec spec = {"fastreg._core.Predictor", sizeof(PyPredictor), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE, slots};
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

}  // namespace

std::shared_ptr<const Predictor> shared_predictor(py::handle object) {
  if (Py_TYPE(object.ptr()) != predictor_type) refuse("the network must be a Predictor", object);
  return self_of(object.ptr())->predictor;
}

void bind_predictor(py::module_& module) {
  if (_import_array() < 0) throw py::error_already_set();
  name_x = PyUnicode_InternFromString("x");
  name_out = PyUnicode_InternFromString("out");
  predictor_type = make_type();
  if (name_x == nullptr || name_out == nullptr || predictor_type == nullptr) throw py::error_already_set();
  module.attr("Predictor") = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(predictor_type));
}

}  // namespace fastreg::bindings
