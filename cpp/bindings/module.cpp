// The module fastreg._core: exceptions, runtime queries, and the parts bound in the other files. A part is bound when
// one of its names is first asked for, so that importing fastreg costs little.
#include <iterator>
#include <pybind11/critical_section.h>
#include <system_error>

#include "bindings/convert.h"
#include "fastreg/model_file.h"
#include "fastreg/runtime.h"
#include "fastreg/spec.h"

namespace fastreg::bindings {
namespace {

// An error's message as a Python string. It may contain a file name that is not valid UTF-8; such bytes become
// surrogate escapes, as they do in Python's own file names.
py::str text_of(const std::exception& error) {
  auto text = py::reinterpret_steal<py::str>(PyUnicode_DecodeFSDefault(error.what()));
  if (!text) throw py::error_already_set();
  return text;
}

// OSError chooses its subclass (FileNotFoundError, PermissionError, ...) by the number.
template <class... Arguments>
void set_os_error(const Arguments&... arguments) {
  const py::object value = py::reinterpret_borrow<py::object>(PyExc_OSError)(arguments...);
  PyErr_SetObject(py::type::of(value).ptr(), value.ptr());
}

void translate_errors_of_files(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const FileError& refused) {
    const std::string& path = refused.path();
    const auto name = py::reinterpret_steal<py::object>(
        PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<py::ssize_t>(path.size())));
    if (!name) throw py::error_already_set();
    const std::string detail = refused.detail().empty() ? "" : " (" + refused.detail() + ")";
    set_os_error(refused.code().value(), refused.code().message() + detail, name);
  } catch (const std::system_error& refused) {
    set_os_error(refused.code().value(), text_of(refused));
  } catch (const std::invalid_argument& refused) {
    PyErr_SetObject(PyExc_ValueError, text_of(refused).ptr());
  }
}

void bind_runtime(py::module_& module) {
  module.def("active_isa", &active_isa);
  module.def("available_isas", &available_isas);
  module.def("matmul_unit", &matmul_unit);
  module.def(
      "matmul_precision_computes",
      [](const std::string& word) { return matmul_precision_computes(matmul_precision_from_name(word)); },
      py::arg("precision"), py::pos_only());
  module.def("get_num_threads", &num_threads);
  module.def("set_num_threads", &set_num_threads, py::arg("n"), py::pos_only());
  module.def("get_thread_limit", &thread_limit);
  module.def("set_thread_limit", &set_thread_limit, py::arg("n"), py::pos_only());
  module.def("memory_limit", &memory_limit);
  module.def("schema", [] { return py::module_::import("json").attr("loads")(schema()); });
  module.def("activations", [] {
    const std::vector<const char*> known = activation_names();
    py::tuple names(known.size());
    for (std::size_t i = 0; i < known.size(); ++i) names[i] = known[i];
    return names;
  });
  module.def("build_info", [] {
    const BuildInfo info = build_info();
    py::dict out;
    out["version"] = info.version;
    out["compiler"] = info.compiler;
    out["build_type"] = info.build_type;
    return out;
  });
}

// The parts in the order in which a training asks for them. Later parts use the classes of earlier ones.
constexpr void (*kParts[])(py::module_&) = {bind_runtime,   bind_network, bind_ops,
                                            bind_metrics,   bind_trainer, bind_predictor,
                                            bind_files,     bind_cells,   bind_table_predictor};

// Keeps the garbage collector from running Python code, which might ask for a name of the part that is being bound.
class WithoutCollector {
 public:
  WithoutCollector() : was_enabled_(PyGC_Disable() != 0) {}
  ~WithoutCollector() {
    if (was_enabled_) PyGC_Enable();
  }
  WithoutCollector(const WithoutCollector&) = delete;
  WithoutCollector& operator=(const WithoutCollector&) = delete;

 private:
  bool was_enabled_;
};

// Binds a part in a module of its own, whose names the module gets afterwards: pybind11 looks for each name before it
// adds it, and nobody sees half of a part.
void bind_part(const py::dict& names, void (*bind)(py::module_&)) {
  const WithoutCollector disabled;
  auto part = py::reinterpret_steal<py::module_>(PyModule_New("fastreg._core"));
  if (!part) throw py::error_already_set();
  bind(part);
  if (PyDict_Merge(names.ptr(), part.attr("__dict__").ptr(), 0) != 0) throw py::error_already_set();
  part.release();   // lives as long as the process: each function of pybind11 has a pointer to its module, for pickles
}

// Binds one part after the other until the module has the name.
void bind_until(const py::module_& module, const py::dict& names, const py::str& name) {
  static std::size_t bound = 0;
  const py::scoped_critical_section locked(module);
  for (; bound < std::size(kParts) && !names.contains(name); ++bound) {
    try {
      bind_part(names, kParts[bound]);
    } catch (...) {
      PyGC_Collect();   // frees the classes that were made, which pybind11 would not make twice
      throw;
    }
  }
}

// Called by Python for a name that the module does not have yet. Names of two underscores are those that Python itself
// asks for.
py::object attribute(const py::module_& module, const py::str& name) {
  const py::dict names = module.attr("__dict__");
  if (!name.attr("startswith")("__").cast<bool>()) bind_until(module, names, name);
  if (!names.contains(name))
    throw py::attribute_error("module 'fastreg._core' has no attribute " + std::string(py::str(py::repr(name))));
  return names[name];
}

constexpr const char* kOneInterpreter =
    "fastreg cannot be imported in a sub-interpreter; import it in the main interpreter, or give each worker a process";

bool in_main_interpreter() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }

}  // namespace
}  // namespace fastreg::bindings

// The body of the module, for the main interpreter. It might hang in another one.
PYBIND11_MODULE(_core_of_main_interpreter, module, pybind11::mod_gil_not_used()) {
  namespace fb = fastreg::bindings;
  if (!fb::in_main_interpreter()) throw pybind11::import_error(fb::kOneInterpreter);
  try {
    fastreg::active_isa();
  } catch (const std::invalid_argument& refused) {
    throw pybind11::import_error(refused.what());
  }
  module.attr("__version__") = fastreg::build_info().version;
  pybind11::register_local_exception_translator(fb::translate_errors_of_files);
  module.attr("DivergenceError") = pybind11::reinterpret_steal<pybind11::object>(
      PyErr_NewExceptionWithDoc("fastreg.DivergenceError", "Training left the range of finite numbers.",
                                PyExc_FloatingPointError, nullptr));
  pybind11::detail::npy_api::get();   // loads NumPy, which runs Python code
  module.def("__getattr__", [module](const pybind11::str& name) { return fb::attribute(module, name); });
}

// The function that the interpreter looks for. Before Python 3.12, the way in which pybind11 takes the interpreter lock
// hangs in a sub-interpreter, so the body must not be run there. Newer versions may call this function in the main
// interpreter on behalf of another one; the body of the module detects that itself.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
  if (fastreg::bindings::in_main_interpreter()) return PyInit__core_of_main_interpreter();
  PyErr_SetString(PyExc_ImportError, fastreg::bindings::kOneInterpreter);
  return nullptr;
}
