// Network for Python: reading and setting weights, and prediction.
#include "fastreg/network.h"

#include <algorithm>

#include "bindings/convert.h"
#include "bindings/description.h"
#include "bindings/interpreter_lock.h"
#include "bindings/pause.h"

namespace fastreg::bindings {
namespace {


py::list get_weights(const Network& network) {
  py::list out;
  std::vector<float*> data;
  for (const WeightInfo& info : network.weights()) {
    FloatArray array(shape_of(info));
    data.push_back(array.mutable_data());
    out.append(std::move(array));
  }
  const Unlocked released;
  network.get_weights({data.data(), data.size()});
  return out;
}

// All shapes are checked before any weight changes. first: the index of the first of them; None for all weights.
void set_weights(Network& network, const py::sequence& weights, const py::object& first) {
  const auto& infos = network.weights();
  const std::size_t begin = first.is_none() ? 0 : first.cast<std::size_t>();
  const std::size_t rest = infos.size() - std::min(begin, infos.size());
  if (first.is_none() ? weights.size() != rest : weights.size() > rest)
    throw py::value_error("weights must be " + std::to_string(rest) + " arrays" +
                          (first.is_none() ? "" : " or fewer") + ", got " + std::to_string(weights.size()));
  std::vector<py::object> owners;
  std::vector<const float*> values;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    owners.push_back(weights[i]);
    values.push_back(weight_values(owners.back(), infos[begin + i]));
  }
  const Unlocked released;
  network.set_weights({values.data(), values.size()}, begin);
}

void set_weight_part(Network& network, std::size_t index, std::size_t first, const py::object& values) {
  const py::array array = checked<float>(values, "values", 1);
  const auto* data = static_cast<const float*>(array.data());
  const auto n = static_cast<std::size_t>(array.size());
  const Unlocked released;
  network.set_weight_part(index, first, data, n);
}

// A new array for n rows where out is None.
py::array result_array(const py::object& out, std::size_t n, std::size_t cols) {
  if (out.is_none()) return FloatArray({static_cast<py::ssize_t>(n), static_cast<py::ssize_t>(cols)});
  return checked<float>(out, "out", 2, true);
}

MatrixView<float> writable_view(py::array& array) {
  const auto rows = static_cast<std::size_t>(array.shape(0)), cols = static_cast<std::size_t>(array.shape(1));
  return {static_cast<float*>(array.mutable_data()), rows, cols, cols};
}

// One array for one input, a sequence of them for several; the same for outputs.
py::object predict(const Network& network, const py::object& x, const py::object& out, const std::string& word) {
  const MatmulPrecision precision = matmul_precision_from_name(word);
  if (!is_sequence(x) && !is_sequence(out) && !network.has_several_outputs()) {
    const Features rows = features(x, "x");
    py::array result = result_array(out, rows.rows, network.n_outputs());
    const MatrixView<float> view = writable_view(result);
    PythonPause pause;
    const Unlocked released;
    network.predict(rows, view, precision, &pause);
    return result;
  }
  const std::vector<std::size_t> widths = network.output_widths();
  const std::vector<Features> columns = all_features(x, "x");
  std::vector<py::array> results;
  std::vector<MatrixView<float>> views;
  const bool several = widths.size() > 1;
  if (several && !out.is_none() && (!is_sequence(out) || py::len(out) != widths.size()))
    throw py::value_error("out must be a list of " + std::to_string(widths.size()) + " arrays");
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const py::object given = several && !out.is_none() ? py::object(out[py::int_(i)]) : out;
    results.push_back(result_array(given, columns[0].rows, widths[i]));
    views.push_back(writable_view(results.back()));
  }
  {
    PythonPause pause;
    const Unlocked released;
    network.predict({columns.data(), columns.size()}, {views.data(), views.size()}, precision, &pause);
  }
  if (!several) return std::move(results[0]);
  return py::cast(results);
}

// The outputs for the only input, or None if a feature is not finite as float32.
py::object predict_if_finite(const Network& network, const py::object& x, const std::string& word) {
  const MatmulPrecision precision = matmul_precision_from_name(word);
  const Features rows = features(x, "x");
  py::array result = result_array(py::none(), rows.rows, network.n_outputs());
  const MatrixView<float> view = writable_view(result);
  bool finite = false;
  {
    PythonPause pause;
    const Unlocked released;
    finite = network.predict_if_finite(rows, view, precision, &pause);
  }
  return finite ? py::object(std::move(result)) : py::none();
}

py::list info_list(const std::vector<WeightInfo>& weights) {
  py::list out;
  for (const WeightInfo& info : weights)
    out.append(py::make_tuple(info.name, py::tuple(py::cast(shape_of(info))), info.trainable));
  return out;
}

// What a network of this description has, without making one.
py::tuple network_info(const py::object& description) {
  const NetworkSpec spec = parse_network(json_of(description));
  return py::make_tuple(widths_of(spec), info_list(weights_of(spec)));
}

// What a layer has for inputs of these widths.
py::tuple layer_info(const py::object& description, const std::vector<std::size_t>& inputs) {
  const Layer layer = parse_layer(json_of(description));
  return py::make_tuple(width_of(layer, inputs), info_list(weights_of(layer, inputs)));
}

}  // namespace

void bind_network(py::module_& module) {
  class_of<Network>(module, "Network")
      .def(
          "__init__",
          [](py::detail::value_and_holder& self, const py::object& description) {
            own(self, std::make_unique<Network>(parse_network(json_of(description))));
          },
          py::detail::is_new_style_constructor(), py::arg("description"))
      .def_property_readonly("n_features", &Network::n_features)
      .def_property_readonly("n_outputs", &Network::n_outputs)
      .def_property_readonly("input_widths", &Network::input_widths)
      .def_property_readonly("output_widths", &Network::output_widths)
      .def("weight_info", [](const Network& network) { return info_list(network.weights()); })
      .def("get_weights", &get_weights)
      .def("set_weights", &set_weights, py::arg("weights"), optional("first", py::none()))
      .def("set_weight_part", &set_weight_part, py::arg("index"), py::arg("first"), py::arg("values"))
      .def("predict", &predict, py::arg("x"), optional("out", py::none()), optional("precision", "highest"))
      .def("predict_if_finite", &predict_if_finite, py::arg("x"), optional("precision", "highest"), py::pos_only());
  module.def("network_info", &network_info, py::arg("description"));
  module.def("layer_info", &layer_info, py::arg("layer"), py::arg("input_widths"));
}

}  // namespace fastreg::bindings
