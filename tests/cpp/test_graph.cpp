// Networks that are graphs: values against sums in double precision, gradients against finite differences, the same
// bits for every number of threads, frozen graphs, training with several inputs and outputs, and descriptions of no
// network.
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>

#include "check.h"
#include "fastreg/predictor.h"
#include "fastreg/runtime.h"
#include "fastreg/trainer.h"
#include "graph_oracle.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

constexpr double kUlp = 0x1p-24;

// Random rows for all inputs and outputs of a network.
struct Problem {
  std::size_t n;
  std::vector<std::vector<float>> x, y;
  std::vector<std::size_t> in, out;

  Problem(const NetworkSpec& spec, std::size_t rows) : n(rows) {
    const std::vector<std::size_t> widths = widths_of(spec);
    for (std::size_t i = 0; i < spec.inputs.size(); ++i) in.push_back(widths[i]);
    for (const NetworkOutput& output : spec.outputs) out.push_back(widths[output.value]);
    std::uint32_t state = 77;
    const auto fill = [&](std::size_t cols) {
      std::vector<float> values(rows * cols);
      for (float& value : values) {
        state = state * 1664525u + 1013904223u;
        value = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
      }
      return values;
    };
    for (const std::size_t cols : in) x.push_back(fill(cols));
    for (const std::size_t cols : out) y.push_back(fill(cols));
  }
  Dataset data() const {
    Dataset set;
    for (std::size_t i = 0; i < x.size(); ++i) set.inputs.push_back({x[i].data(), n, in[i], in[i]});
    for (std::size_t i = 0; i < y.size(); ++i) set.targets.push_back({{y[i].data(), n, out[i], out[i]}, {}, {}});
    return set;
  }
  static std::vector<Matrix> doubles(const std::vector<std::vector<float>>& from,
                                     const std::vector<std::size_t>& cols) {
    std::vector<Matrix> all;
    for (std::size_t i = 0; i < from.size(); ++i) {
      Matrix one(from[i].size() / cols[i], cols[i]);
      one.data.assign(from[i].begin(), from[i].end());
      all.push_back(std::move(one));
    }
    return all;
  }
};

// Arrays for outputs, with NaN where nothing was written.
struct Outputs {
  std::vector<std::vector<float>> data;
  std::vector<MatrixView<float>> views;
  Outputs(std::size_t n, const std::vector<std::size_t>& cols) {
    for (const std::size_t width : cols) data.emplace_back(n * width, __builtin_nanf(""));
    for (std::size_t i = 0; i < cols.size(); ++i) views.push_back({data[i].data(), n, cols[i], cols[i]});
  }
};

Weights weights_of_network(const Network& network) {
  Weights out;
  for (std::size_t i = 0; i < network.weights().size(); ++i) {
    std::vector<float> values(network.weights()[i].size());
    network.get_weight(i, values.data());
    out[network.weights()[i].name].assign(values.begin(), values.end());
  }
  return out;
}

// Moving statistics and biases that are not 0 and 1.
void disturb(Network& network) {
  for (std::size_t i = 0; i < network.weights().size(); ++i) {
    std::vector<float> values(network.weights()[i].size());
    network.get_weight(i, values.data());
    for (std::size_t e = 0; e < values.size(); ++e) values[e] += 0.05f * static_cast<float>(e % 3);
    network.set_weight(i, values.data());
  }
}

TrainingSpec squared_errors(const NetworkSpec& spec, const Optimizer& optimizer) {
  TrainingSpec out;
  out.optimizer = optimizer;
  for (std::size_t i = 0; i < spec.outputs.size(); ++i)
    out.outputs.push_back({losses::MeanSquaredError{}, {}, 1.0f / static_cast<float>(i + 1)});
  return out;
}

std::vector<float> loss_weights(const TrainingSpec& spec) {
  std::vector<float> out;
  for (const OutputTraining& output : spec.outputs) out.push_back(output.weight);
  return out;
}

