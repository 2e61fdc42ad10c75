// What programs that embed the library may get wrong is an error that names the argument, the rule and the value, and
// nothing is read or written beyond their memory. A fit without an observer lets other threads use its network.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "fastreg/model_file.h"
#include "fastreg/ops.h"
#include "fastreg/predictor.h"
#include "fastreg/runtime.h"
#include "fastreg/table_predictor.h"
#include "fastreg/trainer.h"
#include "texts.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Evaluates an expression that must throw an Error with this message.
#define CHECK_REFUSED(Error, expression, message) \
  CHECK_EQUAL(message_of<Error>([&] { (void)(expression); }), (message))

NetworkSpec chain() { return {3, 1, {Dense{4, ActivationKind::relu}, BatchNormalization{}, Dense{2}}}; }

NetworkSpec graph() {
  return {0, 1, {Dense{4, ActivationKind::relu}, Dense{4}, Add{}}, {{"x", 3}}, {{0, {0}}, {1, {1}}, {2, {1, 2}}},
          {{"y", 3}}};
}

// Rows of bytes and doubles that are the same numbers as rows of floats.
struct Rows {
  std::size_t rows, cols;
  std::vector<float> floats;
  std::vector<double> doubles;
  std::vector<std::uint8_t> bytes;
  Rows(std::size_t n, std::size_t columns) : rows(n), cols(columns), floats(n * columns) {
    for (std::size_t i = 0; i < floats.size(); ++i) floats[i] = static_cast<float>(i * 7 % 5);
    doubles.assign(floats.begin(), floats.end());
    for (const float value : floats) bytes.push_back(static_cast<std::uint8_t>(value));
  }
  Features wide() const { return {doubles.data(), rows, cols, cols}; }
  Features narrow() const { return {bytes.data(), rows, cols, cols}; }
};

void test_rows_of_other_types(const NetworkSpec& spec) {
  const Predictor predictor{Network(spec)};
  const std::size_t cols = predictor.n_outputs();
  for (const std::size_t n : {1, 5, 300}) {
    const Rows x(n, 3);
    std::vector<float> wanted(n * cols), y(n * cols + 1, 7.0f);
    predictor.predict({x.floats.data(), n, 3, 3}, {wanted.data(), n, cols, cols});
    for (const Features& features : {x.wide(), x.narrow()}) {
      CHECK(predictor.predict_features(features, {y.data(), n, cols, cols}));
      CHECK(std::equal(wanted.begin(), wanted.end(), y.begin()) && y.back() == 7.0f);
    }
  }
}

void test_shapes_of_other_types(const NetworkSpec& spec) {
  const Predictor predictor{Network(spec)};
  const std::size_t cols = predictor.n_outputs();
  const std::string two = std::to_string(cols), none = ", got (0, " + two + ")";
  const Rows x(100, 3);
  std::vector<float> y(100 * cols, 7.0f);
  const auto out = [&](std::size_t rows) { return MatrixView<float>{y.data(), rows, cols, cols}; };
  for (const Features& features : {x.wide(), x.narrow()}) {
    CHECK_REFUSED(std::invalid_argument, predictor.predict_features(features, out(4)),
                  "out must have shape (100, " + two + "), got (4, " + two + ")");
    Features wrong = features;
    wrong.rows = 2;
    CHECK_REFUSED(std::invalid_argument, predictor.predict_features(wrong, out(100)),
                  "out must have shape (2, " + two + "), got (100, " + two + ")");
    wrong.rows = std::size_t{1} << 40;
    CHECK_REFUSED(std::invalid_argument, predictor.predict_features(wrong, out(0)),
                  "out must have shape (1099511627776, " + two + ")" + none);
    for (const std::size_t columns : {std::size_t{0}, std::size_t{5}, std::size_t{1} << 60}) {
      for (const std::size_t rows : {0, 4}) {
        wrong.rows = rows;
        wrong.cols = columns;
        CHECK_REFUSED(std::invalid_argument, predictor.predict_features(wrong, out(rows)),
                      "x must have 3 columns, got " + std::to_string(columns));
      }
    }
    wrong = features;
    wrong.data = nullptr;
    CHECK_REFUSED(std::invalid_argument, predictor.predict_features(wrong, out(100)), "x must not be null");
    wrong.rows = 0;
    CHECK(predictor.predict_features(wrong, out(0)));
  }
  CHECK(std::all_of(y.begin(), y.end(), [](float value) { return value == 7.0f; }));
}

