// Checks the structure of a graph, and every layer in the order of the nodes.
#include "core/wiring.h"

#include <stdexcept>
#include <unordered_set>

#include "fastreg/strict_math.h"

namespace fastreg {
namespace {

constexpr std::size_t kNobody = static_cast<std::size_t>(-1);
constexpr std::size_t kMaxParameters = std::size_t{1} << 48;

std::string at(const char* list, std::size_t index) { return std::string(list) + "[" + std::to_string(index) + "]"; }

void enforce(bool good, const std::string& where, const std::string& rule) {
  if (!good) throw std::invalid_argument(where + ": " + rule);
}

const char* name_of(const Layer& layer) {
  return std::visit([](const auto& any) { return any.kName; }, layer);
}

template <class Named>
void check_names(const char* list, const std::vector<Named>& all) {
  std::unordered_set<std::string> names;
  for (std::size_t i = 0; i < all.size(); ++i) {
    enforce(!all[i].name.empty(), at(list, i), "name must not be empty");
    enforce(names.insert(all[i].name).second, at(list, i), "name must be of one only, got " + all[i].name + " again");
  }
}

// Builds the wiring of a graph node by node.
class Wirer {
 public:
  explicit Wirer(const NetworkSpec& spec) : spec_(spec), user_of_layer_(spec.layers.size(), kNobody) {}

  Wiring graph() {
    enforce(spec_.n_features == 0, "n_features", "must be absent where there are nodes");
    for (const auto& [list, size] : {std::pair{"inputs", spec_.inputs.size()}, std::pair{"nodes", spec_.nodes.size()},
                                     std::pair{"outputs", spec_.outputs.size()}})
      enforce(size > 0, list, "there must be at least one, got none");
    check_names("inputs", spec_.inputs);
    check_names("outputs", spec_.outputs);
    out_.n_inputs = spec_.inputs.size();
    for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
      check_width(at("inputs", i), "n_features", spec_.inputs[i].n_features);
      out_.widths.push_back(spec_.inputs[i].n_features);
    }
    for (std::size_t i = 0; i < spec_.nodes.size(); ++i) add(spec_.nodes[i], i);
    for (std::size_t i = 0; i < user_of_layer_.size(); ++i)
      enforce(user_of_layer_[i] != kNobody, at("layers", i), "must be used by a node, got none");
    add_outputs();
    return std::move(out_);
  }

  Wiring chain() {
    check_width("", "n_features", spec_.n_features);
    if (spec_.layers.empty()) throw std::invalid_argument("layers must have at least one layer, got none");
    out_.n_inputs = 1;
    out_.widths.push_back(spec_.n_features);
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) apply({i, {i}}, at("layers", i));
    out_.outputs.push_back(spec_.layers.size());
    return std::move(out_);
  }

 private:
  void add(const Node& node, std::size_t index) {
    const std::string where = at("nodes", index);
    enforce(node.layer < spec_.layers.size(), where,
            "layer must be below " + std::to_string(spec_.layers.size()) + ", got " + std::to_string(node.layer));
    const std::size_t user = user_of_layer_[node.layer];
    if (user == kNobody)
      user_of_layer_[node.layer] = index;
    else
      out_.shared.resize(spec_.layers.size());
    if (user != kNobody) out_.shared[node.layer] = true;
    for (const std::size_t value : node.inputs) {
      enforce(value < out_.widths.size(), where,
              "inputs must be values below the node's own, which is " + std::to_string(out_.widths.size()) + ", got " +
                  std::to_string(value));
      read_.resize(out_.widths.size());
      read_[value] = true;
    }
    apply(node, where + ": " + at("layers", node.layer), user == kNobody ? nullptr : &out_.nodes[user]);
  }

  // first: the node that uses the same layer before, or null.
  void apply(Node node, const std::string& where, const Node* first = nullptr) {
    const Layer& layer = spec_.layers[node.layer];
    const Widths widths = out_.widths_of(node.inputs);
    check_layer(layer, where, widths);
    const bool reads_input = std::visit([](const auto& any) { return requires { any.kReadsInput; }; }, layer);
    if (reads_input && node.inputs[0] >= out_.n_inputs)
      enforce(false, where + " (" + name_of(layer) + ")",
              "must read an input of the network, got the output of a layer");
    if (first != nullptr) {
      const std::vector<WeightSpec> one = layer_weights(layer, out_.widths_of(first->inputs));
      const std::vector<WeightSpec> other = layer_weights(layer, widths);
      for (std::size_t i = 0; i < one.size(); ++i)
        enforce(one[i].shape == other[i].shape, where,
                "must have inputs of the same widths wherever it is used, since its weights are the same");
    } else {
      for (const WeightSpec& weight : layer_weights(layer, widths)) parameters_ += weight.size();
    }
    if (parameters_ > kMaxParameters) {
      enforce(false, where + " (" + name_of(layer) + ")", "the network must not have more than 2^48 parameters");
    }
    out_.widths.push_back(output_width(layer, widths));
    out_.nodes.push_back(std::move(node));
  }

  void add_outputs() {
    read_.resize(out_.widths.size());
    std::unordered_set<std::size_t> given;
    for (std::size_t i = 0; i < spec_.outputs.size(); ++i) {
      const std::size_t value = spec_.outputs[i].value;
      const std::string got = ", got " + std::to_string(value);
      enforce(value >= out_.n_inputs && value < out_.widths.size(), at("outputs", i),
              "value must be a node's, in [" + std::to_string(out_.n_inputs) + ", " +
                  std::to_string(out_.widths.size()) + ")" + got);
      enforce(given.insert(value).second, at("outputs", i), "value must be of one output only" + got + " again");
      out_.outputs.push_back(value);
      read_[value] = true;
    }
    for (std::size_t value = 0; value < read_.size(); ++value) {
      const bool input = value < out_.n_inputs;
      enforce(read_[value], input ? at("inputs", value) : at("nodes", value - out_.n_inputs),
              "a node or an output must read its value, " + std::to_string(value) + ", got none");
    }
  }

  const NetworkSpec& spec_;
  Wiring out_;
  std::vector<std::size_t> user_of_layer_;   // the node that uses each layer
  std::vector<bool> read_;                   // whether something reads each value
  std::size_t parameters_ = 0;
};

}  // namespace

Widths Wiring::widths_of(const std::vector<std::size_t>& values) const {
  Widths out;
  for (const std::size_t value : values) out.push_back(widths[value]);
  return out;
}

namespace {

void check_scheduled(const NetworkSpec& spec) {
  for (std::size_t i = 0; i < spec.scheduled.size(); ++i) {
    const std::size_t layer = spec.scheduled[i];
    if (layer >= spec.layers.size() || (i > 0 && layer <= spec.scheduled[i - 1]))
      throw std::invalid_argument("scheduled must be indices of layers in ascending order, got " +
                                  std::to_string(layer));
    if (!std::visit([](const auto& any) { return requires { any.rate; }; }, spec.layers[layer]))
      throw std::invalid_argument("scheduled must be layers with a rate, got layer " + std::to_string(layer));
  }
}

}  // namespace

Wiring wire(const NetworkSpec& spec) {
  check_scheduled(spec);
  return spec.is_chain() ? Wirer(spec).chain() : Wirer(spec).graph();
}

void validate(const NetworkSpec& spec) { wire(spec); }

}  // namespace fastreg