// Outputs of a network and of its frozen form, all rows and one at a time.
void test_values(const NetworkSpec& spec) {
  Network network(spec);
  disturb(network);
  const Problem problem(spec, 300);
  const std::vector<Matrix> want =
      outputs_of(spec, weights_of_network(network), Problem::doubles(problem.x, problem.in), false);
  const Predictor predictor(network);
  const Predictor again(predictor.network());
  Outputs plain(problem.n, problem.out), frozen(problem.n, problem.out), thawed(problem.n, problem.out);
  const Dataset data = problem.data();
  std::vector<MatrixView<const float>> x;
  for (std::size_t i = 0; i < problem.x.size(); ++i)
    x.push_back({problem.x[i].data(), problem.n, problem.in[i], problem.in[i]});
  network.predict({data.inputs.data(), data.inputs.size()}, {plain.views.data(), plain.views.size()});
  predictor.predict({x.data(), x.size()}, {frozen.views.data(), frozen.views.size()});
  again.predict({x.data(), x.size()}, {thawed.views.data(), thawed.views.size()});
  for (std::size_t k = 0; k < want.size(); ++k) {
    double largest = 1.0;
    for (const double value : want[k].data) largest = std::max(largest, std::abs(value));
    // Rounding grows with every layer; 2^12 halves of a unit cover a dozen of them.
    const double tolerance = 4096.0 * kUlp * largest;
    for (std::size_t e = 0; e < want[k].data.size(); ++e) {
      CHECK(std::abs(static_cast<double>(plain.data[k][e]) - want[k].data[e]) <= tolerance);
      CHECK(std::abs(static_cast<double>(frozen.data[k][e]) - want[k].data[e]) <= tolerance);
    }
    CHECK(thawed.data[k] == frozen.data[k]);
  }
  for (const std::size_t row : {0, 7, 299}) {   // no row depends on another one
    Outputs one(1, problem.out), one_plain(1, problem.out);
    std::vector<MatrixView<const float>> single;
    std::vector<Features> features;
    for (std::size_t i = 0; i < x.size(); ++i) {
      single.push_back({x[i].data + row * problem.in[i], 1, problem.in[i], problem.in[i]});
      features.push_back(single.back());
    }
    predictor.predict({single.data(), single.size()}, {one.views.data(), one.views.size()});
    network.predict({features.data(), features.size()}, {one_plain.views.data(), one_plain.views.size()});
    for (std::size_t k = 0; k < want.size(); ++k) {
      const std::size_t bytes = problem.out[k] * sizeof(float);
      CHECK(std::memcmp(one.data[k].data(), frozen.data[k].data() + row * problem.out[k], bytes) == 0);
      CHECK(std::memcmp(one_plain.data[k].data(), plain.data[k].data() + row * problem.out[k], bytes) == 0);
    }
  }
}

// One step of gradient descent moves every trainable weight by the derivative of the loss, and no other weight.
void test_gradients(const NetworkSpec& spec) {
  Network network(spec);
  disturb(network);
  const Problem problem(spec, 24);
  const TrainingSpec training = squared_errors(spec, SGD{1.0f});
  const std::vector<float> factors = loss_weights(training);
  const std::vector<Matrix> x = Problem::doubles(problem.x, problem.in), y = Problem::doubles(problem.y, problem.out);
  Weights weights = weights_of_network(network);
  bool trains = false;
  for (const WeightInfo& info : network.weights()) trains = trains || info.trainable;
  if (!trains) return;
  Trainer trainer(network, training);
  FitOptions options;
  options.batch_size = 0;
  FitResult result;
  trainer.fit(problem.data(), nullptr, options, nullptr, result);
  CHECK(result.reason == StopReason::completed);
  const Weights after = weights_of_network(network);
  const auto loss = [&] { return squared_loss(outputs_of(spec, weights, x, true), y, factors); };
  const double start = loss();
  CHECK(std::abs(result.logs.at(0).at(0) - start) <= 1e-4 * std::max(1.0, start));
  for (const WeightInfo& info : network.weights()) {
    check::context = info.name;
    std::vector<double>& values = weights[info.name];
    if (!info.trainable) {
      if (info.name.find("moving") == std::string::npos) CHECK(after.at(info.name) == values);
      continue;
    }
    const std::size_t stride = values.size() / 8 + 1;
    for (std::size_t e = 0; e < values.size(); e += stride) {
      const double value = values[e], h = 1e-5;
      values[e] = value + h;
      const double up = loss();
      values[e] = value - h;
      const double slope = (up - loss()) / (2.0 * h);
      values[e] = value;
      const double got = value - after.at(info.name)[e];
      CHECK(std::abs(got - slope) <= 4096.0 * kUlp * (std::abs(slope) + std::abs(value) + 1.0));
    }
  }
}

