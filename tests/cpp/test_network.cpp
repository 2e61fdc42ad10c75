// The public C++ API as an embedding program uses it: describe, train, evaluate, predict, load. Numerical agreement is
// tested from Python against the oracle; here it is behaviour without Python: determinism across thread counts, early
// stopping, divergence, errors, files.
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.h"
#include "core/optimizer.h"
#include "fastreg/model_file.h"
#include "fastreg/runtime.h"
#include "fastreg/trainer.h"

namespace {

using namespace fastreg;

struct Problem {
  std::size_t n, features;
  std::vector<float> x, y;

  // y = 1 where a fixed linear score of pseudo-random features is positive.
  Problem(std::size_t rows, std::size_t cols) : n(rows), features(cols), x(rows * cols), y(rows) {
    std::uint32_t state = 12345;
    for (float& value : x) {
      state = state * 1664525u + 1013904223u;
      value = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
    }
    for (std::size_t i = 0; i < n; ++i) {
      float score = 0.0f;
      for (std::size_t j = 0; j < features; ++j) score += x[i * features + j] * (j % 2 == 0 ? 1.0f : -0.5f);
      y[i] = score > 0.0f ? 1.0f : 0.0f;
    }
  }
  Dataset data() const {
    Dataset out;
    out.x = {x.data(), n, features, features};
    out.y = {y.data(), n, 1, 1};
    return out;
  }
};

NetworkSpec tutorial_network(std::size_t features, std::size_t units) {
  Dense hidden;
  hidden.units = units;
  hidden.activation = ActivationKind::relu;
  hidden.kernel_regularizer = {1e-4f, 1e-4f, false};
  Dense output;
  output.activation = ActivationKind::sigmoid;
  return {features, 7, {hidden, BatchNormalization{}, Dropout{0.25f}, output}};
}

TrainingSpec binary_training(float rate) {
  return {losses::BinaryCrossentropy{}, Adam{rate}, {metrics::BinaryAccuracy{}}};
}

std::vector<float> all_weights(const Network& network) {
  std::vector<float> out;
  for (std::size_t i = 0; i < network.weights().size(); ++i) {
    std::vector<float> one(network.weights()[i].size());
    network.get_weight(i, one.data());
    out.insert(out.end(), one.begin(), one.end());
  }
  return out;
}

std::vector<float> trained(const Problem& problem, std::size_t units, int threads) {
  set_num_threads(threads);
  Network network(tutorial_network(problem.features, units));
  Trainer trainer(network, binary_training(1e-2f));
  trainer.set_parallel_threshold(0.0);
  const double rate = 1e-2;
  FitOptions options{48, 3, true, {&rate, 1}, {}};
  FitResult result;
  trainer.fit(problem.data(), nullptr, options, nullptr, result);
  return all_weights(network);
}

void test_learns() {
  const Problem problem(2000, 10);
  Network network(tutorial_network(10, 32));
  Trainer trainer(network, binary_training(1e-2f));
  const double rate = 1e-2;
  FitOptions options{32, 10, true, {&rate, 1}, {}};
  FitResult result;
  const Dataset data = problem.data();
  trainer.fit(data, &data, options, nullptr, result);
  CHECK(result.reason == StopReason::completed);
  CHECK(result.logs.size() == 10 && result.logs[0].size() == 4);
  CHECK(result.logs.back()[2] < result.logs.front()[2]);
  CHECK(result.logs.back()[3] > 0.95);
  CHECK(trainer.step() == 10 * 63 && trainer.epoch() == 10);
  // The last value of the validation is the one that evaluate returns now.
  CHECK(trainer.evaluate(data)[0] == result.logs.back()[2]);
}

void test_same_weights_for_any_thread_count() {
  for (const std::size_t units : {1, 5, 16, 65, 200}) {
    const Problem problem(500, 9);
    const std::vector<float> one = trained(problem, units, 1);
    for (const int threads : {2, 3}) {
      const std::vector<float> several = trained(problem, units, threads);
      CHECK(std::memcmp(one.data(), several.data(), one.size() * sizeof(float)) == 0);
    }
  }
  set_num_threads(1);
}

// Rows of another type and with gaps between them train, score and predict like their float32 values.
template <class T>
void test_element_type(double scale) {
  Problem problem(200, 21);
  constexpr std::size_t stride = 30;
  std::vector<T> given(problem.n * stride, T(77));
  for (std::size_t i = 0; i < problem.n; ++i) {
    for (std::size_t j = 0; j < problem.features; ++j) {
      float& x = problem.x[i * problem.features + j];
      const T value = static_cast<T>((static_cast<double>(x) + 1.0) * scale);
      given[i * stride + j] = value;
      x = static_cast<float>(value);
    }
  }
  std::vector<std::vector<float>> weights;
  std::vector<double> losses;
  for (const bool typed : {false, true}) {
    Dataset data = problem.data();
    if (typed) data.x = {given.data(), problem.n, problem.features, stride};
    Network network(tutorial_network(problem.features, 20));
    Trainer trainer(network, binary_training(1e-2f));
    FitOptions options;
    options.epochs = 2;
    FitResult result;
    trainer.fit(data, &data, options, nullptr, result);
    weights.push_back(all_weights(network));
    weights.back().resize(weights.back().size() + problem.n);
    network.predict(data.x, {weights.back().data() + weights.back().size() - problem.n, problem.n, 1, 1});
    losses.push_back(trainer.evaluate(data)[0]);
    CHECK(losses.back() == result.logs.back()[2]);
  }
  CHECK(weights[0] == weights[1] && losses[0] == losses[1]);
}

// predict_if_finite gives what predict does, or says that a feature is not finite. What lies between rows is no
// feature.
void test_predicts_if_finite() {
  Problem problem(300, 9);
  const Network network(tutorial_network(9, 20));
  std::vector<float> want(problem.n), got(problem.n);
  network.predict(problem.data().x, {want.data(), problem.n, 1, 1});
  CHECK(network.predict_if_finite(problem.data().x, {got.data(), problem.n, 1, 1}));
  CHECK(got == want);
  for (const std::size_t row : {std::size_t{0}, std::size_t{128}, problem.n - 1}) {
    float& last = problem.x[row * 9 + 8];
    const float before = last;
    last = -INFINITY;
    CHECK(!network.predict_if_finite(problem.data().x, {got.data(), problem.n, 1, 1}));
    const Network narrow(tutorial_network(8, 20));   // reads all columns but the last
    CHECK(narrow.predict_if_finite({problem.x.data(), problem.n, 8, 9}, {got.data(), problem.n, 1, 1}));
    last = before;
  }
}

std::vector<float> predicted(const Network& network, const Problem& problem, MatmulPrecision precision) {
  std::vector<float> out(problem.n);
  network.predict(problem.data().x, {out.data(), problem.n, 1, 1}, precision);
  return out;
}

// In each precision a row has the outputs that it has alone, and those of the current weights.
void test_predicts_in_each_precision() {
  const Problem problem(300, 96);
  Network network(tutorial_network(96, 128));
  const std::vector<float> highest = predicted(network, problem, MatmulPrecision::highest);
  for (const MatmulPrecision precision : {MatmulPrecision::high, MatmulPrecision::medium, MatmulPrecision::highest}) {
    const std::vector<float> whole = predicted(network, problem, precision);
    const bool other = precision != MatmulPrecision::highest && matmul_precision_computes(precision);
    CHECK((whole != highest) == other);
    for (std::size_t i = 0; i < problem.n; ++i) {
      CHECK(std::abs(whole[i] - highest[i]) < 0.05f);
      float alone = -1.0f;
      network.predict({problem.x.data() + i * 96, 1, 96, 96}, {&alone, 1, 1, 1}, precision);
      CHECK(alone == whole[i]);
    }
  }
  TrainingSpec spec = binary_training(1e-2f);
  spec.matmul_precision = MatmulPrecision::medium;
  const std::vector<float> before = predicted(network, problem, MatmulPrecision::medium);
  Trainer trainer(network, spec);
  FitResult result;
  const Dataset data = problem.data();
  trainer.fit(data, &data, {}, nullptr, result);
  CHECK(trainer.evaluate(data)[0] == result.logs.back()[2]);
  const std::vector<float> after = predicted(network, problem, MatmulPrecision::medium);
  CHECK(after != before);
  Network twin(tutorial_network(96, 128));
  CHECK(predicted(twin, problem, MatmulPrecision::medium) == before);
  std::vector<std::vector<float>> weights;
  std::vector<float*> to;
  for (const WeightInfo& info : network.weights()) weights.emplace_back(info.size());
  for (std::vector<float>& weight : weights) to.push_back(weight.data());
  network.get_weights({to.data(), to.size()});
  twin.set_weights({to.data(), to.size()});
  CHECK(predicted(twin, problem, MatmulPrecision::medium) == after);
}

// A trainer reuses the memory of its runs, and data of an earlier, larger run in it has no effect.
void test_runs_leave_nothing_behind() {
  const Problem problem(300, 9), fewer(70, 9);
  TrainingSpec spec = binary_training(1e-2f);
  spec.optimizer = SGD{1e-2f};
  Network used(tutorial_network(9, 20)), fresh(tutorial_network(9, 20));
  Trainer first(used, spec), second(fresh, spec);
  FitOptions options;
  options.batch_size = 300;
  FitResult result;
  const std::vector<float> sample_weight(300, 0.5f);
  Dataset weighted = problem.data();
  weighted.sample_weight = {sample_weight.data(), sample_weight.size()};
  first.fit(weighted, nullptr, options, nullptr, result);
  for (std::size_t i = 0; i < used.weights().size(); ++i) {
    std::vector<float> one(used.weights()[i].size());
    used.get_weight(i, one.data());
    fresh.set_weight(i, one.data());
  }
  second.set_progress(first.step(), first.epoch());
  options.batch_size = 32;
  for (Trainer* trainer : {&first, &second}) trainer->fit(fewer.data(), nullptr, options, nullptr, result);
  CHECK(all_weights(used) == all_weights(fresh));
}

// Trains on some weights of the rows, in batches, the last one short.
std::vector<float> trained(const Problem& problem, const std::vector<float>& sample_weight) {
  Network network(tutorial_network(9, 20));
  TrainingSpec spec = binary_training(1e-2f);
  spec.optimizer = SGD{1e-2f};
  Trainer trainer(network, spec);
  Dataset data = problem.data();
  data.sample_weight = {sample_weight.data(), sample_weight.size()};
  FitOptions options;
  options.epochs = 2;
  FitResult result;
  trainer.fit(data, nullptr, options, nullptr, result);
  CHECK(result.reason == StopReason::completed && std::isfinite(result.logs.back()[0]));
  return all_weights(network);
}

// Only the ratios of weights count, whatever their sum. Equal weights change no bit.
void test_weights_of_any_scale_train_alike() {
  const Problem problem(70, 9);
  const std::size_t n = problem.n;
  const auto plain = trained(problem, {});
  for (const float weight : {1.0f, 7.3f, 3.4e38f, 1e-45f})
    CHECK(trained(problem, std::vector<float>(n, weight)) == plain);
  std::vector<float> weights(n);
  for (std::size_t i = 0; i < n; ++i) weights[i] = static_cast<float>(i % 4);
  const auto weighted = trained(problem, weights);
  CHECK(weighted != plain);
  for (const float factor : {0x1p-149f, 0x1p-100f, 8.0f, 0x1p125f}) {
    std::vector<float> scaled = weights;
    for (float& weight : scaled) weight *= factor;
    CHECK(trained(problem, scaled) == weighted);
  }
  CHECK_THROWS(trained(problem, std::vector<float>(n, 0.0f)), std::invalid_argument);
}

void test_early_stopping_restores_the_best() {
  const Problem problem(300, 6);
  Network network(tutorial_network(6, 16));
  Trainer trainer(network, binary_training(1e-2f));
  // A rate that grows tenfold each epoch ruins the network after a while.
  std::vector<double> rates;
  for (int epoch = 0; epoch < 40; ++epoch) rates.insert(rates.end(), 10, 1e-3 * std::pow(1.5, epoch));
  EarlyStopping stopping;
  stopping.monitor = 2;
  stopping.patience = 3;
  FitOptions options{32, 40, true, {rates.data(), rates.size()}, {stopping}};
  FitResult result;
  const Dataset data = problem.data();
  trainer.fit(data, &data, options, nullptr, result);
  CHECK(result.reason == StopReason::early_stopping);
  const EarlyStoppingResult& stopped = result.early_stopping.at(0);
  CHECK(stopped.restored && stopped.stopped_epoch == stopped.best_epoch + 3);
  CHECK(trainer.evaluate(data)[0] == stopped.best);
}

// Another thread ends a run in the middle of its only epoch: the run has no effect, for any size of the team.
void test_a_signal_ends_a_run() {
  const Problem problem(200'000, 4);
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    Network network(tutorial_network(4, 5));
    Trainer trainer(network, binary_training(1e-2f));
    trainer.set_parallel_threshold(0.0);
    const std::vector<float> before = all_weights(network);
    const double rate = 1e-2;
    FitOptions options{1, 100, true, {&rate, 1}, {}};
    StopSignal signal;
    options.stop_signals = {StopSignal{}, signal};
    std::thread other([signal]() mutable {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      signal.set();
    });
    FitResult result;
    trainer.fit(problem.data(), nullptr, options, nullptr, result);
    other.join();
    CHECK(signal.is_set() && options.stop_signals[1].is_set() && !options.stop_signals[0].is_set());
    CHECK(result.reason == StopReason::stop_signal && result.logs.empty());
    CHECK(all_weights(network) == before && trainer.step() == 0 && trainer.epoch() == 0);

    options.stop_signals.clear();
    options.time_limit = 0.005;
    trainer.fit(problem.data(), nullptr, options, nullptr, result);
    CHECK(result.reason == StopReason::time_limit && result.logs.empty());
    CHECK(all_weights(network) == before && trainer.step() == 0);
    options.time_limit = -1.0;
    CHECK_THROWS(trainer.fit(problem.data(), nullptr, options, nullptr, result), std::invalid_argument);
  }
  set_num_threads(1);
}

void test_divergence_keeps_finite_weights() {
  Problem problem(64, 4);
  for (float& value : problem.x) value *= 1e10f;
  Dense linear;
  Network network({4, 1, {linear}});
  Trainer trainer(network, {losses::MeanSquaredError{}, SGD{1.0f}, {}});
  const double rate = 1.0;
  FitOptions options{16, 20, true, {&rate, 1}, {}};
  FitResult result;
  trainer.fit(problem.data(), nullptr, options, nullptr, result);
  CHECK(result.reason == StopReason::diverged);
  CHECK(!std::isfinite(result.divergence.loss) && result.divergence.rate == 1.0);
  for (const float weight : all_weights(network)) CHECK(std::isfinite(weight));
  CHECK(trainer.step() == 4 * trainer.epoch());
}

// Weight decay and the rate of the dropout change with each step.
void test_schedules() {
  const Problem problem(64, 4);
  NetworkSpec spec = tutorial_network(4, 8);
  spec.scheduled = {2};
  TrainingSpec training = binary_training(1e-2f);
  training.schedules_weight_decay = true;
  const auto fit = [&](Network& network, const std::vector<double>& rates, std::size_t columns) {
    Trainer trainer(network, training);
    CHECK(trainer.rate_columns() == columns);
    FitOptions options{32, 1, true, {rates.data(), rates.size()}, {}};
    FitResult result;
    trainer.fit(problem.data(), nullptr, options, nullptr, result);
    return all_weights(network);
  };
  Network first(spec), second(spec), third(spec), broken(spec);
  const std::vector<float> constant = fit(first, {0.01, 0.1, 0.25}, 3);
  CHECK(constant == fit(second, {0.01, 0.1, 0.25, 0.01, 0.1, 0.25}, 3));
  CHECK(constant != fit(third, {0.01, 0.1, 0.25, 0.01, 0.1, 0.75}, 3));
  for (const std::vector<double>& bad : {std::vector<double>{}, {0.01, 0.1}, {0.01, -0.1, 0.25}, {0.01, 0.1, 1.0}})
    CHECK_THROWS(fit(broken, bad, 3), std::invalid_argument);
  training.schedules_weight_decay = false;
  CHECK_THROWS(fit(broken, {0.01, 0.1, 0.25}, 2), std::invalid_argument);
  for (const std::vector<std::size_t>& wrong : {std::vector<std::size_t>{0}, {2, 2}, {9}}) {
    spec.scheduled = wrong;
    CHECK_THROWS(Network(spec), std::invalid_argument);
  }
}

void test_files() {
  const auto path = (std::filesystem::temp_directory_path() / "fastreg_test_network.safetensors").string();
  const Problem problem(40, 3);
  Network network(tutorial_network(3, 17));
  std::vector<std::vector<float>> values;
  std::vector<TensorView> tensors;
  for (std::size_t i = 0; i < network.weights().size(); ++i) {
    const WeightInfo& info = network.weights()[i];
    values.emplace_back(info.size());
    network.get_weight(i, values.back().data());
    tensors.push_back({info.name, info.vector ? std::vector{info.cols} : std::vector{info.rows, info.cols},
                       values.back().data()});
  }
  const std::string description =
      R"({"format":1,"n_features":3,"seed":99,"layers":[{"type":"Dense","units":17,"activation":"relu"},)"
      R"({"type":"BatchNormalization"},{"type":"Dropout","rate":0.25},)"
      R"({"type":"Dense","units":1,"activation":"sigmoid"}]})";
  write_model(path, description, tensors);
  const Network loaded = load_network(path);
  std::vector<float> ours(40), theirs(40);
  network.predict(problem.data().x, {ours.data(), 40, 1, 1});
  loaded.predict(problem.data().x, {theirs.data(), 40, 1, 1});
  CHECK(ours == theirs);
  tensors.pop_back();
  write_model(path, description, tensors);
  CHECK_THROWS(load_network(path), std::invalid_argument);
  std::filesystem::remove(path);
  CHECK_THROWS(load_network(path), std::system_error);
}

// Weights that are treated alike are neighbours: kernels first, then biases, each segment at its own offset.
void test_alike_weights_are_neighbours() {
  Parameters parameters;
  const Penalty l2{0.0f, 0.5f};
  const auto add = [&](const char* name, std::size_t rows, bool trainable, Penalty penalty, bool decays) {
    parameters.add({name, rows, 20, rows == 1, trainable}, rows > 1, penalty, decays);
  };
  add("kernel", 3, true, l2, true);
  add("bias", 1, true, {}, false);
  add("moving_mean", 1, false, {}, false);
  add("second kernel", 5, true, l2, true);
  add("second bias", 1, true, {}, false);
  add("third kernel", 2, true, {}, true);
  parameters.layout();
  CHECK((parameters.order() == std::vector<std::size_t>{0, 3, 1, 4, 5, 2}));
  std::size_t end = 0;
  for (const std::size_t i : parameters.order()) {
    const Segment& segment = parameters.segments()[i];
    CHECK(segment.offset == end && segment.padded % kLane == 0 && segment.padded >= segment.info.size());
    end += segment.padded;
  }
  CHECK(parameters.total() == end && parameters.trainable() == end - 32);
  const std::vector<ParameterRun> runs = parameter_runs(parameters, {{}, Adam{}, {}});
  CHECK(runs.size() == 3);
  for (std::size_t r = 0; r < runs.size(); ++r) CHECK(runs[r].begin == (r == 0 ? 0 : runs[r - 1].end));
  CHECK(runs[0].end == 32 * 8 && runs[0].penalty == l2 && runs[0].decays);
  CHECK(runs[1].end == 32 * 10 && runs[1].penalty == Penalty{} && !runs[1].decays);
  CHECK(runs[2].end == parameters.trainable() && runs[2].decays);
  Adam clipped;
  clipped.options.clipping = {ClipKind::norm, 1.0f};
  CHECK(parameter_runs(parameters, {{}, clipped, {}}).size() == 5);   // each weight has a norm of its own
  TrainingSpec spec{{}, Adam{}, {}};
  const auto decayed = [&] {
    std::vector<bool> out;
    for (const ParameterRun& run : parameter_runs(parameters, spec)) out.push_back(run.decays);
    return out;
  };
  spec.excluded_from_weight_decay.emplace();
  CHECK((decayed() == std::vector<bool>{true, true}));   // biases and the third kernel are alike now
  spec.excluded_from_weight_decay = {"bias"};
  CHECK((decayed() == std::vector<bool>{true, false, true}));
  spec.excluded_from_weight_decay = {"third kernel", "second"};
  CHECK((decayed() == std::vector<bool>{true, false, true, false}));
}

void test_errors() {
  CHECK_THROWS(Network({0, 1, {Dense{}}}), std::invalid_argument);
  CHECK_THROWS(Network({3, 1, {}}), std::invalid_argument);
  Dense huge;
  huge.units = std::size_t{1} << 40;
  CHECK_THROWS(Network({1000, 1, {huge, huge}}), std::invalid_argument);
  CHECK_THROWS(set_num_threads(0), std::invalid_argument);

  const Problem problem(10, 3);
  Network network(tutorial_network(3, 4));
  std::vector<float> out(10);
  CHECK_THROWS(network.predict({problem.x.data(), 10, 2, 2}, {out.data(), 10, 1, 1}), std::invalid_argument);
  CHECK_THROWS(network.predict(problem.data().x, {out.data(), 5, 2, 2}), std::invalid_argument);
  CHECK_THROWS(Trainer(network, {losses::SparseCategoricalCrossentropy{}, Adam{}, {}}), std::invalid_argument);

  Trainer trainer(network, binary_training(1e-3f));
  FitResult result;
  const double rates[] = {1e-3, 1e-3};
  const FitOptions two_rates{10, 3, true, {rates, 2}, {}};
  CHECK_THROWS(trainer.fit(problem.data(), nullptr, two_rates, nullptr, result), std::invalid_argument);
  Dataset wrong = problem.data();
  const std::uint32_t beyond[] = {0, 10};
  wrong.rows = {beyond, 2};
  CHECK_THROWS(trainer.evaluate(wrong), std::invalid_argument);
}

}  // namespace

int main() {
  test_alike_weights_are_neighbours();
  test_learns();
  test_same_weights_for_any_thread_count();
  test_element_type<float>(1.0);
  test_element_type<double>(0.3);
  test_element_type<std::uint8_t>(127.0);
  test_predicts_if_finite();
  test_predicts_in_each_precision();
  test_runs_leave_nothing_behind();
  test_weights_of_any_scale_train_alike();
  test_early_stopping_restores_the_best();
  test_a_signal_ends_a_run();
  test_divergence_keeps_finite_weights();
  test_schedules();
  test_files();
  test_errors();
  return report("network");
}
