// Single operations for Python: they take arrays and return new arrays, or the caller's `out`. fastreg/ops.h checks the
// shapes.
#include "fastreg/ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bindings/convert.h"
#include "bindings/interpreter_lock.h"

namespace fastreg::bindings {
namespace {

// The array for a result: the caller's `out`, or a new one. The operation checks its shape.
class Result {
 public:
  Result(const py::object& out, std::size_t rows, std::size_t cols)
      : array_(out.is_none() ? py::array(FloatArray({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(cols)}))
                             : checked<float>(out, "out", 2, true)) {}
  Result(std::size_t rows, std::size_t cols) : Result(py::none(), rows, cols) {}
  explicit Result(std::size_t size) : array_(FloatArray(static_cast<py::ssize_t>(size))) {}

  ops::Output matrix() {
    const auto rows = static_cast<std::size_t>(array_.shape(0)), cols = static_cast<std::size_t>(array_.shape(1));
    return {static_cast<float*>(array_.mutable_data()), rows, cols, cols};
  }
  Span<float> vector() {
    return {static_cast<float*>(array_.mutable_data()), static_cast<std::size_t>(array_.size())};
  }
  const py::array& array() const { return array_; }

 private:
  py::array array_;
};

// Calls f with the interpreter lock released.
template <class F>
void released(F&& f) {
  const Unlocked unlocked;
  f();
}

py::tuple dense(const py::object& x_in, const py::object& w_in, const py::object& b_in, const std::string& activation,
                const py::object& out) {
  const ActivationSpec chosen = parse_activation(activation);
  const auto x = matrix(x_in, "x"), w = matrix(w_in, "w");
  const auto b = vector<float>(b_in, "b");
  const bool keep_z = !derivative_from_output(chosen.kind);
  Result y(out, x.rows, w.cols), z(keep_z ? x.rows : 0, w.cols);
  const auto y_view = y.matrix(), z_view = keep_z ? z.matrix() : ops::Output{};
  released([&] { ops::dense(x, w, b, chosen, y_view, z_view); });
  return py::make_tuple(y.array(), keep_z ? py::object(z.array()) : py::none());
}

py::tuple dense_backward(const py::object& x_in, const py::object& w_in, const py::object& saved_in,
                         const py::object& dy_in, const std::string& activation) {
  const ActivationSpec chosen = parse_activation(activation);
  const auto x = matrix(x_in, "x"), w = matrix(w_in, "w"), saved = matrix(saved_in, "saved"), dy = matrix(dy_in, "dy");
  Result dx(x.rows, x.cols), dw(w.rows, w.cols), db(w.cols);
  const auto dx_view = dx.matrix(), dw_view = dw.matrix();
  const auto db_view = db.vector();
  released([&] { ops::dense_backward(x, w, saved, dy, chosen, dx_view, dw_view, db_view); });
  return py::make_tuple(dx.array(), dw.array(), db.array());
}

py::array activation(const py::object& x_in, const std::string& name) {
  const ActivationSpec chosen = parse_activation(name);
  const auto x = matrix(x_in, "x");
  Result y(x.rows, x.cols);
  const auto view = y.matrix();
  released([&] { ops::activation(chosen, x, view); });
  return y.array();
}

py::array activation_backward(const py::object& saved_in, const py::object& dy_in, const std::string& name) {
  const ActivationSpec chosen = parse_activation(name);
  const auto saved = matrix(saved_in, "saved"), dy = matrix(dy_in, "dy");
  Result dx(dy.rows, dy.cols);
  const auto view = dx.matrix();
  released([&] { ops::activation_backward(chosen, saved, dy, view); });
  return dx.array();
}

py::tuple dropout(const py::object& x_in, float rate, std::uint64_t seed, std::uint32_t step, std::uint32_t stream,
                  const py::object& out) {
  const auto x = matrix(x_in, "x");
  Result y(out, x.rows, x.cols);
  py::array_t<bool> keep({static_cast<py::ssize_t>(x.rows), static_cast<py::ssize_t>(x.cols)});
  const auto view = y.matrix();
  bool* flags = keep.mutable_data();
  released([&] { ops::dropout(x, rate, seed, stream, step, view, flags); });
  return py::make_tuple(y.array(), keep);
}

// A vector that the operation updates in place.
Span<float> moving(py::handle object, const char* name) {
  py::array array = checked<float>(object, name, 1, true);
  return {static_cast<float*>(array.mutable_data()), static_cast<std::size_t>(array.size())};
}

py::tuple batch_norm_train(const py::object& x_in, const py::object& gamma_in, const py::object& beta_in,
                           const py::object& mean_in, const py::object& variance_in, float momentum, float epsilon) {
  const auto x = matrix(x_in, "x");
  const auto gamma = vector<float>(gamma_in, "gamma"), beta = vector<float>(beta_in, "beta");
  const auto moving_mean = moving(mean_in, "moving_mean"), moving_variance = moving(variance_in, "moving_variance");
  Result y(x.rows, x.cols), mean(x.cols), inv_std(x.cols);
  const auto y_view = y.matrix();
  const auto mean_view = mean.vector(), inv_std_view = inv_std.vector();
  released([&] {
    ops::batch_norm_train(x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, y_view, mean_view,
                          inv_std_view);
  });
  return py::make_tuple(y.array(), mean.array(), inv_std.array());
}

py::array batch_norm_infer(const py::object& x_in, const py::object& gamma_in, const py::object& beta_in,
                           const py::object& mean_in, const py::object& variance_in, float epsilon,
                           const py::object& out) {
  const auto x = matrix(x_in, "x");
  const auto gamma = vector<float>(gamma_in, "gamma"), beta = vector<float>(beta_in, "beta"),
             mean = required_vector<float>(mean_in, "mean"), variance = required_vector<float>(variance_in, "variance");
  Result y(out, x.rows, x.cols);
  const auto view = y.matrix();
  released([&] { ops::batch_norm_infer(x, gamma, beta, mean, variance, epsilon, view); });
  return y.array();
}

py::tuple batch_norm_backward(const py::object& x_in, const py::object& dy_in, const py::object& gamma_in,
                              const py::object& mean_in, const py::object& inv_std_in) {
  const auto x = matrix(x_in, "x"), dy = matrix(dy_in, "dy");
  const auto gamma = vector<float>(gamma_in, "gamma"), mean = required_vector<float>(mean_in, "mean"),
             inv_std = required_vector<float>(inv_std_in, "inv_std");
  Result dx(x.rows, x.cols), dgamma(x.cols), dbeta(x.cols);
  const auto dx_view = dx.matrix();
  const auto dgamma_view = dgamma.vector(), dbeta_view = dbeta.vector();
  released([&] { ops::batch_norm_backward(x, dy, gamma, mean, inv_std, dx_view, dgamma_view, dbeta_view); });
  return py::make_tuple(dx.array(), dgamma.array(), dbeta.array());
}

py::tuple loss(const std::string& description, const py::object& y_in, const py::object& target_in,
               const py::object& weight_in) {
  const Loss spec = parse_loss(description);
  const bool labelled = takes_labels(spec);
  const auto y = matrix(y_in, "y");
  const auto weight = vector<float>(weight_in, "weight");
  const auto labels = labelled ? required_vector<std::int32_t>(target_in, "target") : Span<const std::int32_t>{};
  const auto target = labelled ? ops::Input{} : matrix(target_in, "target");
  Result row_losses(y.rows), dy(y.rows, y.cols), probabilities(y.rows, y.cols);
  const auto losses_view = row_losses.vector();
  const auto dy_view = dy.matrix(), probabilities_view = probabilities.matrix();
  released([&] { ops::loss(spec, y, target, labels, weight, losses_view, dy_view, probabilities_view); });
  return py::make_tuple(row_losses.array(), dy.array(), probabilities.array());
}

bool all_finite(const py::object& x) {
  Features values;
  if (py::isinstance<py::array>(x) && py::reinterpret_borrow<py::array>(x).ndim() != 2) {
    const py::array array = checked<float>(x, "x", -1);
    const auto n = static_cast<std::size_t>(array.size());
    values = {static_cast<const float*>(array.data()), 1, n, n};
  } else {
    values = features(x, "x");
  }
  const Unlocked unlocked;
  return ops::all_finite(values);
}

// Whether all values of the rows at the places 0, step, 2 step, ... of `rows` are in [-limit, limit], which NaN is not.
// Without `rows` these are places of x.
template <class Value>
bool all_within(const Features& x, Span<const std::uint32_t> rows, std::size_t step, Value limit) {
  const std::size_t count = rows.data != nullptr ? rows.size : x.rows;
  for (std::size_t i = 0; i < count; i += step) {
    const std::size_t at = rows.data != nullptr ? rows.data[i] : i;
    if (at >= x.rows)
      throw py::value_error("rows must be below " + std::to_string(x.rows) + ", got " + std::to_string(at));
    const Value* const row = static_cast<const Value*>(x.row(at));
    int beyond = 0;
    for (std::size_t j = 0; j < x.cols; ++j) beyond |= !(std::fabs(row[j]) <= limit);
    if (beyond != 0) return false;
  }
  return true;
}

bool rows_within(const py::object& x, const py::object& rows, std::size_t step, float limit) {
  const Features values = features(x, "x");
  const auto chosen = vector<std::uint32_t>(rows, "rows");
  if (step == 0) throw py::value_error("step must be > 0, got 0");
  if (values.type == ElementType::uint8) throw py::type_error("x must have dtype float32 or float64");
  if (values.type == ElementType::float32) return all_within<float>(values, chosen, step, limit);
  return all_within<double>(values, chosen, step, static_cast<double>(limit));
}

// Writes labels as indices. Returns false if one is not in [0, classes), where classes <= 2^31. Each label is read
// once, so that what is checked is what is written, whoever changes the labels meanwhile.
template <class Label>
bool write_indices(const py::array& labels, std::uint64_t classes, std::int32_t* out) {
  const char* from = static_cast<const char*>(labels.data());
  const py::ssize_t count = labels.size(), stride = labels.strides(0);
  const bool packed = stride == static_cast<py::ssize_t>(sizeof(Label));
  bool good = true;
  for (py::ssize_t i = 0; i < count; ++i, from += packed ? static_cast<py::ssize_t>(sizeof(Label)) : stride) {
    Label label;
    std::memcpy(&label, from, sizeof label);
    out[i] = static_cast<std::int32_t>(label);
    good &= static_cast<std::uint64_t>(label) < classes;
  }
  return good;
}

py::object class_indices(const py::array& labels, std::uint64_t classes) {
  if (labels.ndim() != 1) throw py::value_error("labels must have 1 dimension, got " + std::to_string(labels.ndim()));
  const py::dtype type = labels.dtype();
  if (type.byteorder() == (std::endian::native == std::endian::little ? '>' : '<')) return py::none();
  const int number = type.num();
  const std::uint64_t count = std::min(classes, std::uint64_t{1} << 31);
  py::array_t<std::int32_t> out(labels.size());
  std::int32_t* const to = out.mutable_data();
  const bool good = number == py::dtype::num_of<std::int64_t>()    ? write_indices<std::int64_t>(labels, count, to)
                    : number == py::dtype::num_of<std::int32_t>()  ? write_indices<std::int32_t>(labels, count, to)
                    : number == py::dtype::num_of<std::uint32_t>() ? write_indices<std::uint32_t>(labels, count, to)
                    : number == py::dtype::num_of<std::uint8_t>()  ? write_indices<std::uint8_t>(labels, count, to)
                                                                   : false;
  return good ? py::object(std::move(out)) : py::none();
}

py::array random_words(std::uint64_t seed, std::uint32_t stream, std::uint32_t step, std::uint64_t first,
                       std::size_t n) {
  py::array_t<std::uint32_t> out({static_cast<py::ssize_t>(n), py::ssize_t{4}});
  std::uint32_t* words = out.mutable_data();
  released([&] { ops::random_words(seed, stream, step, first, n, words); });
  return out;
}

// An updater, with a reference that keeps its parameters alive.
class PyUpdater {
 public:
  PyUpdater(const std::string& optimizer, const py::object& w, float l1, float l2, bool proximal)
      : array_(checked<float>(w, "w", -1, true)),
        updater_(parse_optimizer(optimizer), static_cast<float*>(array_.mutable_data()),
                 static_cast<std::size_t>(array_.size()), {l1, l2, proximal}) {}