std::vector<float> trained(const NetworkSpec& spec, int threads, std::vector<std::vector<double>>& logs) {
  set_num_threads(threads);
  const Problem problem(spec, 90);
  Network network(spec);
  Trainer trainer(network, squared_errors(spec, Adam{1e-3f}));
  trainer.set_parallel_threshold(0.0);
  FitOptions options;
  options.epochs = 3;
  FitResult result;
  const Dataset data = problem.data();
  trainer.fit(data, &data, options, nullptr, result);
  set_num_threads(1);
  logs = result.logs;
  const std::vector<double> score = trainer.evaluate(data);
  CHECK(score.size() == trainer.log_count());
  if (result.reason == StopReason::completed)
    CHECK(std::equal(score.begin(), score.end(), logs.back().begin() + static_cast<std::ptrdiff_t>(score.size())));
  std::vector<float> out;
  for (std::size_t i = 0; i < network.weights().size(); ++i) {
    std::vector<float> one(network.weights()[i].size());
    network.get_weight(i, one.data());
    out.insert(out.end(), one.begin(), one.end());
  }
  return out;
}

void test_threads(const NetworkSpec& spec) {
  std::vector<std::vector<double>> logs, others;
  const std::vector<float> one = trained(spec, 1, logs);
  const std::size_t outputs = spec.outputs.size();
  for (const std::vector<double>& epoch : logs) {
    CHECK(epoch.size() == 2 * (outputs == 1 ? 1 : 1 + outputs));
    double sum = outputs == 1 ? epoch[0] : 0.0;
    for (std::size_t k = 0; outputs > 1 && k < outputs; ++k) sum += epoch[1 + k] * (1.0f / static_cast<float>(k + 1));
    CHECK(std::abs(sum - epoch[0]) <= 1e-12 * std::abs(sum));
  }
  for (const int threads : {2, 3}) {
    const std::vector<float> several = trained(spec, threads, others);
    CHECK(std::memcmp(one.data(), several.data(), one.size() * sizeof(float)) == 0);
    CHECK(logs == others);
  }
}

bool trains(const NetworkSpec& spec) {
  for (const WeightInfo& info : weights_of(spec))
    if (info.trainable) return true;
  return false;
}

void test_random_graphs() {
  for (unsigned seed = 0; seed < 60; ++seed) {
    for (const bool smooth : {true, false}) {
      const NetworkSpec spec = GraphMaker(seed, smooth).make(1 + seed % 3, 4 + seed % 13);
      const std::string name = "graph " + std::to_string(seed);
      check::context = name;
      test_values(spec);
      if (!trains(spec)) continue;
      if (smooth) test_gradients(spec);
      check::context = name;
      if (!smooth) test_threads(spec);
    }
  }
}

// Two inputs, a value read three times, a head that is read too, labels on one output.
NetworkSpec two_headed() {
  Dense a, b, probability, classes;
  a.units = b.units = 6;
  a.activation = ActivationKind::tanh;
  probability.activation = ActivationKind::sigmoid;
  classes.units = 3;
  classes.activation = ActivationKind::softmax;
  NetworkSpec spec;
  spec.seed = 3;
  spec.inputs = {{"a", 4}, {"b", 5}};
  spec.layers = {a, b, Add{}, Multiply{}, Concatenate{}, probability, Concatenate{}, classes};
  spec.nodes = {{0, {0}}, {1, {1}}, {2, {2, 3}}, {3, {2, 4}}, {4, {2, 5}}, {5, {6}}, {6, {6, 7}}, {7, {8}}};
  spec.outputs = {{"probability", 7}, {"class", 9}};
  return spec;
}

