// Graphs in double precision, for tests. There are random networks with several inputs and outputs, joins, and values
// that are read several times; their outputs; and the loss of training. The code follows the definitions of the layers,
// computes one value after the other, and shares nothing with the core.
#pragma once
#include <cmath>
#include <map>
#include <stdexcept>
#include <random>
#include <string>
#include <vector>

#include "fastreg/network.h"

namespace fastreg::test {

struct Matrix {
  std::size_t rows = 0, cols = 0;
  std::vector<double> data;
  Matrix() = default;
  Matrix(std::size_t n, std::size_t m) : rows(n), cols(m), data(n * m) {}
  double& at(std::size_t i, std::size_t j) { return data[i * cols + j]; }
  double at(std::size_t i, std::size_t j) const { return data[i * cols + j]; }
};

using Weights = std::map<std::string, std::vector<double>>;   // by their names

inline double apply(ActivationKind kind, double z) {
  switch (kind) {
    case ActivationKind::relu: return z > 0.0 ? z : 0.0;
    case ActivationKind::tanh: return std::tanh(z);
    case ActivationKind::sigmoid: return 1.0 / (1.0 + std::exp(-z));
    case ActivationKind::softplus: return std::log1p(std::exp(-std::abs(z))) + std::max(z, 0.0);
    case ActivationKind::gelu: return 0.5 * z * std::erfc(-z / std::sqrt(2.0));
    default: return z;
  }
}

// One layer of a network; training: batch normalisation takes the statistics of the batch.
struct LayerOracle {
  const Weights& weights;
  std::string prefix;
  std::vector<const Matrix*> inputs;
  bool training;

