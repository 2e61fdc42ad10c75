// Losses that are functions of the program: the same training as by a loss of the registry, for any number of threads,
// called without the lock, and what an exception leaves behind. tests/test_custom_losses.py has those of Python.
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "check.h"
#include "fastreg/runtime.h"
#include "fastreg/trainer.h"

namespace {

using namespace fastreg;

constexpr double kTheRate = 1e-3;
const Span<const double> kRate{&kTheRate, 1};
constexpr std::size_t kRows = 90, kFeatures = 5, kOutputs = 4;

struct Problem {
  std::vector<float> x = std::vector<float>(kRows * kFeatures), y = std::vector<float>(kRows * kOutputs), weights;

  Problem() {
    std::uint32_t state = 12345;
    for (std::vector<float>* values : {&x, &y})
      for (float& value : *values) {
        state = state * 1664525u + 1013904223u;
        value = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
      }
    for (std::size_t i = 0; i < kRows; ++i) weights.push_back(static_cast<float>(i % 3));
  }
  Dataset data() const {
    Dataset out;
    out.x = {x.data(), kRows, kFeatures, kFeatures};
    out.y = {y.data(), kRows, kOutputs, kOutputs};
    out.sample_weight = {weights.data(), weights.size()};
    return out;
  }
};

NetworkSpec network_spec() {
  Dense hidden, output;
  hidden.units = 70;
  hidden.activation = ActivationKind::tanh;
  output.units = kOutputs;
  return {kFeatures, 3, {hidden, BatchNormalization{}, Dropout{0.25f}, output}};
}

// The mean of squared differences. Divisions by four outputs are exact, so that the gradient has the bits of the loss
// of the registry.
struct SquaredError : LossFunction {
  std::size_t calls = 0, fails_at = 0;
  const Network* network = nullptr;   // predicts within a call

  void compute(const LossRows& rows) override {
    if (++calls == fails_at) throw std::runtime_error("the function failed");
    CHECK(rows.cols == kOutputs && rows.target_cols == kOutputs && rows.labels == nullptr);
    if (network != nullptr) {
      const std::vector<float> x(kFeatures);
      std::vector<float> y(kOutputs);
      network->predict({x.data(), 1, kFeatures, kFeatures}, {y.data(), 1, kOutputs, kOutputs});
      CHECK(std::isfinite(y[0]));
    }
    for (std::size_t i = 0; i < rows.rows; ++i) {
      double sum = 0.0;
      for (std::size_t j = i * kOutputs; j < (i + 1) * kOutputs; ++j) {
        const float error = rows.y[j] - rows.target[j];
        sum += static_cast<double>(error) * static_cast<double>(error);
        if (rows.gradient != nullptr) rows.gradient[j] = 2.0f * error / static_cast<float>(kOutputs);
      }
      rows.values[i] = static_cast<float>(sum / kOutputs);
    }
  }
};

struct Model {
  Network network;
  Trainer trainer;

  explicit Model(const TrainingSpec& spec) : network(network_spec()), trainer(network, spec) {
    trainer.set_parallel_threshold(0.0);
  }
  FitResult fit(const Problem& problem, const ProgramFunctions& functions, std::size_t epochs = 3) {
    FitOptions options;
    options.batch_size = 16;
    options.epochs = epochs;
    options.functions = functions;
    const Dataset data = problem.data();
    FitResult result;
    trainer.fit(data, &data, options, nullptr, result);
    return result;
  }
  std::vector<float> state() const {
    std::vector<float> out;
    for (std::size_t i = 0; i < network.weights().size(); ++i) {
      std::vector<float> one(network.weights()[i].size());
      network.get_weight(i, one.data());
      out.insert(out.end(), one.begin(), one.end());
      if (!network.weights()[i].trainable) continue;
      for (std::size_t m = 0; m < trainer.moment_names().size(); ++m) {
        trainer.get_moment(m, i, one.data());
        out.insert(out.end(), one.begin(), one.end());
      }
    }
    return out;
  }
};

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

template <class Rule>
TrainingSpec by_function() {
  return {losses::Function{}, Rule{}, {metrics::MeanAbsoluteError{}}};
}

// Schedule-free AdamW takes its gradients at other weights than those that a prediction meanwhile must see.
template <class Rule>
void test_it_trains_as_the_loss_of_the_registry() {
  const Problem problem;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(1);
    Model usual({losses::MeanSquaredError{}, Rule{}, {metrics::MeanAbsoluteError{}}}), model(by_function<Rule>());
    const FitResult expected = usual.fit(problem, {});
    set_num_threads(threads);
    SquaredError loss;
    loss.network = &model.network;
    const FitResult found = model.fit(problem, {{}, {&loss}});
    CHECK(same(model.state(), usual.state()));
    CHECK(loss.calls == 3 * (6 + 1));
    for (std::size_t epoch = 0; epoch < 3; ++epoch)
      for (std::size_t i = 0; i < 4; ++i)
        CHECK(std::abs(found.logs[epoch][i] - expected.logs[epoch][i]) < 1e-6 * expected.logs[epoch][i]);
    FitResult result;
    const double value = model.trainer.train_batch(problem.data(), kRate, result, {{}, {&loss}})[0];
    CHECK(std::abs(value - usual.trainer.train_batch(problem.data(), kRate, result)[0]) < 1e-6 * value);
    CHECK(same(model.state(), usual.state()));
  }
  set_num_threads(1);
}

