// Files for Python. Of a model: names, shapes and float32 values; what they mean is io.py's business. Others: bytes.
#include "bindings/convert.h"
#include "fastreg/model_file.h"

namespace fastreg::bindings {
namespace {

void save_file(const std::string& path, const std::string& description, const py::dict& tensors) {
  std::vector<TensorView> views;
  std::vector<py::array> owners;
  for (const auto& [key, value] : tensors) {
    const auto name = key.cast<std::string>();
    owners.push_back(checked<float>(value, name.c_str(), -1));
    const py::array& array = owners.back();
    views.push_back({name, std::vector<std::size_t>(array.shape(), array.shape() + array.ndim()),
                     static_cast<const float*>(array.data())});
  }
  const py::gil_scoped_release released;
  write_model(path, description, views);
}

py::tuple load_file(const std::string& path) {
  ModelFile file;
  {
    const py::gil_scoped_release released;
    file = read_model(path);
  }
  py::dict tensors;
  for (const NamedTensor& tensor : file.tensors) {
    FloatArray array(std::vector<py::ssize_t>(tensor.shape.begin(), tensor.shape.end()));
    std::copy(tensor.data.begin(), tensor.data.end(), array.mutable_data());
    tensors[py::str(tensor.name)] = std::move(array);
  }
  return py::make_tuple(file.description, tensors);
}

void write_bytes(const std::string& path, const py::bytes& content) {
  const std::string_view bytes = content;
  const py::gil_scoped_release released;
  write_file(path, bytes);
}

}  // namespace

void bind_files(py::module_& module) {
  module.def("save_file", &save_file, py::arg("path"), py::arg("description"), py::arg("tensors"));
  module.def("load_file", &load_file, py::arg("path"));
  module.def("write_file", &write_bytes, py::arg("path"), py::arg("content"));
}

}  // namespace fastreg::bindings