void test_null_views() {
  Network network(chain());
  std::vector<float> memory(100);
  float* const given = memory.data();
  for (const NetworkSpec& spec : {chain(), graph()}) {
    const Predictor predictor{Network(spec)};
    const std::size_t cols = predictor.n_outputs();
    CHECK_REFUSED(std::invalid_argument, predictor.predict({nullptr, 4, 3, 3}, {given, 4, cols, cols}),
                  "x must not be null");
    CHECK_REFUSED(std::invalid_argument, predictor.predict({given, 4, 3, 3}, {nullptr, 4, cols, cols}),
                  "out must not be null");
    predictor.predict({nullptr, 0, 3, 3}, {nullptr, 0, cols, cols});
  }
  const Features nothing(static_cast<const float*>(nullptr), 4, 3, 3), x(given, 4, 3, 3);
  CHECK_REFUSED(std::invalid_argument, network.predict(nothing, {given, 4, 2, 2}), "x must not be null");
  CHECK_REFUSED(std::invalid_argument, network.predict(x, {nullptr, 4, 2, 2}), "out must not be null");
  TableEncoding encoding;
  encoding.columns.list.resize(3);
  const TablePredictor table(std::make_shared<const Predictor>(network), {encoding}, {});
  CHECK_REFUSED(std::invalid_argument, table.predict({nullptr, 4, 3, 3}, {given, 4, 2, 2}), "codes must not be null");
  Trainer trainer(network, {});
  Dataset data{.x = nothing, .y = {given, 4, 2, 2}};
  CHECK_REFUSED(std::invalid_argument, trainer.evaluate(data), "data: x must not be null");
  data = {.x = x, .y = {nullptr, 4, 2, 2}};
  CHECK_REFUSED(std::invalid_argument, trainer.evaluate(data), "data: y must not be null");
  data = {.x = x, .y = {given, 4, 2, 2}, .rows = {nullptr, 2}};
  CHECK_REFUSED(std::invalid_argument, trainer.evaluate(data), "data: rows must not be null");
  data = {.x = x, .y = {given, 4, 2, 2}, .sample_weight = {nullptr, 4}};
  CHECK_REFUSED(std::invalid_argument, trainer.evaluate(data), "data: sample_weight must not be null");
  MetricState metric(metrics::MeanSquaredError{}, 2, false);
  CHECK_REFUSED(std::invalid_argument, metric.add({.y = given, .rows = 3, .cols = 2}), "target must not be null");
  CHECK_REFUSED(std::invalid_argument, metric.add({.target = given, .rows = 3, .cols = 2}), "y must not be null");
  Trainer calling(network, {.loss = losses::Function{}});
  const ProgramFunctions functions{.losses = {nullptr}};
  data = {.x = x, .y = {given, 4, 2, 2}};
  CHECK_REFUSED(std::invalid_argument, calling.evaluate(data, functions), "functions.losses[0] must not be null");
}

void test_indices() {
  Network network(chain());
  std::vector<float> memory(100);
  float* const given = memory.data();
  const std::string weights = "weights: the index must be below 8, got 99";
  CHECK_REFUSED(std::out_of_range, network.get_weight(99, given), weights);
  CHECK_REFUSED(std::out_of_range, network.set_weight(99, given), weights);
  CHECK_REFUSED(std::out_of_range, network.set_weight_part(99, 0, given, 1), weights);
  const std::vector<float*> places(9, given);
  CHECK_REFUSED(std::invalid_argument, network.get_weights({places.data(), 2}), "out must be 8 arrays, got 2");
  CHECK_REFUSED(std::invalid_argument, network.get_weights({places.data(), 9}), "out must be 8 arrays, got 9");
  Trainer trainer(network, {.optimizer = Adam{}}), plain(network, {.optimizer = SGD{}});
  CHECK_REFUSED(std::out_of_range, plain.get_moment(0, 0, given), "moment must be below 0, got 0");
  const std::string untrained = "layers.1.moving_mean is not trained and has no moments";
  CHECK(network.weights()[4].name == "layers.1.moving_mean");
  struct Case {
    std::size_t moment, weight;
    std::string message;
  };
  const Case cases[] = {{2, 0, "moment must be below 2, got 2"},
                        {9999999, 0, "moment must be below 2, got 9999999"},
                        {0, 99, weights},
                        {1, 4, untrained}};
  for (const auto& [moment, weight, message] : cases) {
    CHECK_REFUSED(std::out_of_range, trainer.get_moment(moment, weight, given), message);
    CHECK_REFUSED(std::out_of_range, trainer.set_moment(moment, weight, given), message);
    CHECK_REFUSED(std::out_of_range, trainer.set_moment_part(moment, weight, 0, given, 1), message);
  }
  trainer.set_moment(1, 0, std::vector<float>(12, 3.0f).data());
  trainer.get_moment(1, 0, given);
  CHECK(given[0] == 3.0f && given[11] == 3.0f && given[12] == 0.0f);
}

