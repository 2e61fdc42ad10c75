// Forks while other threads train, predict and create networks. A child finds the state of a complete step and can
// continue from it, and the parent's run is not disturbed. A child that hangs is killed by an alarm.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "check.h"
#include "fastreg/ops.h"
#include "fastreg/predictor.h"
#include "fastreg/runtime.h"
#include "fastreg/trainer.h"

namespace {

using namespace fastreg;

constexpr std::size_t kRows = 400, kFeatures = 12, kEpochs = 10;

template <class Body>
bool in_child(Body body) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct Data {
  std::vector<float> x = std::vector<float>(kRows * kFeatures), y = std::vector<float>(kRows);
  Data() {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 7919) % 1000) / 500.0f - 1.0f;
    for (std::size_t i = 0; i < kRows; ++i) y[i] = x[i * kFeatures] > x[i * kFeatures + 1] ? 1.0f : 0.0f;
  }
  Dataset set() const {
    Dataset out;
    out.x = Features(x.data(), kRows, kFeatures, kFeatures);
    out.y = {y.data(), kRows, 1, 1};
    return out;
  }
};

NetworkSpec network_spec() {
  return parse_network(R"({"format": 1, "n_features": 12, "seed": 3, "layers": [
    {"type": "Dense", "units": 48, "activation": "relu"}, {"type": "Dropout", "rate": 0.25},
    {"type": "Dense", "units": 1, "activation": "sigmoid"}]})");
}

TrainingSpec training_spec() {
  return parse_training(R"({"format": 1, "loss": {"type": "BinaryCrossentropy"},
    "optimizer": {"type": "Adam", "learning_rate": 0.01}, "metrics": []})");
}

struct Model {
  Network network{network_spec()};
  Trainer trainer{network, training_spec()};
  Model() { trainer.set_parallel_threshold(0.0); }

  // All rows in one batch: an epoch is a step.
  void fit(const Data& data, std::size_t epochs, FitObserver* observer = nullptr) {
    FitOptions options;
    options.batch_size = 0;
    options.epochs = epochs;
    FitResult result;
    trainer.fit(data.set(), nullptr, options, observer, result);
  }
  std::vector<float> state() const {
    std::vector<float> all;
    for (std::size_t i = 0; i < network.weights().size(); ++i) {
      std::vector<float> one(network.weights()[i].size());
      network.get_weight(i, one.data());
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }
  std::vector<float> predict(const Data& data) const {
    std::vector<float> out(kRows);
    network.predict(data.set().x, {out.data(), kRows, 1, 1});
    return out;
  }
};

struct Observer : FitObserver {
  std::atomic<std::size_t> epochs{0};
  bool epoch_ended(std::size_t, const std::vector<double>&, bool) override {
    ++epochs;
    return false;
  }
  void poll(std::size_t, std::size_t, std::size_t, double) override {}
};

// A child writes to its own copy of the memory, so it sends its states through a pipe. They are compared with the
// states of an undisturbed run after the forks.
struct Found {
  std::vector<std::vector<float>> states;
  bool all = true;
};

void fork_and_train(Model& model, const Data& data, Found& found) {
  int ends[2];
  if (pipe(ends) != 0) {
    found.all = false;
    return;
  }
  const std::size_t floats = model.network.weights().empty() ? 0 : 12 * 48 + 48 + 48 + 1;
  const auto give = [&](const std::vector<float>& state) {
    return state.size() == floats &&
           write(ends[1], state.data(), floats * sizeof(float)) == static_cast<ssize_t>(floats * sizeof(float));
  };
  const bool good = in_child([&] {
    bool fine = give(model.state());
    const Predictor frozen(model.network);
    std::vector<float> out(kRows);
    frozen.predict({data.x.data(), kRows, kFeatures, kFeatures}, {out.data(), kRows, 1, 1});
    fine = fine && std::all_of(out.begin(), out.end(), [](float p) { return p >= 0.0f && p <= 1.0f; });
    fine = fine && model.predict(data).size() == kRows && model.trainer.evaluate(data.set())[0] > 0.0;
    model.fit(data, 1);
    fine = fine && give(model.state());
    Model fresh;
    fresh.fit(data, 1);
    return fine;
  });
  close(ends[1]);
  found.all = found.all && good;
  for (int i = 0; i < 2; ++i) {
    std::vector<float> state(floats);
    auto* at = reinterpret_cast<char*>(state.data());
    std::size_t left = floats * sizeof(float);
    for (ssize_t got = 1; left > 0 && got > 0; left -= static_cast<std::size_t>(std::max<ssize_t>(got, 0)), at += got)
      got = read(ends[0], at, left);
    found.all = found.all && left == 0;
    found.states.push_back(state);
  }
  close(ends[0]);
}

void test_fit(int threads, bool observed) {
  check::context = std::to_string(threads) + (observed ? " observed" : "");
  set_num_threads(threads);
  const Data data;
  Model model;
  Found found;
  std::atomic<bool> done{false}, begun{false};
  std::size_t rounds = 0;
  std::thread trainer([&] {
    Observer observer;
    while (!done) {
      begun = true;
      model.fit(data, kEpochs, observed ? &observer : nullptr);
      ++rounds;
    }
  });
  std::thread reader([&] {
    while (!done) model.predict(data);
  });
  std::thread maker([&] {
    while (!done) Model();
  });
  while (!begun) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) fork_and_train(model, data, found);
  done = true;
  trainer.join();
  reader.join();
  maker.join();
  CHECK(found.all);