  const std::vector<double>* find(const char* name) const {
    const auto found = weights.find(prefix + name);
    return found == weights.end() ? nullptr : &found->second;
  }
  Matrix operator()(const Dense& dense) const {
    const Matrix& x = *inputs[0];
    const std::vector<double>&w = *find("kernel"), *b = find("bias");
    Matrix y(x.rows, dense.units);
    for (std::size_t i = 0; i < x.rows; ++i)
      for (std::size_t j = 0; j < dense.units; ++j) {
        double z = b != nullptr ? (*b)[j] : 0.0;
        for (std::size_t k = 0; k < x.cols; ++k) z += x.at(i, k) * w[k * dense.units + j];
        y.at(i, j) = apply(dense.activation.kind, z);
      }
    return y;
  }
  Matrix operator()(const Activation& layer) const {
    Matrix y = *inputs[0];
    for (double& value : y.data) value = apply(layer.activation.kind, value);
    return y;
  }
  Matrix operator()(const BatchNormalization& layer) const {
    const Matrix& x = *inputs[0];
    Matrix y(x.rows, x.cols);
    for (std::size_t j = 0; j < x.cols; ++j) {
      double mean = (*find("moving_mean"))[j], variance = (*find("moving_variance"))[j];
      if (training && layer.trainable) {
        mean = variance = 0.0;
        for (std::size_t i = 0; i < x.rows; ++i) mean += x.at(i, j) / static_cast<double>(x.rows);
        for (std::size_t i = 0; i < x.rows; ++i)
          variance += (x.at(i, j) - mean) * (x.at(i, j) - mean) / static_cast<double>(x.rows);
      }
      const double gamma = layer.scale ? (*find("gamma"))[j] : 1.0, beta = layer.center ? (*find("beta"))[j] : 0.0;
      for (std::size_t i = 0; i < x.rows; ++i)
        y.at(i, j) = gamma * (x.at(i, j) - mean) / std::sqrt(variance + static_cast<double>(layer.epsilon)) + beta;
    }
    return y;
  }
  Matrix operator()(const Dropout&) const { return *inputs[0]; }
  // The graphs of these tests have no other layers; the oracle of Python has all.
  template <class Other>
  Matrix operator()(const Other&) const {
    throw std::logic_error(std::string("the oracle of graphs has no ") + Other::kName);
  }
  Matrix operator()(const Add&) const {
    Matrix y = *inputs[0];
    for (std::size_t k = 1; k < inputs.size(); ++k)
      for (std::size_t e = 0; e < y.data.size(); ++e) y.data[e] += inputs[k]->data[e];
    return y;
  }
  Matrix operator()(const Multiply&) const {
    Matrix y = *inputs[0];
    for (std::size_t k = 1; k < inputs.size(); ++k)
      for (std::size_t e = 0; e < y.data.size(); ++e) y.data[e] *= inputs[k]->data[e];
    return y;
  }
  template <class Merged>
  Matrix merged(Merged merge) const {
    Matrix y = *inputs[0];
    for (std::size_t k = 1; k < inputs.size(); ++k)
      for (std::size_t e = 0; e < y.data.size(); ++e) y.data[e] = merge(y.data[e], inputs[k]->data[e]);
    return y;
  }
  Matrix operator()(const Subtract&) const {
    return merged([](double a, double b) { return a - b; });
  }
  Matrix operator()(const Average&) const {
    Matrix y = (*this)(Add{});
    for (double& value : y.data) value /= static_cast<double>(inputs.size());
    return y;
  }
  Matrix operator()(const Maximum&) const {
    return merged([](double a, double b) { return std::max(a, b); });
  }
  Matrix operator()(const Minimum&) const {
    return merged([](double a, double b) { return std::min(a, b); });
  }
  // The first values of the two inputs in each row, one vector of `length` each.
  Matrix operator()(const Dot& dot) const {
    Matrix y(inputs[0]->rows, 1);
    for (std::size_t i = 0; i < y.rows; ++i)
      for (std::size_t t = 0; t < dot.length; ++t) y.at(i, 0) += inputs[0]->at(i, t) * inputs[1]->at(i, t);
    return y;
  }
  Matrix operator()(const Embedding& layer) const {
    const Matrix& x = *inputs[0];
    Matrix y(x.rows, x.cols * layer.output_dim);
    for (std::size_t i = 0; i < y.rows; ++i)
      for (std::size_t j = 0; j < y.cols; ++j) {
        const auto index = static_cast<std::size_t>(x.at(i, j / layer.output_dim));
        y.at(i, j) = (*find("embeddings"))[index * layer.output_dim + j % layer.output_dim];
      }
    return y;
  }
  Matrix operator()(const CategoryEncoding& layer) const {
    const Matrix& x = *inputs[0];
    Matrix y(x.rows, layer.num_tokens);
    for (std::size_t i = 0; i < y.rows; ++i)
      for (std::size_t j = 0; j < x.cols; ++j) y.at(i, static_cast<std::size_t>(x.at(i, j))) += 1.0;
    return y;
  }
  Matrix operator()(const Rescaling& layer) const {
    Matrix y = *inputs[0];
    for (double& value : y.data)
      value = value * static_cast<double>(layer.scale) + static_cast<double>(layer.offset);
    return y;
  }
  Matrix operator()(const Normalization&) const {
    Matrix y = *inputs[0];
    for (std::size_t i = 0; i < y.rows; ++i)
      for (std::size_t j = 0; j < y.cols; ++j)
        y.at(i, j) = (y.at(i, j) - (*find("mean"))[j]) / std::sqrt((*find("variance"))[j]);
    return y;
  }
  Matrix operator()(const Concatenate&) const {
    std::size_t cols = 0;
    for (const Matrix* x : inputs) cols += x->cols;
    Matrix y(inputs[0]->rows, cols);
    for (std::size_t i = 0; i < y.rows; ++i) {
      std::size_t to = 0;
      for (const Matrix* x : inputs)
        for (std::size_t j = 0; j < x->cols; ++j) y.at(i, to++) = x->at(i, j);
    }
    return y;
  }
};

// The outputs of a graph.
inline std::vector<Matrix> outputs_of(const NetworkSpec& spec, const Weights& weights, const std::vector<Matrix>& x,
                                      bool training) {
  std::vector<Matrix> values = x;
  values.reserve(x.size() + spec.nodes.size());
  for (const Node& node : spec.nodes) {
    LayerOracle layer{weights, "layers." + std::to_string(node.layer) + ".", {}, training};
    for (const std::size_t value : node.inputs) layer.inputs.push_back(&values[value]);
    values.push_back(std::visit(layer, spec.layers[node.layer]));
  }
  std::vector<Matrix> out;
  for (const NetworkOutput& output : spec.outputs) out.push_back(values[output.value]);
  return out;
}

// The weighted sum of the mean squared errors of the outputs.
inline double squared_loss(const std::vector<Matrix>& outputs, const std::vector<Matrix>& targets,
                           const std::vector<float>& loss_weights) {
  double total = 0.0;
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    double sum = 0.0;
    for (std::size_t e = 0; e < outputs[k].data.size(); ++e)
      sum += (outputs[k].data[e] - targets[k].data[e]) * (outputs[k].data[e] - targets[k].data[e]);
    total += static_cast<double>(loss_weights[k]) * sum / static_cast<double>(outputs[k].data.size());
  }
  return total;
}