// The parameters of an activation that is not computed with any would have no effect.
void test_activations() {
  const auto one = [](const ActivationSpec& activation) { return NetworkSpec{3, 1, {Dense{2, activation}}}; };
  const auto frozen = [](const ActivationSpec& activation) {
    return std::vector<FrozenLayer>{{.in = 2, .out = 2, .activation = activation}};
  };
  const ActivationKind beyond = static_cast<ActivationKind>(activation_count());
  const std::string kind = "activation must be a kind below activation_count()";
  const std::string idle = "activation must have no parameters that its kind is not computed with; "
                           "spec() of fastreg/activations.h makes one";
  const std::string alpha =
      "activation must have a parameter >= 2^-126 and finite (float32); parse_activation makes one with its default";
  const std::string not_nan = "activation must have parameters that are not NaN";
  const ActivationSpec slope(ActivationKind::leaky_relu, 0.1f), celu(activation_from_name("celu"));
  for (const auto& [activation, message] :
       {std::pair<ActivationSpec, std::string>{beyond, kind}, {slope, idle}, {celu, alpha},
        {ActivationSpec(activation_from_name("squareplus"), -1.0f), alpha},
        {ActivationSpec(activation_from_name("soft_shrink"), kNaN), not_nan}}) {
    CHECK_REFUSED(std::invalid_argument, Network(one(activation)), "layers[0] (Dense): " + message);
    CHECK_REFUSED(std::invalid_argument, Predictor(frozen(activation)), "frozen layer 0: " + message);
  }
  // What the messages recommend.
  const ActivationSpec sloped = LeakyReluParameters{.negative_slope = 0.1f}.spec();
  for (const ActivationSpec& activation : {sloped, parse_activation("celu")}) {
    Network network(one(activation));
    const std::vector<float> kernel(6, -1.0f), bias(2, 0.0f), x = {1.0f, 0.0f, 0.0f};
    network.set_weight(0, kernel.data());
    std::vector<float> y(2);
    network.predict(Features(x.data(), 1, 3, 3), {y.data(), 1, 2, 2});
    CHECK(std::abs(y[0] - (activation == sloped ? -0.1f : std::expm1(-1.0f))) < 1e-6f);
  }
}

void test_enumerators() {
  VarianceScaling scaling;
  scaling.mode = static_cast<FanMode>(9);
  CHECK_REFUSED(std::invalid_argument, Network({3, 1, {Dense{.kernel_initializer = scaling}}}),
                "layers[0] (Dense): kernel_initializer: mode must be one of its enumerators, got 9");
  std::vector<FrozenLayer> layers{{.in = 2, .out = 2, .statistic = static_cast<RowStatistic>(9)}};
  CHECK_REFUSED(std::invalid_argument, Predictor(layers), "frozen layer 0: must have a statistic that there is");
  FrozenNetwork network = Predictor(Network(graph())).network();
  network.nodes[0].kind = static_cast<FrozenNode::Kind>(99);
  CHECK_REFUSED(std::invalid_argument, Predictor(network), "frozen node 0: must have a kind that there is");
  const std::string known = std::to_string(activation_count());
  for (const std::size_t index : {activation_count(), std::size_t{255}}) {
    const auto kind = static_cast<ActivationKind>(index);
    const std::string wanted =
        "ActivationKind must be below activation_count(), " + known + ", got " + std::to_string(index);
    CHECK_REFUSED(std::invalid_argument, name(kind), wanted);
    CHECK_REFUSED(std::invalid_argument, derivative_from_output(kind), wanted);
  }
  CHECK(name(static_cast<ActivationKind>(activation_count() - 1)) != nullptr);
}