void test_losses_of_several_kinds() {
  const NetworkSpec spec = two_headed();
  const std::size_t n = 200;
  Problem problem(spec, n);
  std::vector<std::int32_t> labels(n);
  for (std::size_t i = 0; i < n; ++i) {
    const float score = problem.x[0][4 * i] + problem.x[1][5 * i];
    problem.y[0][i] = score > 0.0f ? 1.0f : 0.0f;
    labels[i] = score > 0.5f ? 2 : score > -0.5f ? 1 : 0;
  }
  Dataset data = problem.data();
  data.targets[1] = {{}, {labels.data(), n}, {}};
  TrainingSpec training;
  training.optimizer = Adam{0.02f};
  training.outputs = {{losses::BinaryCrossentropy{}, {metrics::BinaryAccuracy{}}, 1.0f},
                      {losses::SparseCategoricalCrossentropy{}, {metrics::SparseCategoricalAccuracy{}}, 0.5f}};
  Network network(spec);
  Trainer trainer(network, training);
  CHECK(trainer.log_count() == 5);
  FitOptions options;
  options.epochs = 60;
  EarlyStopping stopping;
  stopping.monitor = 5 + 2;   // the loss of the second output in validation
  stopping.patience = 60;
  options.early_stopping = {stopping};
  FitResult result;
  trainer.fit(data, &data, options, nullptr, result);
  CHECK(result.logs.back()[3] > 0.9 && result.logs.back()[4] > 0.85);
  const std::vector<double> score = trainer.evaluate(data);
  CHECK(score[2] == result.early_stopping.at(0).best);
  Dataset without = data;
  without.targets.pop_back();
  CHECK_THROWS(trainer.evaluate(without), std::invalid_argument);
  without = data;
  without.inputs.pop_back();
  CHECK_THROWS(trainer.evaluate(without), std::invalid_argument);
  training.outputs.pop_back();
  CHECK_THROWS(Trainer(network, training), std::invalid_argument);
}

// A loss from logits leaves the outputs that the backward pass reads as they are.
void test_logits_are_kept_for_the_backward_pass() {
  Dense bent;
  bent.activation = ActivationKind::tanh;
  NetworkSpec spec;
  spec.n_features = 3;
  spec.layers = {bent, Activation{ActivationKind::sigmoid}};
  Problem problem(NetworkSpec{0, 0, {bent}, {{"x", 3}}, {{0, {0}}}, {{"y", 1}}}, 16);
  for (float& y : problem.y[0]) y = y > 0.0f ? 1.0f : 0.0f;
  Network network(spec);
  const Weights before = weights_of_network(network);
  Trainer trainer(network, {losses::BinaryCrossentropy{}, SGD{1.0f}, {}});
  FitOptions options;
  options.batch_size = 0;
  FitResult result;
  trainer.fit(problem.data(), nullptr, options, nullptr, result);
  const Weights after = weights_of_network(network);
  for (std::size_t k = 0; k < 3; ++k) {
    double slope = 0.0;   // d loss / dz = sigmoid(tanh z) - y, times 1 - tanh^2
    for (std::size_t i = 0; i < 16; ++i) {
      double z = before.at("layers.0.bias")[0];
      for (std::size_t j = 0; j < 3; ++j)
        z += before.at("layers.0.kernel")[j] * static_cast<double>(problem.x[0][3 * i + j]);
      const double t = std::tanh(z);
      const double error = 1.0 / (1.0 + std::exp(-t)) - static_cast<double>(problem.y[0][i]);
      slope += error * (1.0 - t * t) * static_cast<double>(problem.x[0][3 * i + k]) / 16.0;
    }
    CHECK(std::abs(before.at("layers.0.kernel")[k] - after.at("layers.0.kernel")[k] - slope) <= 64.0 * kUlp);
  }
}

