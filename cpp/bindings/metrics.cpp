// Metrics outside of a trainer: their state, and the values of rows.
#include "bindings/convert.h"

#include <algorithm>

#include "fastreg/metric_state.h"

namespace fastreg::bindings {
namespace {

MetricRows metric_rows(const py::object& targets, const py::object& outputs, const py::object& weights) {
  const MatrixView<const float> y = matrix(outputs, "y_pred");
  MetricRows rows;
  rows.y = y.data;
  rows.rows = y.rows;
  rows.cols = y.cols;
  const auto same_rows = [&](std::size_t count, const char* name) {
    if (count != y.rows)
      throw py::value_error(std::string(name) + " must have as many rows as y_pred, " + std::to_string(y.rows) +
                            ", got " + std::to_string(count));
  };
  if (py::isinstance<py::array>(targets) &&
      py::reinterpret_borrow<py::array>(targets).dtype().equal(py::dtype::of<std::int32_t>())) {
    const Span<const std::int32_t> labels = required_vector<std::int32_t>(targets, "y_true");
    same_rows(labels.size, "y_true");
    rows.labels = labels.data;
  } else {
    const MatrixView<const float> target = matrix(targets, "y_true");
    same_rows(target.rows, "y_true");
    if (target.cols != y.cols)
      throw py::value_error("y_true must have as many columns as y_pred, " + std::to_string(y.cols) + ", got " +
                            std::to_string(target.cols));
    rows.target = target.data;
  }
  const Span<const float> weight = vector<float>(weights, "sample_weight");
  if (!weight.empty()) same_rows(weight.size, "sample_weight");
  rows.weight = weight.data;
  return rows;
}

void bind_state(py::module_& module) {
  using Self = MetricState;
  class_of<Self>(module, "MetricState")
      .def(
          "__init__",
          [](py::detail::value_and_holder& self, const std::string& metric, std::size_t cols, bool labels) {
            own(self, std::make_unique<Self>(parse_metric(metric), cols, labels));
          },
          py::detail::is_new_style_constructor(), py::arg("metric"), py::arg("cols"), py::arg("labels"))
      .def(
          "add",
          [](Self& self, const py::object& y_true, const py::object& y_pred, const py::object& weights) {
            self.add(metric_rows(y_true, y_pred, weights));
          },
          py::arg("y_true"), py::arg("y_pred"), optional("sample_weight", py::none()))
      .def("reset", &Self::reset)
      .def("values", &Self::values);
}

}  // namespace

void bind_metrics(py::module_& module) {
  bind_state(module);
  module.def(
      "metric_rows",
      [](const std::string& metric, const py::object& y_true, const py::object& y_pred) {
        const std::vector<float> values = row_values(parse_metric(metric), metric_rows(y_true, y_pred, py::none()));
        return py::array_t<float>(static_cast<py::ssize_t>(values.size()), values.data());
      },
      py::arg("metric"), py::arg("y_true"), py::arg("y_pred"));
}

}  // namespace fastreg::bindings