void test_precisions() {
  const auto odd = static_cast<MatmulPrecision>(9);
  const std::string wanted = "MatmulPrecision must be one of its enumerators, got 9";
  CHECK_EQUAL(std::string(name(MatmulPrecision::medium)), "medium");
  CHECK_REFUSED(std::invalid_argument, name(odd), wanted);
  CHECK_REFUSED(std::invalid_argument, matmul_precision_computes(odd), wanted);
  Network network(chain());
  const Rows x(2, 3);
  std::vector<float> y(4);
  const MatrixView<float> out{y.data(), 2, 2, 2};
  CHECK_REFUSED(std::invalid_argument, network.predict(x.wide(), out, odd), wanted);
  CHECK_REFUSED(std::invalid_argument, Predictor(network, odd), wanted);
  CHECK_REFUSED(std::invalid_argument, Predictor(Predictor(network).network(), odd), wanted);
  CHECK_REFUSED(std::invalid_argument, Trainer(network, {.matmul_precision = odd}),
                "matmul_precision must be one of its enumerators, got 9");
}

// Enumerators of a training and of rows of features.
void test_enumerators_of_training() {
  Network network(chain());
  SGD clipped;
  clipped.options.clipping = {static_cast<ClipKind>(9), 1.0f};
  CHECK_REFUSED(std::invalid_argument, Trainer(network, {.optimizer = clipped}),
                "optimizer (SGD): clipping must be a ClipKind that there is, got 9");
  metrics::PearsonCorrelation along;
  along.axis = static_cast<Axis>(3);
  CHECK_REFUSED(std::invalid_argument, Trainer(network, {.metrics = {along}}),
                "metrics[0] (PearsonCorrelation): axis must be -1 or 0, got 3");
  const Rows x(2, 3);
  std::vector<float> y(4);
  const MatrixView<float> out{y.data(), 2, 2, 2};
  Features odd = x.wide();
  odd.type = static_cast<ElementType>(9);
  CHECK_REFUSED(std::invalid_argument, network.predict(odd, out), "x must have a type of ElementType, got 9");
  CHECK_REFUSED(std::invalid_argument, Predictor(network).predict_features(odd, out),
                "x must have a type of ElementType, got 9");
  Trainer trainer(network, {});
  CHECK_REFUSED(std::invalid_argument, trainer.evaluate({.x = odd, .y = {y.data(), 2, 2, 2}}),
                "data: x must have a type of ElementType, got 9");
}

// A weight that is left out of the decay is one of the network. A word may fit none.
void test_exclusions_from_decay() {
  Network network(chain());
  const auto with = [&](const char* text) { Trainer(network, {.excluded_from_weight_decay = {{text}}}); };
  for (const char* const good : {"layers.0.kernel", "layers.1.moving_mean", "bias", "embeddings"})
    CHECK_EQUAL(message_of<std::invalid_argument>([&] { with(good); }), "no error");
  for (const char* const bad : {"layers.0.kernle", "layers.7.kernel", "0.kernel", "."})
    CHECK_REFUSED(std::invalid_argument, with(bad),
                  std::string("excluded_from_weight_decay must have names of weights, such as layers.0.kernel, got ") +
                      bad);
}

// The outputs of one predictor are the inputs of the next one.
void test_outputs_are_read() {
  const Predictor first{Network({3, 1, {Dense{4}}})}, second{Network({4, 2, {Dense{2}}})};
  std::vector<float> x(6, 0.5f), between(8), y(4), again(4);
  const MatrixView<float> view{between.data(), 2, 4, 4};
  first.predict({x.data(), 2, 3, 3}, view);
  second.predict(view, {y.data(), 2, 2, 2});
  second.predict(MatrixView<const float>{between.data(), 2, 4, 4}, {again.data(), 2, 2, 2});
  CHECK(y == again && y[0] != 0.0f);
  const Span<float> whole{between.data(), between.size()};
  const Span<const float> read = whole;
  CHECK(read.data == between.data() && read.size == 8);
}