  void step(const py::object& g, double rate) {
    const py::array gradient = checked<float>(g, "g", -1);
    if (gradient.size() != array_.size())
      throw py::value_error("g must have " + std::to_string(array_.size()) + " values, got " +
                            std::to_string(gradient.size()));
    const auto* values = static_cast<const float*>(gradient.data());
    released([&] { updater_.step(values, rate); });
  }
  std::uint64_t steps() const { return updater_.steps(); }
  py::object average() const {
    Result out(static_cast<std::size_t>(array_.size()));
    float* const values = out.vector().data;
    bool found = false;
    released([&] { found = updater_.average(values); });
    if (!found) return py::none();
    return out.array();
  }

 private:
  py::array array_;
  ops::Updater updater_;
};

}  // namespace

void bind_ops(py::module_& module) {
  module.def("dense", &dense, py::arg("x"), py::arg("w"), py::arg("b"), py::arg("activation"), py::arg("out"));
  module.def("dense_backward", &dense_backward, py::arg("x"), py::arg("w"), py::arg("saved"), py::arg("dy"),
             py::arg("activation"));
  module.def("activation", &activation, py::arg("x"), py::arg("activation"));
  module.def("activation_backward", &activation_backward, py::arg("saved"), py::arg("dy"), py::arg("activation"));
  module.def("dropout", &dropout, py::arg("x"), py::arg("rate"), py::arg("seed"), py::arg("step"), py::arg("stream"),
             py::arg("out"));
  module.def("batch_norm_train", &batch_norm_train, py::arg("x"), py::arg("gamma"), py::arg("beta"),
             py::arg("moving_mean"), py::arg("moving_variance"), py::arg("momentum"), py::arg("epsilon"));
  module.def("batch_norm_infer", &batch_norm_infer, py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("mean"),
             py::arg("variance"), py::arg("epsilon"), py::arg("out"));
  module.def("batch_norm_backward", &batch_norm_backward, py::arg("x"), py::arg("dy"), py::arg("gamma"),
             py::arg("mean"), py::arg("inv_std"));
  module.def("loss", &loss, py::arg("loss"), py::arg("y"), py::arg("target"), py::arg("weight"));
  module.def("all_finite", &all_finite, py::arg("x"), py::pos_only());
  module.def("rows_within", &rows_within, py::arg("x"), py::arg("rows"), py::arg("step"), py::arg("limit"),
             py::pos_only());
  module.def("class_indices", &class_indices, py::arg("labels"), py::arg("classes"), py::pos_only());
  module.def("random_words", &random_words, py::arg("seed"), py::arg("stream"), py::arg("step"), py::arg("first"),
             py::arg("n"));
  class_of<PyUpdater>(module, "Updater")
      .def(
          "__init__",
          [](py::detail::value_and_holder& self, const std::string& optimizer, const py::object& w, float l1, float l2,
             bool proximal) { own(self, std::make_unique<PyUpdater>(optimizer, w, l1, l2, proximal)); },
          py::detail::is_new_style_constructor(), py::arg("optimizer"), py::arg("w"), py::arg("l1"), py::arg("l2"),
          py::arg("proximal"))
      .def("step", &PyUpdater::step, py::arg("g"), py::arg("rate"))
      .def("average", &PyUpdater::average)
      .def_property_readonly("steps", &PyUpdater::steps);
}

}  // namespace fastreg::bindings
