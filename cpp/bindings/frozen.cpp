// Conversions of frozen networks. All arguments are checked, because a pickle may come from anyone.
#include "bindings/frozen.h"

#include <algorithm>
#include <iterator>

#include "bindings/interpreter_lock.h"

namespace fastreg::bindings {
namespace {

// In the order of FrozenNode::Kind.
constexpr const char* kKinds[] = {"chain",   "add",     "multiply", "concatenate", "subtract",         "average",
                                  "maximum", "minimum", "dot",      "embedding",   "category_encoding",
                                  "table_input", "periodic", "parametric_activation"};

py::object array_or_none(const std::vector<float>& values, std::vector<py::ssize_t> shape) {
  if (values.empty()) return py::none();
  FloatArray out(std::move(shape));
  std::copy(values.begin(), values.end(), out.mutable_data());
  return out;
}

constexpr const char* kStatistics[] = {"none", "unit", "root_mean_square", "standard"};   // of RowStatistic

// The name of an activation; with its parameters, where it is one that may have some, (name, first, second, third).
py::object activation_fields(const ActivationSpec& activation) {
  const char* const called = name(activation.kind);
  if (ActivationSpec(activation.kind) == activation) return py::str(called);
  const float* const p = activation.parameters;
  return py::make_tuple(called, p[0], p[1], p[2]);
}

ActivationSpec activation_from(py::handle source) {
  if (py::isinstance<py::str>(source)) return activation_from_name(source.cast<std::string>());
  if (!py::isinstance<py::tuple>(source)) refuse("activation must be a string", source);
  if (py::len(source) != 4) refuse("activation must be a string or four fields", source, true);
  const auto fields = py::reinterpret_borrow<py::tuple>(source);
  if (!py::isinstance<py::str>(fields[0])) refuse("activation must be a string", fields[0]);
  ActivationSpec out = activation_from_name(fields[0].cast<std::string>());
  for (std::size_t i = 0; i < 3; ++i) {
    if (!py::isinstance<py::float_>(fields[i + 1]))
      refuse("a parameter of an activation must be a float", fields[i + 1]);
    out.parameters[i] = fields[i + 1].cast<float>();
  }
  return out;
}

// (activation, inputs, kernel, bias, mean, scale) of each layer, where absent arrays are None. One that is rectified or
// has a statistic has (rectified, the name of the statistic, epsilon) as a further field.
py::list layer_list(const std::vector<FrozenLayer>& layers) {
  py::list out;
  for (const FrozenLayer& layer : layers) {
    const auto in = static_cast<py::ssize_t>(layer.in), cols = static_cast<py::ssize_t>(layer.out);
    py::tuple fields = py::make_tuple(activation_fields(layer.activation), in, array_or_none(layer.kernel, {in, cols}),
                              array_or_none(layer.bias, {cols}), array_or_none(layer.mean, {cols}),
                              array_or_none(layer.scale, {cols}));
    if (layer.rectified || layer.statistic != RowStatistic::none)
      fields += py::make_tuple(py::make_tuple(layer.rectified, kStatistics[static_cast<std::size_t>(layer.statistic)],
                                              layer.epsilon));
    out.append(fields);
  }
  return out;
}

void read_form(py::handle source, FrozenLayer& layer) {
  if (!py::isinstance<py::tuple>(source) || py::len(source) != 3)
    refuse("the form of a layer must be three fields", source);
  const auto form = py::reinterpret_borrow<py::tuple>(source);
  if (!py::isinstance<py::bool_>(form[0])) refuse("rectified must be a bool", form[0]);
  if (!py::isinstance<py::str>(form[1])) refuse("the statistic must be a string", form[1]);
  if (!py::isinstance<py::float_>(form[2])) refuse("epsilon must be a float", form[2]);
  const auto statistic = form[1].cast<std::string>();
  const auto* const found = std::find(std::begin(kStatistics), std::end(kStatistics), statistic);
  if (found == std::end(kStatistics))
    refuse("the statistic must be none, unit, root_mean_square or standard", form[1], true);
  layer.rectified = form[0].cast<bool>();
  layer.statistic = static_cast<RowStatistic>(found - std::begin(kStatistics));
  layer.epsilon = form[2].cast<float>();
}

// A layer from the fields that layer_list makes. They come from a pickle and may have been made by anyone.
FrozenLayer layer_from(py::handle source) {
  const auto values = [](py::handle array, const char* what, int ndim) {
    if (array.is_none()) return std::vector<float>();
    const py::array given = checked<float>(array, what, ndim);
    const auto* data = static_cast<const float*>(given.data());
    return std::vector<float>(data, data + given.size());
  };
  if (!py::isinstance<py::tuple>(source)) refuse("a layer must be a tuple", source);
  const auto fields = py::reinterpret_borrow<py::tuple>(source);
  if (fields.size() != 6 && fields.size() != 7)
    throw py::value_error("Predictor: a layer has 6 or 7 fields, got " + std::to_string(fields.size()));
  FrozenLayer layer;
  if (!py::isinstance<py::int_>(fields[1])) refuse("inputs must be an integer", fields[1]);
  layer.activation = activation_from(fields[0]);
  const py::ssize_t inputs = PyLong_AsSsize_t(py::object(fields[1]).ptr());
  if (inputs < 1) {
    PyErr_Clear();
    refuse("inputs must be in [1, 2**63)", fields[1], true);
  }
  layer.in = layer.out = static_cast<std::size_t>(inputs);
  layer.kernel = values(fields[2], "kernel", 2);
  if (!fields[2].is_none()) layer.out = static_cast<std::size_t>(py::reinterpret_borrow<py::array>(fields[2]).shape(1));
  layer.bias = values(fields[3], "bias", 1);
  layer.mean = values(fields[4], "mean", 1);
  layer.scale = values(fields[5], "scale", 1);
  if (fields.size() == 7) read_form(fields[6], layer);
  return layer;
}

std::vector<FrozenLayer> layers_from(py::handle source) {
  if (!py::isinstance<py::list>(source)) refuse("layers must be a list", source);
  std::vector<FrozenLayer> layers;
  for (const py::handle fields : source) layers.push_back(layer_from(fields));
  return layers;
}

std::size_t index_from(py::handle source, const char* what) {
  if (!py::isinstance<py::int_>(source)) refuse((std::string(what) + " must be an integer").c_str(), source);
  const py::ssize_t value = PyLong_AsSsize_t(source.ptr());
  if (value >= 0) return static_cast<std::size_t>(value);
  PyErr_Clear();
  refuse((std::string(what) + " must be in [0, 2**63)").c_str(), source, true);
}

// The items of a list of tuples, each with `fields` fields, or as many as `or_fields` where that is not 0.
std::vector<py::tuple> tuples_from(py::handle source, const char* what, std::size_t fields, std::size_t or_fields = 0) {
  if (!py::isinstance<py::list>(source)) refuse((std::string(what) + " must be a list").c_str(), source);
  std::vector<py::tuple> out;
  for (const py::handle item : source) {
    const std::size_t length = py::isinstance<py::tuple>(item) ? py::len(item) : 0;
    if (length == 0 || (length != fields && length != or_fields))
      refuse((std::string(what) + " must be tuples of " + std::to_string(fields) + " fields").c_str(), item);
    out.push_back(py::reinterpret_borrow<py::tuple>(item));
  }
  return out;
}

std::string name_from(py::handle source, const char* what) {
  if (!py::isinstance<py::str>(source)) refuse((std::string(what) + " must be a string").c_str(), source);
  return source.cast<std::string>();
}

// What a node has besides its inputs and layers, as node_from reads it; nothing for most kinds.
py::object settings_of(const FrozenNode& node) {
  switch (node.kind) {
    case FrozenNode::Kind::dot:
      return py::make_tuple(node.dot.length, static_cast<std::size_t>(node.dot.first_transposed),
                            static_cast<std::size_t>(node.dot.second_transposed),
                            static_cast<std::size_t>(node.dot.normalize));
    case FrozenNode::Kind::category_encoding:
      return py::make_tuple(node.encoding.num_tokens, static_cast<std::size_t>(node.encoding.output_mode));
    case FrozenNode::Kind::embedding:
      return array_or_none(node.table, {static_cast<py::ssize_t>(node.table.size() / node.columns),
                                        static_cast<py::ssize_t>(node.columns)});
    case FrozenNode::Kind::table_input: {
      const auto cols = static_cast<py::ssize_t>(node.columns);
      const auto rows = static_cast<py::ssize_t>(node.table.size()) / cols;
      return py::make_tuple(column_list(node.codes), array_or_none(node.table, {rows, cols}),
                            array_or_none(node.bias, {cols}));
    }
    case FrozenNode::Kind::periodic: {
      const PeriodicEmbedding& layer = node.periodic;
      const auto count = static_cast<py::ssize_t>(layer.n_frequencies);
      const py::ssize_t terms = layer.use_phases ? count : 2 * count;
      const auto in = static_cast<py::ssize_t>(node.frequencies.size()) / count;
      const auto outputs = static_cast<py::ssize_t>(node.bias.size());
      return py::make_tuple(layer.rectify, layer.keep_input, array_or_none(node.frequencies, {count, in}),
                            array_or_none(node.phases, {count, in}), array_or_none(node.table, {terms, outputs}),
                            array_or_none(node.bias, {outputs}));
    }
    case FrozenNode::Kind::parametric_activation:
      return py::make_tuple(activation_fields(node.activation),
                            array_or_none(node.table, {static_cast<py::ssize_t>(node.table.size())}));
    default: return py::none();
  }
}

// The elements of an array, which checked() has seen.
template <class T>
std::vector<T> elements(const py::array& array) {
  const auto* const first = static_cast<const T*>(array.data());
  return {first, first + array.size()};
}

TableColumn column_from(py::handle source) {
  if (!py::isinstance<py::tuple>(source) || py::len(source) != 7)
    refuse("a column must be a tuple of seven fields", source);
  const auto fields = py::reinterpret_borrow<py::tuple>(source);
  TableColumn out;
  const std::size_t kind = index_from(fields[0], "the kind of a column");
  if (kind > static_cast<std::size_t>(TableColumn::Kind::categorical))
    refuse("the kind of a column is unknown", fields[0], true);
  out.kind = static_cast<TableColumn::Kind>(kind);
  out.count = index_from(fields[1], "the count of a column");
  for (const auto& [field, to] : {std::pair{2, &out.centre}, std::pair{3, &out.scale}}) {
    if (!py::isinstance<py::float_>(fields[field])) refuse("centre and scale must be floats", fields[field]);
    *to = fields[field].cast<double>();
  }
  out.edges = elements<double>(checked<double>(fields[4], "edges", 1));
  if (!py::isinstance<py::bool_>(fields[5])) refuse("missing must be a bool", fields[5]);
  out.missing = fields[5].cast<bool>();
  out.levels = elements<std::uint32_t>(checked<std::uint32_t>(fields[6], "levels", 1));
  return out;
}

void read_table_input(FrozenNode& node, py::handle settings) {
  if (!py::isinstance<py::tuple>(settings) || py::len(settings) != 3)
    refuse("the settings of a table's input must be columns, kernel and bias", settings);
  const auto fields = py::reinterpret_borrow<py::tuple>(settings);
  node.codes = columns_from(fields[0]);
  const py::array kernel = checked<float>(fields[1], "kernel", 2);
  node.table = elements<float>(kernel);
  node.columns = static_cast<std::size_t>(kernel.shape(1));
  if (!fields[2].is_none()) node.bias = elements<float>(checked<float>(fields[2], "bias", 1));
}

void read_periodic(FrozenNode& node, py::handle settings) {
  if (!py::isinstance<py::tuple>(settings) || py::len(settings) != 6)
    refuse("the settings of a periodic embedding must be six fields", settings);
  const auto fields = py::reinterpret_borrow<py::tuple>(settings);
  for (const std::size_t field : {0, 1})
    if (!py::isinstance<py::bool_>(fields[field])) refuse("rectify and keep_input must be bools", fields[field]);
  PeriodicEmbedding& layer = node.periodic;
  layer.rectify = fields[0].cast<bool>();
  layer.keep_input = fields[1].cast<bool>();
  const py::array frequencies = checked<float>(fields[2], "frequencies", 2);
  layer.n_frequencies = static_cast<std::size_t>(frequencies.shape(0));
  layer.use_phases = !fields[3].is_none();
  node.frequencies = elements<float>(frequencies);
  if (layer.use_phases) node.phases = elements<float>(checked<float>(fields[3], "phases", 2));
  node.table = elements<float>(checked<float>(fields[4], "kernel", 2));
  node.bias = elements<float>(checked<float>(fields[5], "bias", 1));
  const auto in = static_cast<std::size_t>(frequencies.shape(1));
  layer.units = in > 0 ? node.bias.size() / in : 0;
}

void read_parametric(FrozenNode& node, py::handle settings) {
  if (!py::isinstance<py::tuple>(settings) || py::len(settings) != 2)
    refuse("the settings of a parametric activation must be two fields", settings);
  const auto fields = py::reinterpret_borrow<py::tuple>(settings);
  node.activation = activation_from(fields[0]);
  node.table = elements<float>(checked<float>(fields[1], "alpha", 1));
}

void read_settings(FrozenNode& node, py::handle settings) {
  if (node.kind == FrozenNode::Kind::parametric_activation) return read_parametric(node, settings);
  if (node.kind == FrozenNode::Kind::periodic) return read_periodic(node, settings);
  if (node.kind == FrozenNode::Kind::table_input) return read_table_input(node, settings);
  if (node.kind == FrozenNode::Kind::embedding) {
    const py::array given = checked<float>(settings, "table", 2);
    const auto* data = static_cast<const float*>(given.data());
    node.table.assign(data, data + given.size());
    node.columns = static_cast<std::size_t>(given.shape(1));
    return;
  }
  const std::size_t count = node.kind == FrozenNode::Kind::dot ? 4 : 2;
  if (!py::isinstance<py::tuple>(settings) || py::len(settings) != count)
    refuse("the settings of a node must be a tuple of numbers", settings);
  std::vector<std::size_t> numbers;
  for (const py::handle number : py::reinterpret_borrow<py::tuple>(settings))
    numbers.push_back(index_from(number, "a setting of a node"));
  if (node.kind == FrozenNode::Kind::dot) {
    node.dot = {numbers[0], numbers[1] != 0, numbers[2] != 0, numbers[3] != 0};
  } else {
    if (numbers[1] >= std::size(Choices<Encoding>::kNames))
      refuse("the mode of an encoding is unknown", settings, true);
    node.encoding = {numbers[0], static_cast<Encoding>(numbers[1])};
  }
}

FrozenNode node_from(const py::tuple& fields) {
  FrozenNode node;
  const std::string kind = name_from(fields[0], "the kind of a node");
  const auto* const found = std::find(std::begin(kKinds), std::end(kKinds), kind);
  if (found == std::end(kKinds)) refuse("the kind of a node is unknown", fields[0], true);
  node.kind = static_cast<FrozenNode::Kind>(found - std::begin(kKinds));
  if (!is_sequence(fields[1])) refuse("the inputs of a node must be a list", fields[1]);
  for (const py::handle value : py::object(fields[1])) node.inputs.push_back(index_from(value, "a value"));
  node.layers = layers_from(fields[2]);
  const bool has_settings = node.kind >= FrozenNode::Kind::dot;
  if (has_settings != (fields.size() == 4)) throw py::value_error("Predictor: only some kinds of nodes have settings");
  if (has_settings) read_settings(node, fields[3]);
  return node;
}

FrozenNetwork network_from(const py::dict& state) {
  for (const char* key : {"inputs", "nodes", "outputs"})
    if (!state.contains(key)) throw py::value_error(std::string("Predictor: ") + key + " is missing");
  FrozenNetwork out;
  for (const py::tuple& fields : tuples_from(state["inputs"], "inputs", 2))
    out.inputs.push_back(
        {name_from(fields[0], "the name of an input"), index_from(fields[1], "the columns of an input")});
  for (const py::tuple& fields : tuples_from(state["nodes"], "nodes", 3, 4)) out.nodes.push_back(node_from(fields));
  for (const py::tuple& fields : tuples_from(state["outputs"], "outputs", 2))
    out.outputs.push_back({name_from(fields[0], "the name of an output"), index_from(fields[1], "a value")});
  return out;
}

}  // namespace

py::list column_list(const TableColumns& columns) {
  py::list out;
  for (const TableColumn& column : columns.list) {
    py::array_t<double> edges(static_cast<py::ssize_t>(column.edges.size()));
    std::copy(column.edges.begin(), column.edges.end(), edges.mutable_data());
    py::array_t<std::uint32_t> levels(static_cast<py::ssize_t>(column.levels.size()));
    std::copy(column.levels.begin(), column.levels.end(), levels.mutable_data());
    out.append(py::make_tuple(static_cast<std::size_t>(column.kind), column.count, column.centre, column.scale, edges,
                              column.missing, levels));
  }
  return out;
}

TableColumns columns_from(py::handle source) {
  if (!py::isinstance<py::list>(source)) refuse("columns must be a list", source);
  TableColumns out;
  for (const py::handle column : source) out.list.push_back(column_from(column));
  return out;
}

py::object frozen_state(const Predictor& predictor) {
  const FrozenNetwork network = predictor.network();
  if (network.inputs.size() == 1 && network.inputs[0].name.empty() && network.nodes.size() == 1 &&
      network.nodes[0].kind == FrozenNode::Kind::chain)
    return layer_list(network.nodes[0].layers);
  py::list inputs, nodes, outputs;
  for (const NetworkInput& input : network.inputs) inputs.append(py::make_tuple(input.name, input.n_features));
  for (const FrozenNode& node : network.nodes) {
    const char* const kind = kKinds[static_cast<std::size_t>(node.kind)];
    const py::object settings = settings_of(node);
    if (settings.is_none())
      nodes.append(py::make_tuple(kind, node.inputs, layer_list(node.layers)));
    else
      nodes.append(py::make_tuple(kind, node.inputs, layer_list(node.layers), settings));
  }
  for (const NetworkOutput& output : network.outputs) outputs.append(py::make_tuple(output.name, output.value));
  py::dict state;
  state["inputs"] = std::move(inputs);
  state["nodes"] = std::move(nodes);
  state["outputs"] = std::move(outputs);
  return state;
}

std::unique_ptr<const Predictor> predictor_from(py::handle source, MatmulPrecision precision) {
  if (py::isinstance<Network>(source)) {
    const Network& network = source.cast<const Network&>();
    const Unlocked released;
    return std::make_unique<const Predictor>(network, precision);
  }
  if (py::isinstance<py::dict>(source))
    return std::make_unique<const Predictor>(network_from(py::reinterpret_borrow<py::dict>(source)), precision);
  if (!py::isinstance<py::list>(source))
    throw py::type_error("Predictor: network must be a compiled network, got " +
                         std::string(py::str(py::type::of(source).attr("__name__"))) +
                         "; call model.freeze() on a Sequential model");
  return std::make_unique<const Predictor>(layers_from(source), precision);
}

void check_feature_names(py::handle names, const std::vector<NetworkInput>& inputs) {
  const bool several = inputs.size() > 1;
  if (!PyTuple_CheckExact(names.ptr())) refuse("feature_names must be None or a tuple of strings", names);
  const std::size_t count = several ? inputs.size() : inputs[0].n_features;
  if (py::len(names) != count)
    throw py::value_error("Predictor: feature_names must be " + std::to_string(count) + ", one for each " +
                          (several ? "input" : "feature") + ", got " + std::to_string(py::len(names)));
  std::size_t input = 0;
  for (const py::handle name : py::reinterpret_borrow<py::tuple>(names)) {
    if (!several && !PyUnicode_CheckExact(name.ptr())) refuse("feature_names must be strings", name);
    if (several && !name.is_none()) check_feature_names(name, {inputs[input]});
    ++input;
  }
}

}  // namespace fastreg::bindings