void test_numbers() {
  Network network(chain());
  Trainer trainer(network, {});
  const Rows x(4, 3);
  const std::vector<float> y(8);
  const Dataset data{.x = x.wide(), .y = {y.data(), 4, 2, 2}};
  const auto fit = [&](const FitOptions& options) {
    FitResult result;
    trainer.fit(data, nullptr, options, nullptr, result);
  };
  CHECK_REFUSED(std::invalid_argument, fit({.time_limit = -1.0}), "time_limit must be >= 0, got -1");
  for (const double value : {static_cast<double>(kNaN), -0.5, std::numeric_limits<double>::infinity()}) {
    const FitOptions options{.early_stopping = {{.min_delta = value}}};
    const std::string said = message_of<std::invalid_argument>([&] { fit(options); });
    CHECK(said.starts_with("early_stopping: min_delta must be >= 0 and finite, got "));
  }
  CHECK_REFUSED(std::invalid_argument, fit({.early_stopping = {{.baseline = kNaN, .has_baseline = true}}}),
                "early_stopping: baseline must be finite, got nan");
  CHECK(trainer.step() == 0);
  CHECK_REFUSED(std::invalid_argument, trainer.set_parallel_threshold(static_cast<double>(kNaN)),
                "parallel_threshold must be >= 0, got nan");
  CHECK_REFUSED(std::invalid_argument, MetricState(metrics::Function{}, 2, false),
                "metric must not be a Function, which only a trainer calls");
  metrics::BinaryAccuracy beyond;
  beyond.threshold = kNaN;
  const std::string threshold = "metric (BinaryAccuracy): threshold must be in [0, 1], got nan";
  CHECK_REFUSED(std::invalid_argument, MetricState(beyond, 2, false), threshold);
  metrics::ExpectedCalibrationError many_bins;
  for (const std::size_t bins : {std::size_t{1} << 59, std::size_t{1} << 63}) {
    many_bins.num_bins = bins;
    CHECK_REFUSED(std::invalid_argument, MetricState(many_bins, 2, false),
                  "metric (ExpectedCalibrationError): num_bins must be in [1, 65536), got " + std::to_string(bins));
  }
  for (const std::size_t cols : {std::size_t{0}, std::size_t{1} << 31, ~std::size_t{0}})
    CHECK_REFUSED(std::invalid_argument, MetricState(metrics::R2Score{}, cols, false),
                  "metric: cols must be in [1, 2^31), got " + std::to_string(cols));
  CHECK(has(message_of<std::invalid_argument>([] { MetricState(metrics::R2Score{}, 0x7FFFFFFF, false); }),
            "metric: cols: a block of rows takes "));
  CHECK_REFUSED(std::invalid_argument, row_values(beyond, {.y = y.data(), .target = y.data(), .rows = 4, .cols = 2}),
                threshold);
  const std::string beta = "optimizer (Adam): beta_1 must be in [0, 1), got 2";
  std::vector<float> parameters(4);
  CHECK_REFUSED(std::invalid_argument, ops::Updater(Adam{.beta_1 = 2.0f}, parameters.data(), 4, {}), beta);
  std::vector<float> one(1), dy(1), probabilities(1);
  const ops::Input input{one.data(), 1, 1, 1};
  CHECK_REFUSED(std::invalid_argument,
                ops::loss(losses::Huber{.delta = -1.0f}, input, input, {}, {}, {one.data(), 1}, {dy.data(), 1, 1, 1},
                          {probabilities.data(), 1, 1, 1}),
                "loss (Huber): delta must be > 0 and finite (float32), got -1");
}

// The time limit ends the run of a library that does not let the main thread predict before.
void test_others_predict_while_it_fits() {
  Network network({3, 1, {Dense{64, ActivationKind::tanh}, Dense{2}}});
  Trainer trainer(network, {.optimizer = SGD{1e-3f}});
  const Rows x(200, 3);
  const std::vector<float> y(400, 0.5f);
  FitOptions options{.epochs = std::size_t{1} << 40, .time_limit = 30.0};
  StopSignal stop;
  options.stop_signals = {stop};
  FitResult result;
  std::thread fitting([&] {
    trainer.fit({.x = x.wide(), .y = {y.data(), 200, 2, 2}}, nullptr, options, nullptr, result);
  });
  std::vector<float> out(400);
  for (int i = 0; i < 5; ++i) {
    while (trainer.step() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    network.predict(x.wide(), {out.data(), 200, 2, 2});
    const Predictor predictor(network);
  }
  stop.set();
  fitting.join();
  CHECK(result.reason == StopReason::stop_signal);
}

}  // namespace

int main() {
  for (const NetworkSpec& spec : {chain(), graph()}) {
    test_rows_of_other_types(spec);
    test_shapes_of_other_types(spec);
  }
  test_null_views();
  test_indices();
  test_activations();
  test_enumerators();
  test_precisions();
  test_enumerators_of_training();
  test_exclusions_from_decay();
  test_outputs_are_read();
  test_numbers();
  test_others_predict_while_it_fits();
  return report("test_callers");
}