// A random graph. Values are read by any number of nodes; those that nobody reads are the outputs.
class GraphMaker {
 public:
  // smooth: without kinks and dropout, so that finite differences hold.
  GraphMaker(unsigned seed, bool smooth) : generator_(seed), smooth_(smooth) {}

  NetworkSpec make(std::size_t n_inputs, std::size_t n_nodes) {
    for (std::size_t i = 0; i < n_inputs; ++i) {
      const std::size_t width = 1 + pick(20);
      spec_.inputs.push_back({"x" + std::to_string(i), width});
      widths_.push_back(width);
    }
    read_.resize(n_inputs);
    for (std::size_t i = 0; i < n_inputs; ++i) add(dense(1 + pick(20)), {i});   // every input is read
    while (spec_.nodes.size() < n_nodes) add_any();
    for (std::size_t value = n_inputs; value < widths_.size(); ++value)
      if (!read_[value]) spec_.outputs.push_back({"y" + std::to_string(spec_.outputs.size()), value});
    spec_.seed = 5;
    return spec_;
  }

 private:
  std::size_t pick(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(generator_); }
  std::size_t any_value() { return pick(widths_.size()); }

  Dense dense(std::size_t units) {
    constexpr ActivationKind kSmooth[] = {ActivationKind::linear, ActivationKind::tanh, ActivationKind::sigmoid,
                                          ActivationKind::gelu, ActivationKind::softplus};
    Dense out;
    out.units = units;
    out.activation = !smooth_ && pick(2) == 0 ? ActivationKind::relu : kSmooth[pick(5)];
    out.use_bias = pick(4) != 0;
    out.trainable = pick(6) != 0;
    return out;
  }

  void add(const Layer& layer, const std::vector<std::size_t>& inputs) {
    std::size_t width = 0;
    for (const std::size_t value : inputs) {
      read_[value] = true;
      width += widths_[value];
    }
    if (const auto* own = std::get_if<Dense>(&layer)) width = own->units;
    else if (!std::holds_alternative<Concatenate>(layer)) width = widths_[inputs[0]];
    spec_.nodes.push_back({spec_.layers.size(), inputs});
    spec_.layers.push_back(layer);
    widths_.push_back(width);
    read_.push_back(false);
  }

  void add_any() {
    const std::size_t value = any_value();
    switch (pick(smooth_ ? 8 : 9)) {
      case 0: return add(Activation{ActivationKind::tanh}, {value});
      case 1: {
        BatchNormalization norm;
        norm.trainable = pick(3) != 0;
        norm.scale = pick(3) != 0;
        return add(norm, {value});
      }
      case 2: return add(Concatenate{}, {value, any_value(), value});
      case 3:
      case 4: return join<Add>(value);
      case 5: return join<Multiply>(value);
      case 8: return add(Dropout{0.3f}, {value});
      default: return add(dense(1 + pick(20)), {value});
    }
  }

  // A residual block: some layers from a value to its own width, joined with it, perhaps more than once.
  template <class Join>
  void join(std::size_t value) {
    add(dense(widths_[value]), {value});
    std::vector<std::size_t> inputs{value, widths_.size() - 1};
    if (pick(2) == 0) inputs.push_back(value);
    add(Join{}, inputs);
  }

  std::mt19937 generator_;
  bool smooth_;
  NetworkSpec spec_;
  std::vector<std::size_t> widths_;
  std::vector<bool> read_;
};

}  // namespace fastreg::test