void refused(const char* what, const std::function<void(NetworkSpec&)>& spoil) {
  NetworkSpec spec = two_headed();
  spoil(spec);
  check::context = what;
  try {
    const Network network(spec);
    CHECK(!"must be refused");
  } catch (const std::invalid_argument& error) {
    check::context = std::string(what) + " in: " + error.what();
    CHECK(std::string(error.what()).find(what) != std::string::npos);
  }
}

void test_hostile_graphs() {
  refused("nodes[2]: inputs must be values below the node's own, which is 4, got 9",
          [](NetworkSpec& spec) { spec.nodes[2].inputs = {2, 9}; });
  refused("nodes[2]: inputs must be values below", [](NetworkSpec& spec) { spec.nodes[2].inputs = {2, 4}; });
  refused("nodes[0]: layer must be below 8, got 8", [](NetworkSpec& spec) { spec.nodes[0].layer = 8; });
  refused("layers[1]: must be used by a node", [](NetworkSpec& spec) { spec.nodes[1] = {0, {0}}; });
  refused("layers[8]: must be used by a node", [](NetworkSpec& spec) { spec.layers.push_back(Dense{}); });
  refused("nodes[2]: layers[2] (Add): must have at least 2 inputs, got 1",
          [](NetworkSpec& spec) { spec.nodes[2].inputs = {2}; });
  refused("nodes[0]: layers[0] (Dense): must have 1 input, got 2",
          [](NetworkSpec& spec) { spec.nodes[0].inputs = {0, 1}; });
  refused("nodes[0]: layers[0] (Dense): must have 1 input, got 0",
          [](NetworkSpec& spec) { spec.nodes[0].inputs = {}; });
  refused("nodes[2]: layers[2] (Add): inputs must have equally many columns, or one, got 6 and 5",
          [](NetworkSpec& spec) { spec.nodes[2].inputs = {2, 1}; });
  refused("nodes[1]: a node or an output must read its value, 3, got none",
          [](NetworkSpec& spec) { spec.nodes[2].inputs = {2, 2}; });
  refused("inputs[1]: a node or an output must read its value, 1, got none", [](NetworkSpec& spec) {
    std::get<Dense>(spec.layers[1]).units = 6;
    spec.nodes[1].inputs = {0};
  });
  refused("outputs[0]: value must be a node's, in [2, 10), got 1",
          [](NetworkSpec& spec) { spec.outputs[0].value = 1; });
  refused("outputs[0]: value must be a node's, in [2, 10), got 10",
          [](NetworkSpec& spec) { spec.outputs[0].value = 10; });
  refused("outputs[1]: value must be of one output only, got 7 again",
          [](NetworkSpec& spec) { spec.outputs[1].value = 7; });
  refused("outputs[1]: name must be of one only, got probability again",
          [](NetworkSpec& spec) { spec.outputs[1].name = "probability"; });
  refused("inputs[0]: name must not be empty", [](NetworkSpec& spec) { spec.inputs[0].name.clear(); });
  refused("inputs[0]: n_features must be in [1, 2^31), got 0",
          [](NetworkSpec& spec) { spec.inputs[0].n_features = 0; });
  refused("outputs: there must be at least one", [](NetworkSpec& spec) { spec.outputs.clear(); });
  refused("nodes: there must be at least one", [](NetworkSpec& spec) { spec.nodes.clear(); });
  refused("inputs: there must be at least one", [](NetworkSpec& spec) { spec.inputs.clear(); });
  refused("n_features: must be absent where there are nodes", [](NetworkSpec& spec) { spec.n_features = 4; });
  refused("the columns of all inputs together must be in [1, 2^31)", [](NetworkSpec& spec) {
    std::get<Dense>(spec.layers[0]).units = std::get<Dense>(spec.layers[1]).units = 0x7FFFFFFF;
  });
}