void test_an_exception_leaves_the_last_complete_epoch() {
  const Problem problem;
  for (const std::size_t call : {1, 3, 7, 10, 14}) {   // an epoch has six steps and one call of validation
    Model model(by_function<Adam>()), expected(by_function<Adam>());
    SquaredError loss, good;
    loss.fails_at = call;
    FitResult result;
    FitOptions options;
    options.batch_size = 16;
    options.epochs = 3;
    options.functions.losses = {&loss};
    const Dataset data = problem.data();
    CHECK_THROWS(model.trainer.fit(data, &data, options, nullptr, result), std::runtime_error);
    const std::size_t epochs = (call - 1) / 7;
    CHECK(result.logs.size() == epochs && result.reason == StopReason::exception);
    CHECK(model.trainer.epoch() == epochs && model.trainer.step() == 6 * epochs);
    if (epochs > 0) expected.fit(problem, {{}, {&good}}, epochs);
    CHECK(same(model.state(), expected.state()));
    // It goes on from there as if nothing had been.
    loss.fails_at = 0;
    model.fit(problem, {{}, {&loss}}, 3 - epochs);
    expected.fit(problem, {{}, {&good}}, 3 - epochs);
    CHECK(same(model.state(), expected.state()));

    const std::vector<float> before = model.state();
    loss.calls = 0;
    loss.fails_at = 1;
    CHECK_THROWS(model.trainer.train_batch(data, kRate, result, {{}, {&loss}}), std::runtime_error);
    CHECK(same(model.state(), before) && model.trainer.step() == 18);
    loss.calls = 0;
    CHECK_THROWS(model.trainer.evaluate(data, {{}, {&loss}}), std::runtime_error);
    CHECK(model.trainer.evaluate(data, {{}, {&loss}}).size() == 2);
  }
}

// A function may evaluate other data: the model's own evaluation goes on with its own.
struct Evaluating : SquaredError {
  Trainer* trainer = nullptr;
  const Dataset* other = nullptr;
  SquaredError inner;

  void compute(const LossRows& rows) override {
    if (trainer != nullptr) CHECK(trainer->evaluate(*other, {{}, {&inner}}).size() == 2);
    SquaredError::compute(rows);
  }
};

void test_a_function_may_evaluate() {
  const Problem problem;
  const Dataset data = problem.data();
  Dataset other = data;
  const std::vector<std::uint32_t> few{4, 1, 7};
  other.rows = {few.data(), few.size()};
  Model model(by_function<Adam>()), plain(by_function<Adam>());
  Evaluating loss, usual;
  loss.trainer = &model.trainer;
  loss.other = &other;
  CHECK(model.trainer.evaluate(data, {{}, {&loss}}) == plain.trainer.evaluate(data, {{}, {&usual}}));
  model.fit(problem, {{}, {&loss}});
  plain.fit(problem, {{}, {&usual}});
  CHECK(same(model.state(), plain.state()));
}

void test_what_is_refused() {
  const Problem problem;
  const Dataset data = problem.data();
  Model model(by_function<Adam>());
  CHECK_THROWS(model.trainer.evaluate(data), std::invalid_argument);
  const std::vector<float> before = model.state();
  CHECK_THROWS(model.fit(problem, {}), std::invalid_argument);
  CHECK(same(model.state(), before));
  Dataset narrow = data;
  narrow.y.cols = 2;   // the metric reads the targets
  SquaredError loss;
  CHECK_THROWS(model.trainer.evaluate(narrow, {{}, {&loss}}), std::invalid_argument);
  narrow.y.cols = 0;
  Model free({losses::Function{}, Adam{}, {}});
  CHECK_THROWS(free.trainer.evaluate(narrow, {{}, {&loss}}), std::invalid_argument);
}

}  // namespace

int main() {
  test_it_trains_as_the_loss_of_the_registry<Adam>();
  test_it_trains_as_the_loss_of_the_registry<ScheduleFreeAdamW>();
  test_an_exception_leaves_the_last_complete_epoch();
  test_a_function_may_evaluate();
  test_what_is_refused();
  return report("losses of the program");
}
