// Network for Python: weights in and out, prediction.
#include "fastreg/network.h"

#include "bindings/convert.h"

namespace fastreg::bindings {
namespace {

py::list weight_info(const Network& network) {
  py::list out;
  for (const WeightInfo& info : network.weights())
    out.append(py::make_tuple(info.name, py::tuple(py::cast(shape_of(info))), info.trainable));
  return out;
}

py::list get_weights(const Network& network) {
  py::list out;
  std::vector<float*> data;
  for (const WeightInfo& info : network.weights()) {
    FloatArray array(shape_of(info));
    data.push_back(array.mutable_data());
    out.append(std::move(array));
  }
  const py::gil_scoped_release released;
  network.get_weights({data.data(), data.size()});
  return out;
}

// All shapes are checked before any weight changes.
void set_weights(Network& network, const py::sequence& weights) {
  const auto& infos = network.weights();
  if (weights.size() != infos.size())
    throw py::value_error("weights must be " + std::to_string(infos.size()) + " arrays, got " +
                          std::to_string(weights.size()));
  std::vector<py::object> owners;
  std::vector<const float*> values;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    owners.push_back(weights[i]);
    values.push_back(weight_values(owners.back(), infos[i]));
  }
  const py::gil_scoped_release released;
  network.set_weights({values.data(), values.size()});
}

void set_weight_part(Network& network, std::size_t index, std::size_t first, const py::object& values) {
  const py::array array = checked<float>(values, "values", 1);
  const auto* data = static_cast<const float*>(array.data());
  const auto n = static_cast<std::size_t>(array.size());
  const py::gil_scoped_release released;
  network.set_weight_part(index, first, data, n);
}

py::array predict(const Network& network, const py::object& x, const py::object& out) {
  const Features rows = features(x, "x");
  py::array result =
      out.is_none() ? py::array(FloatArray({static_cast<py::ssize_t>(rows.rows),
                                            static_cast<py::ssize_t>(network.n_outputs())}))
                    : checked<float>(out, "out", 2, true);
  const auto n = static_cast<std::size_t>(result.shape(0)), cols = static_cast<std::size_t>(result.shape(1));
  const MatrixView<float> view{static_cast<float*>(result.mutable_data()), n, cols, cols};
  const py::gil_scoped_release released;
  network.predict(rows, view);
  return result;
}

}  // namespace

void bind_network(py::module_& module) {
  py::class_<Network>(module, "Network")
      .def(
          "__init__",
          [](py::detail::value_and_holder& self, const std::string& text) {
            own(self, std::make_unique<Network>(parse_network(text)));
          },
          py::detail::is_new_style_constructor(), py::arg("description"))
      .def_property_readonly("n_features", &Network::n_features)
      .def_property_readonly("n_outputs", &Network::n_outputs)
      .def("weight_info", &weight_info)
      .def("get_weights", &get_weights)
      .def("set_weights", &set_weights, py::arg("weights"))
      .def("set_weight_part", &set_weight_part, py::arg("index"), py::arg("first"), py::arg("values"))
      .def("predict", &predict, py::arg("x"), py::arg("out") = py::none());
}

}  // namespace fastreg::bindings