// What the JSON of a graph and of a training with several outputs says.
void test_descriptions() {
  const std::string text =
      R"({"format":2,"seed":7,"inputs":[{"name":"a","n_features":4},{"name":"b","n_features":3}],)"
      R"("layers":[{"type":"Dense","units":3,"trainable":false},{"type":"Concatenate"},{"type":"Dense","units":1}],)"
      R"("nodes":[{"layer":0,"inputs":[0]},{"layer":1,"inputs":[2,1,2]},{"layer":2,"inputs":[3]}],)"
      R"("outputs":[{"name":"y","value":4}]})";
  const NetworkSpec spec = parse_network(text);
  CHECK(spec.seed == 7 && spec.inputs.at(1).name == "b" && spec.inputs[1].n_features == 3 && spec.layers.size() == 3);
  CHECK((spec.nodes.at(1).layer == 1 && spec.nodes[1].inputs == std::vector<std::size_t>{2, 1, 2}));
  CHECK(spec.outputs.at(0).name == "y" && spec.outputs[0].value == 4);
  CHECK((widths_of(spec) == std::vector<std::size_t>{4, 3, 3, 9, 1}));
  const std::vector<WeightInfo> weights = weights_of(spec);
  CHECK(weights.size() == 4 && weights[0].name == "layers.0.kernel" && !weights[0].trainable && !weights[1].trainable);
  CHECK(weights[2].name == "layers.2.kernel" && weights[2].trainable && weights[2].rows == 9);
  for (const char* bad : {R"({"format":2,"layers":[],"nodes":[],"outputs":[]})",
                          R"({"format":2,"inputs":[],"layers":[],"nodes":[],"outputs":[]})",
                          R"({"format":2,"inputs":[{"name":"x","n_features":1}],"layers":[{"type":"Dropout"}],)"
                          R"("nodes":[{"layer":0,"inputs":[-1]}],"outputs":[{"name":"y","value":1}]})"})
    CHECK_THROWS(parse_network(bad), std::invalid_argument);
  const std::string losses = R"({"format":2,"optimizer":{"type":"SGD"},"loss":[{"type":"MeanSquaredError"},)"
                             R"({"type":"BinaryCrossentropy"}])";
  const TrainingSpec training =
      parse_training(losses + R"(,"loss_weights":[1,0.5],"metrics":[[],[{"type":"BinaryAccuracy"}]]})");
  CHECK(training.outputs.size() == 2 && training.outputs[0].weight == 1.0f && training.outputs[1].weight == 0.5f);
  CHECK(training.outputs[0].metrics.empty() && training.outputs[1].metrics.size() == 1);
  CHECK(parse_training(losses + "}").outputs[1].weight == 1.0f);
  for (const char* bad : {R"(,"loss_weights":[1]})", R"(,"loss_weights":[1,-1]})", R"(,"loss_weights":[1,"1"]})",
                          R"(,"metrics":[[]]})", R"(,"metrics":[{"type":"BinaryAccuracy"},[]]})"})
    CHECK_THROWS(parse_training(losses + bad), std::invalid_argument);
}

// What layers say without a network.
void test_layer_info() {
  Dense dense;
  dense.units = 5;
  dense.trainable = false;
  CHECK(width_of(dense, {3}) == 5 && width_of(Add{}, {4, 4, 4}) == 4 && width_of(Concatenate{}, {4, 2}) == 6);
  const std::vector<WeightInfo> weights = weights_of(Layer(dense), {3});
  CHECK(weights.size() == 2 && weights[0].name == "layers.0.kernel" && weights[0].rows == 3 && !weights[1].trainable);
  CHECK(weights_of(Layer(BatchNormalization{}), {3}).size() == 4 && weights_of(Layer(Multiply{}), {3, 3}).empty());
  CHECK_THROWS(width_of(Add{}, {4, 5}), std::invalid_argument);
  CHECK_THROWS(width_of(Add{}, {4}), std::invalid_argument);
  CHECK_THROWS(width_of(dense, {0}), std::invalid_argument);
  CHECK_THROWS(weights_of(Layer(dense), {3, 3}), std::invalid_argument);
}

}  // namespace

int main() {
  test_descriptions();
  test_layer_info();
  test_random_graphs();
  test_losses_of_several_kinds();
  test_logits_are_kept_for_the_backward_pass();
  test_hostile_graphs();
  return report("graph");
}