  Model undisturbed;
  std::set<std::vector<float>> states{undisturbed.state()};
  for (std::size_t epoch = 0; epoch < rounds * kEpochs; ++epoch) {
    undisturbed.fit(data, 1);
    states.insert(undisturbed.state());
  }
  CHECK(undisturbed.state() == model.state());
  undisturbed.fit(data, 1);
  states.insert(undisturbed.state());
  for (const std::vector<float>& state : found.states) CHECK(states.count(state) == 1);
}

// A fork within an observer: the child is within it, too, may not call fit, and continues the run like its parent.
struct Forking : Observer {
  Model& model;
  const Data& data;
  bool child = false, refused = false;
  pid_t pid = -1;
  Forking(Model& fitted, const Data& rows) : model(fitted), data(rows) {}
  bool epoch_ended(std::size_t epoch, const std::vector<double>&, bool) override {
    if (epoch != 1) return false;
    std::fflush(stdout);
    pid = fork();
    child = pid == 0;
    if (!child) return false;
    alarm(60);
    model.predict(data);
    try {
      model.fit(data, 1);
    } catch (const std::runtime_error&) {
      refused = true;
    }
    return false;
  }
};

void test_observer(int threads) {
  check::context = std::to_string(threads) + " within an observer";
  set_num_threads(threads);
  const Data data;
  Model expected, model;
  expected.fit(data, 4);
  Forking observer(model, data);
  model.fit(data, 4, &observer);
  const bool same = model.state() == expected.state();
  if (observer.child) {
    model.fit(data, 1);
    expected.fit(data, 1);
    _exit(same && observer.refused && model.state() == expected.state() ? 0 : 1);
  }
  int status = 0;
  waitpid(observer.pid, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(same);
}

// Complete steps leave all parameters equal, since all have one gradient.
void test_updater() {
  check::context = "updater";
  set_num_threads(2);
  std::vector<float> w(300'000, 1.0f);
  const std::vector<float> g(w.size(), 0.01f);
  ops::Updater updater(training_spec().optimizer, w.data(), w.size(), {});
  std::atomic<bool> done{false};
  std::thread other([&] {
    while (!done) updater.step(g.data(), 0.001);
  });
  for (int i = 0; i < 20; ++i) {
    CHECK(in_child([&] {
      updater.step(g.data(), 0.001);
      return std::all_of(w.begin(), w.end(), [&](float value) { return value == w[0]; });
    }));
  }
  done = true;
  other.join();
}

// The child of a child, and a fork while nothing is running.
void test_generations() {
  check::context = "generations";
  const Data data;
  Model model;
  CHECK(in_child([&] {
    model.fit(data, 2);
    return in_child([&] {
      model.fit(data, 2);
      return true;
    });
  }));
}

}  // namespace

int main() {
  for (const int threads : {1, 2}) {
    for (const bool observed : {false, true}) test_fit(threads, observed);
    test_observer(threads);
  }
  test_updater();
  test_generations();
  return report("fork");
}
