// Pauses of long predictions and evaluations: their results stay the same, short calls have none, a pause may end the
// call, and all rows have the weights of one moment. tests/test_interrupts.py interrupts calls of Python.
#include <stdexcept>
#include <vector>

#include "check.h"
#include "fastreg/trainer.h"

namespace {

using namespace fastreg;

constexpr std::size_t kRows = 60000, kFeatures = 8;

NetworkSpec network_spec() {
  Dense wide, output;
  wide.units = 512;
  wide.kernel_regularizer.l2 = 0.01f;
  output.units = 1;
  return {kFeatures, 1, {wide, wide, output}};
}

// Counts, and does something in the first pause.
template <class Act>
struct Counting final : Pause {
  explicit Counting(Act given) : act(given) {}
  void reached() override {
    if (count++ == 0) act();
  }
  Act act;
  int count = 0;
};

struct Rows {
  std::vector<float> x = std::vector<float>(kRows * kFeatures), y = std::vector<float>(kRows);
  Rows() {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * i % 101) / 101.0f;
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = x[i * kFeatures] - x[i * kFeatures + 1];
  }
  Features features(std::size_t rows = kRows) const { return {x.data(), rows, kFeatures, kFeatures}; }
  Dataset data() const {
    Dataset made;
    made.x = {x.data(), kRows, kFeatures, kFeatures};
    made.y = {y.data(), kRows, 1, 1};
    return made;
  }
};

std::vector<float> predicted(const Network& network, const Rows& rows, Pause* pause, std::size_t n = kRows) {
  std::vector<float> out(n, -1.0f);
  network.predict(rows.features(n), {out.data(), n, 1, 1}, MatmulPrecision::highest, pause);
  return out;
}

void set_bias(Network& network, float value) {
  const std::vector<float> bias(network.weights().back().size(), value);
  network.set_weight(network.weights().size() - 1, bias.data());
}

void test_predictions() {
  const Rows rows;
  Network network(network_spec());
  const std::vector<float> expected = predicted(network, rows, nullptr);
  Counting idle([] {});
  CHECK(predicted(network, rows, &idle) == expected);
  CHECK(idle.count >= 1);

  Counting none([] {});
  CHECK(predicted(network, rows, &none, 100) == std::vector<float>(expected.begin(), expected.begin() + 100));
  CHECK(none.count == 0);

  Counting throws([] { throw std::runtime_error("enough"); });
  CHECK_THROWS(predicted(network, rows, &throws), std::runtime_error);
  CHECK(throws.count == 1);
  CHECK(predicted(network, rows, nullptr) == expected);

  // The network is not locked, and a prediction in another precision leaves the rest of this one alone.
  std::vector<float> other(100);
  Counting predicts([&] {
    network.predict(rows.features(100), {other.data(), 100, 1, 1}, MatmulPrecision::medium);
  });
  CHECK(predicted(network, rows, &predicts) == expected);

  Counting changes([&] { set_bias(network, 3.0f); });
  const std::vector<float> changed = predicted(network, rows, &changes);
  CHECK(changes.count == 1);   // all rows are computed anew, at once
  CHECK(changed == predicted(network, rows, nullptr));
  CHECK(changed != expected);
}

template <class MetricKind>
void test_evaluations(MetricKind metric) {
  const Rows rows;
  Network network(network_spec());
  Trainer trainer(network, {losses::MeanSquaredError{}, Adam{}, {metric}});
  const std::vector<double> expected = trainer.evaluate(rows.data());
  ProgramFunctions functions;
  Counting idle([] {});
  functions.pause = &idle;
  CHECK(trainer.evaluate(rows.data(), functions) == expected);
  CHECK(idle.count >= 1);

  Counting throws([] { throw std::runtime_error("enough"); });
  functions.pause = &throws;
  CHECK_THROWS(trainer.evaluate(rows.data(), functions), std::runtime_error);
  CHECK(trainer.evaluate(rows.data()) == expected);

  std::vector<double> within;
  Counting evaluates([&] { within = trainer.evaluate(rows.data()); });
  functions.pause = &evaluates;
  CHECK(trainer.evaluate(rows.data(), functions) == expected);
  CHECK(within == expected);

  // A prediction in another precision leaves the rest of this evaluation alone.
  Counting predicts([&] {
    std::vector<float> other(100);
    network.predict(rows.features(100), {other.data(), 100, 1, 1}, MatmulPrecision::medium);
  });
  functions.pause = &predicts;
  CHECK(trainer.evaluate(rows.data(), functions) == expected);

  // The penalty, too, is that of the weights that all rows are scored with.
  const std::vector<float> zeros(network.weights()[0].size(), 0.0f);
  Counting changes([&] { network.set_weight(0, zeros.data()); });
  functions.pause = &changes;
  const std::vector<double> changed = trainer.evaluate(rows.data(), functions);
  CHECK(changed == trainer.evaluate(rows.data()));
  CHECK(changed != expected);
}

void test_validations_of_a_fit() {
  const Rows rows;
  const Dataset validation = rows.data();
  Dataset few = rows.data();
  few.x.rows = few.y.rows = 64;
  FitOptions options;
  options.batch_size = 32;
  options.epochs = 2;
  const double rate = 1e-3;
  options.rates = {&rate, 1};
  Network network(network_spec()), other(network_spec());
  Trainer trainer(network, {losses::MeanSquaredError{}, Adam{}, {}});
  Trainer paused(other, {losses::MeanSquaredError{}, Adam{}, {}});
  FitResult expected, result;
  trainer.fit(few, &validation, options, nullptr, expected);
  Counting idle([] {});
  options.functions.pause = &idle;
  paused.fit(few, &validation, options, nullptr, result);
  CHECK(result.logs == expected.logs);
  CHECK(idle.count >= 1);

  Counting throws([] { throw std::runtime_error("enough"); });
  options.functions.pause = &throws;
  const std::vector<float> before = predicted(other, rows, nullptr, 100);
  CHECK_THROWS(paused.fit(few, &validation, options, nullptr, result), std::runtime_error);
  CHECK(predicted(other, rows, nullptr, 100) == before);   // the epoch is undone
  CHECK(paused.epoch() == 2);

  // Another thread may set weights in a pause: loss and penalty of the validation are those of the new ones.
  const std::vector<float> zeros(other.weights()[0].size(), 0.0f);
  Counting changes([&] { other.set_weight(0, zeros.data()); });
  options.functions.pause = &changes;
  options.epochs = 1;
  paused.fit(few, &validation, options, nullptr, result);
  CHECK(result.logs.back().back() == paused.evaluate(validation)[0]);
  CHECK(result.logs.back().back() != expected.logs.back().back());
}

}  // namespace

int main() {
  test_predictions();
  test_evaluations(metrics::MeanAbsoluteError{});
  test_evaluations(metrics::R2Score{});
  test_validations_of_a_fit();
  return report("pauses");
}
