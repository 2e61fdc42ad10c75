// TablePredictor for Python. A float64 matrix that is C-contiguous and aligned is read in place;
// python/fastreg/data/serving.py converts everything else. All arguments of the constructor are checked, because a
// pickle may come from anyone.
#include "fastreg/table_predictor.h"

#include "bindings/convert.h"
#include "bindings/frozen.h"
#include "bindings/slices.h"

namespace fastreg::bindings {
namespace {

// The predictor, and what it was made from, for pickles.
class PyTablePredictor {
 public:
  PyTablePredictor(const py::object& network, const py::object& encodings, const py::object& limits,
                   double temperature, const py::object& curves)
      : encodings_(encodings_from(encodings)),
        finish_(finish_from(limits, temperature, curves)),
        network_(network),
        predictor_(shared_predictor(network), encodings_, finish_) {}

  py::object call(const py::object& codes) const {
    const py::object rows = is_read_in_place(codes) ? codes : converted(codes);
    const auto x = py::reinterpret_borrow<py::array>(rows);
    const auto n = static_cast<std::size_t>(x.shape(0)), cols = static_cast<std::size_t>(x.shape(1));
    const MatrixView<const double> view{static_cast<const double*>(x.data()), n, cols, cols};
    const std::size_t outputs = predictor_.n_outputs();
    FloatArray out({static_cast<py::ssize_t>(n), static_cast<py::ssize_t>(outputs)});
    const MatrixView<float> to{out.mutable_data(), n, outputs, outputs};
    if (predictor_.work_per_row() * static_cast<double>(n) < kReleaseWork) {
      predictor_.predict(view, to);
    } else {
      in_slices(predictor_.work_per_row(), n, [&](std::size_t first, std::size_t rows_of_slice) {
        predictor_.predict(part_of(view, first, rows_of_slice), part_of(to, first, rows_of_slice));
      });
    }
    return out;
  }

  std::size_t n_codes() const { return predictor_.n_codes(); }
  std::size_t n_outputs() const { return predictor_.n_outputs(); }

  // The arguments of the constructor.
  py::tuple arguments() const {
    py::list encodings;
    for (const TableEncoding& encoding : encodings_)
      encodings.append(py::make_tuple(column_list(encoding.columns), encoding.dense, encoding.offsets));
    py::list curves;
    for (const CalibrationCurve& curve : finish_.curves) curves.append(py::make_tuple(curve.x, curve.y));
    return py::make_tuple(network_, encodings, py::make_tuple(finish_.lower, finish_.upper), finish_.temperature,
                          curves);
  }

 private:
  static std::vector<TableEncoding> encodings_from(const py::object& source) {
    if (!py::isinstance<py::list>(source)) refuse("encodings must be a list", source);
    std::vector<TableEncoding> out;
    for (const py::handle one : source) {
      if (!py::isinstance<py::tuple>(one) || py::len(one) != 3)
        refuse("an encoding must be columns, whether it is dense, and offsets", one);
      const auto fields = py::reinterpret_borrow<py::tuple>(one);
      if (!py::isinstance<py::bool_>(fields[1])) refuse("dense must be a bool", fields[1]);
      if (!py::isinstance<py::list>(fields[2])) refuse("offsets must be a list", fields[2]);
      out.push_back({columns_from(fields[0]), fields[1].cast<bool>(), {}});
      for (const py::handle offset : py::object(fields[2])) out.back().offsets.push_back(number_from(offset));
    }
    return out;
  }

  static TableFinish finish_from(const py::object& limits, double temperature, const py::object& curves) {
    TableFinish out;
    out.temperature = temperature;
    if (!py::isinstance<py::list>(curves) && !curves.is_none()) refuse("curves must be a list or None", curves);
    if (!curves.is_none())
      for (const py::handle one : curves) {
        if (!py::isinstance<py::tuple>(one) || py::len(one) != 2) refuse("a curve must be its x and its y", one);
        const auto fields = py::reinterpret_borrow<py::tuple>(one);
        out.curves.push_back({numbers_from(fields[0]), numbers_from(fields[1])});
      }
    if (limits.is_none()) return out;
    if (!py::isinstance<py::tuple>(limits) || py::len(limits) != 2)
      refuse("limits must be two numbers or None", limits);
    const auto fields = py::reinterpret_borrow<py::tuple>(limits);
    out.lower = static_cast<float>(number_from(fields[0]));
    out.upper = static_cast<float>(number_from(fields[1]));
    return out;
  }

  static double number_from(py::handle source) {
    if (!py::isinstance<py::float_>(source)) refuse("offsets, limits and points of curves must be floats", source);
    return source.cast<double>();
  }

  static std::vector<double> numbers_from(const py::object& source) {
    if (!py::isinstance<py::list>(source)) refuse("the points of a curve must be lists", source);
    std::vector<double> out;
    for (const py::handle one : source) out.push_back(number_from(one));
    return out;
  }

  // Derived classes may give their memory another meaning, as masked arrays do.
  bool is_read_in_place(const py::object& codes) const {
    if (!Py_IS_TYPE(codes.ptr(), py::detail::npy_api::get().PyArray_Type_)) return false;
    const auto array = py::reinterpret_borrow<py::array>(codes);
    constexpr int kNeeded = py::array::c_style | static_cast<int>(py::detail::npy_api::NPY_ARRAY_ALIGNED_);
    return array.ndim() == 2 && (array.flags() & kNeeded) == kNeeded &&
           static_cast<std::size_t>(array.shape(1)) == predictor_.n_codes() &&
           py::isinstance<py::array_t<double>>(array);
  }

  py::object converted(const py::object& codes) const {
    const py::object made = py::module_::import("fastreg.data.serving").attr("codes")(codes, predictor_.n_codes());
    if (!is_read_in_place(made)) throw py::type_error("codes: the conversion to float64 gave no usable array");
    return made;
  }

  std::vector<TableEncoding> encodings_;
  TableFinish finish_;
  py::object network_;
  TablePredictor predictor_;
};

}  // namespace

void bind_table_predictor(py::module_& module) {
  class_of<PyTablePredictor>(module, "TablePredictor")
      .def(
          "__init__",
          [](py::detail::value_and_holder& self, const py::object& network, const py::object& encodings,
             const py::object& limits, double temperature, const py::object& curves) {
            own(self, std::make_unique<PyTablePredictor>(network, encodings, limits, temperature, curves));
          },
          py::detail::is_new_style_constructor(), py::arg("network"), py::arg("encodings"), py::arg("limits"),
          py::arg("temperature"), optional("curves", py::none()))
      .def("__call__", &PyTablePredictor::call, py::arg("codes"))
      .def_property_readonly("n_codes", &PyTablePredictor::n_codes)
      .def_property_readonly("n_outputs", &PyTablePredictor::n_outputs)
      .def("__reduce__", [](const py::object& self) {
        return py::make_tuple(py::type::of(self), self.cast<const PyTablePredictor&>().arguments());
      });
}

}  // namespace fastreg::bindings
