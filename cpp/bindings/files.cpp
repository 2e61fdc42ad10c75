// Files for Python. A model file is names, shapes and float32 values, whose meaning model/files.py knows. Other files
// are bytes.
#include <memory>

#include "bindings/convert.h"
#include "bindings/interpreter_lock.h"
#include "fastreg/model_file.h"

namespace fastreg::bindings {
namespace {

// Paths are bytes, as in the system, because not every name is valid text.
void save_file(const py::bytes& path, const std::string& description, const py::dict& tensors) {
  std::vector<TensorView> views;
  std::vector<py::array> owners;
  for (const auto& [key, value] : tensors) {
    const auto name = key.cast<std::string>();
    owners.push_back(checked<float>(value, name.c_str(), -1));
    const py::array& array = owners.back();
    views.push_back({name, std::vector<std::size_t>(array.shape(), array.shape() + array.ndim()),
                     static_cast<const float*>(array.data())});
  }
  const std::string name = path;
  const Unlocked released;
  write_model(name, description, views);
}

std::unique_ptr<ModelReader> open_file(const py::bytes& path) {
  const std::string name = path;
  const Unlocked released;
  return std::make_unique<ModelReader>(name);
}

// The names and shapes of the tensors, in the order of the indices of read().
py::dict shapes(const ModelReader& file) {
  py::dict out;
  for (const TensorInfo& tensor : file.tensors()) out[py::str(tensor.name)] = py::tuple(py::cast(tensor.shape));
  return out;
}

FloatArray read(const ModelReader& file, std::size_t index, std::size_t first, std::size_t n) {
  FloatArray out(static_cast<py::ssize_t>(n));
  float* const data = out.mutable_data();
  const Unlocked released;
  file.read(index, first, data, n);
  return out;
}

void write_bytes(const py::bytes& path, const py::bytes& content) {
  const std::string name = path;
  const std::string_view bytes = content;
  const Unlocked released;
  write_file(name, bytes);
}

}  // namespace

void bind_files(py::module_& module) {
  module.def("save_file", &save_file, py::arg("path"), py::arg("description"), py::arg("tensors"));
  class_of<ModelReader>(module, "ModelReader")
      .def(
          "__init__",
          [](py::detail::value_and_holder& self, const py::bytes& path) { own(self, open_file(path)); },
          py::detail::is_new_style_constructor(), py::arg("path"), py::pos_only())
      .def_property_readonly("description", &ModelReader::description)
      .def_property_readonly("shapes", &shapes)
      .def("read", &read, py::arg("index"), py::arg("first"), py::arg("n"));
  module.def("write_file", &write_bytes, py::arg("path"), py::arg("content"));
}

}  // namespace fastreg::bindings
