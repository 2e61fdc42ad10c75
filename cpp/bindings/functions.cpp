// Calls functions of Python as losses and metrics. They get copies of rows, which they may keep and change.
#include "bindings/functions.h"

#include <algorithm>

#include "bindings/interpreter_lock.h"

namespace fastreg::bindings {
namespace {

template <class T>
py::object copied(const T* data, std::size_t rows, std::size_t cols) {
  if (data == nullptr) return py::none();
  py::array_t<T> out({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(cols)});
  std::copy_n(data, rows * cols, out.mutable_data());
  return out;
}

// Labels as a vector, or other targets as a matrix.
template <class Label>
py::object targets_of(const Label* labels, const float* target, std::size_t rows, std::size_t cols) {
  if (labels != nullptr) return copied(labels, rows, 1).attr("reshape")(-1);
  return copied(target, rows, cols);
}

template <class Owned, class Listed>
void take(const py::sequence& functions, std::vector<std::unique_ptr<Owned>>& owned, std::vector<Listed*>& all) {
  for (const py::handle function : functions) {
    owned.push_back(std::make_unique<Owned>(py::reinterpret_borrow<py::object>(function)));
    all.push_back(owned.back().get());
  }
}

}  // namespace

double PythonMetric::value(const MetricRows& rows) {
  const Locked acquired;
  const py::object targets = targets_of(rows.labels, rows.target, rows.rows, rows.cols);
  py::object weights = copied(rows.weight, rows.rows, 1);
  if (!weights.is_none()) weights = weights.attr("reshape")(-1);
  return called(function_, targets, copied(rows.y, rows.rows, rows.cols), weights).cast<double>();
}

void PythonLoss::compute(const LossRows& rows) {
  const Locked acquired;
  const py::object targets = targets_of(rows.labels, rows.target, rows.rows, rows.target_cols);
  const auto returned =
      called(function_, targets, copied(rows.y, rows.rows, rows.cols)).cast<std::pair<py::object, py::object>>();
  const Span<const float> values = required_vector<float>(returned.first, "loss");
  const MatrixView<const float> gradient = matrix(returned.second, "gradient");
  if (values.size != rows.rows || gradient.rows != rows.rows || gradient.cols != rows.cols)
    throw py::value_error("the loss and the gradient must be those of " + std::to_string(rows.rows) + " rows");
  std::copy(values.begin(), values.end(), rows.values);
  if (rows.gradient == nullptr) return;
  for (std::size_t i = 0; i < rows.rows; ++i)
    std::copy_n(gradient.data + i * gradient.stride, rows.cols, rows.gradient + i * rows.cols);
}

PythonFunctions::PythonFunctions(const py::tuple& functions) {
  if (functions.size() != 2) throw py::value_error("functions must be those of metrics and those of losses");
  take(functions[0].cast<py::sequence>(), metrics_, all_.metrics);
  take(functions[1].cast<py::sequence>(), losses_, all_.losses);
  all_.pause = &pause_;
}

}  // namespace fastreg::bindings
