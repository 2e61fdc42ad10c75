// Cells of a table for Python: texts are given as the buffers of Arrow, offsets as int32 and bytes as uint8.
#include "fastreg/cells.h"

#include "bindings/convert.h"
#include "bindings/interpreter_lock.h"

namespace fastreg::bindings {
namespace {

Texts texts_from(const py::object& offsets, const py::object& data) {
  const Span<const std::uint8_t> bytes = required_vector<std::uint8_t>(data, "data");
  return {required_vector<std::int32_t>(offsets, "offsets"), {reinterpret_cast<const char*>(bytes.data), bytes.size}};
}

// A new array with an element for each text.
py::array_t<double> numbers_for(const Texts& texts) {
  return py::array_t<double>(static_cast<py::ssize_t>(texts.offsets.size - (texts.offsets.size > 0 ? 1 : 0)));
}

Span<double> span_of(py::array_t<double>& array) {
  return {array.mutable_data(), static_cast<std::size_t>(array.size())};
}

py::object read_numbers_of(const py::object& offsets, const py::object& data) {
  const Texts texts = texts_from(offsets, data);
  py::array_t<double> found = numbers_for(texts);
  const Span<double> out = span_of(found);
  bool all = false;
  {
    const Unlocked released;
    all = read_numbers(texts, out) == out.size;
  }
  return all ? py::object(found) : py::none();
}

py::object find_levels_of(const py::object& offsets, const py::object& data, const py::object& level_offsets,
                          const py::object& level_data, const py::object& codes) {
  const Texts texts = texts_from(offsets, data), levels = texts_from(level_offsets, level_data);
  const Span<const double> values = required_vector<double>(codes, "codes");
  py::array_t<double> found = numbers_for(texts);
  const Span<double> out = span_of(found);
  {
    const Unlocked released;
    find_levels(texts, levels, values, out);
  }
  return found;
}

// codes: a row of the array is a column of the table.
py::object to_rows_of(const py::object& codes, const py::object& offsets) {
  const py::array given = checked<double>(codes, "codes", 2);
  const Span<const double> moved = required_vector<double>(offsets, "offsets");
  if (static_cast<std::size_t>(given.shape(0)) != moved.size)
    throw py::value_error("codes must have a row for each offset");
  FloatArray found({given.shape(1), given.shape(0)});
  const Span<float> out{found.mutable_data(), static_cast<std::size_t>(found.size())};
  {
    const Unlocked released;
    to_rows({static_cast<const double*>(given.data()), out.size}, moved, out);
  }
  return found;
}

// A column is an array of floats, or a tuple of the numbers of labels, and the offsets and bytes of these.
LineColumn line_column_from(py::handle source) {
  LineColumn out;
  if (py::isinstance<py::tuple>(source)) {
    const auto fields = py::reinterpret_borrow<py::tuple>(source);
    if (fields.size() != 3) throw py::value_error("labels must be their numbers, offsets and bytes");
    out.chosen = required_vector<std::int64_t>(fields[0], "numbers");
    out.labels = texts_from(fields[1], fields[2]);
    out.rows = out.chosen.size;
    return out;
  }
  if (py::isinstance<py::array_t<float>>(source)) {
    const Span<const float> values = required_vector<float>(source, "a column");
    out.values = values.data;
    out.type = ElementType::float32;
    out.rows = values.size;
    return out;
  }
  const Span<const double> values = required_vector<double>(source, "a column");
  out.values = values.data;
  out.rows = values.size;
  return out;
}

py::str lines_from(const py::list& columns) {
  std::vector<LineColumn> all;
  for (const py::handle column : columns) all.push_back(line_column_from(column));
  std::string found;
  {
    const Unlocked released;
    found = lines_of({all.data(), all.size()});
  }
  return py::str(found);
}

}  // namespace

void bind_cells(py::module_& module) {
  module.def("read_numbers", &read_numbers_of, py::arg("offsets"), py::arg("data"), py::pos_only());
  module.def("find_levels", &find_levels_of, py::arg("offsets"), py::arg("data"), py::arg("level_offsets"),
             py::arg("level_data"), py::arg("codes"), py::pos_only());
  module.def("to_rows", &to_rows_of, py::arg("codes"), py::arg("offsets"), py::pos_only());
  module.def("lines", &lines_from, py::arg("columns"), py::pos_only());
}

}  // namespace fastreg::bindings
