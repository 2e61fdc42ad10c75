// Counts the cache lines that cross between the cores of a team in a step of training:
//   bench_crossings 784 256 128 10 [--batch 128] [--threads 2] [--steps 3]
// The network has dense layers of these widths (inputs first) with relu and a softmax at the end, and Adam. It is
// trained by the library itself, compiled so that each load and store calls a function (hooks.cpp), with the baseline
// kernels. They read and write what the kernels of other instruction sets do, since shapes and the size of the L2 cache
// (FASTREG_L2_CACHE is another one) decide which member of a team computes what; only prefetching is not seen, which
// tests/cpp/test_fetches.cpp looks at. Caches are without end (lines.h). Counts are means of a step, taken after
// warming up: lines that a core reads after another one has written them, and lines that it writes and another one
// holds. Those of the barrier and of the run's own objects depend on how long members wait.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "fastreg/runtime.h"
#include "fastreg/trainer.h"
#include "lines.h"
#include "trace.h"

namespace {

using namespace fastreg;

constexpr std::size_t kWarm = 2;   // steps before the first that counts

struct Plan {
  std::vector<std::size_t> widths;
  std::size_t batch = 128, threads = 2, steps = 3;
};

std::size_t number(const std::string& text) {
  std::size_t end = 0;
  const unsigned long value = text.empty() || text[0] < '0' || text[0] > '9' ? 0 : std::stoul(text, &end);
  if (value == 0 || end != text.size()) throw std::invalid_argument("'" + text + "' is not a positive integer");
  return value;
}

Plan read_plan(int count, char** arguments) {
  Plan plan;
  for (int i = 1; i < count; ++i) {
    const std::string text = arguments[i];
    std::size_t* const option = text == "--batch"     ? &plan.batch
                                : text == "--threads" ? &plan.threads
                                : text == "--steps"   ? &plan.steps
                                                      : nullptr;
    if (option == nullptr)
      plan.widths.push_back(number(text));
    else
      *option = number(i + 1 < count ? arguments[++i] : "");
  }
  if (plan.widths.size() < 2) throw std::invalid_argument("at least two widths are needed");
  if (plan.threads > bench::Lines::kMostCores) throw std::invalid_argument("there are counts for 8 threads at most");
  return plan;
}

NetworkSpec network_of(const Plan& plan) {
  NetworkSpec spec{plan.widths[0], 1, {}};
  for (std::size_t i = 1; i < plan.widths.size(); ++i) {
    Dense layer;
    layer.units = plan.widths[i];
    layer.activation = i + 1 < plan.widths.size() ? ActivationKind::relu : ActivationKind::softmax;
    spec.layers.push_back(layer);
  }
  return spec;
}

// One epoch, whose last step does not count.
void train(const Plan& plan) {
  const std::size_t rows = (kWarm + plan.steps + 1) * plan.batch, cols = plan.widths[0];
  std::vector<float> x(rows * cols);
  std::vector<std::int32_t> labels(rows);
  std::uint32_t state = 1;
  const auto draw = [&] { return (state = state * 1664525u + 1013904223u) >> 8; };
  for (float& value : x) value = static_cast<float>(draw()) * 0x1p-23f - 1.0f;
  for (std::int32_t& label : labels) label = static_cast<std::int32_t>(draw() % plan.widths.back());
  set_num_threads(static_cast<int>(plan.threads));
  Network network(network_of(plan));
  Trainer trainer(network, {losses::SparseCategoricalCrossentropy{}, Adam{}, {}});
  trainer.set_parallel_threshold(0.0);
  Dataset data;
  data.x = {x.data(), rows, cols, cols};
  data.labels = {labels.data(), rows};
  FitOptions options;
  options.batch_size = plan.batch;
  FitResult result;
  bench::count_steps(kWarm, kWarm + plan.steps, plan.threads);
  trainer.fit(data, nullptr, options, nullptr, result);
}

void print(const Plan& plan) {
  const auto sizes = bench::lines_of_arrays();
  const double steps = static_cast<double>(plan.steps);
  double read = 0.0, written = 0.0;
  std::printf("%-28s %9s  %-14s %11s %11s\n", "array", "lines", "while", "reads", "writes");
  for (const auto& [key, count] : bench::counts()) {
    const auto size = sizes.find(key.first);
    std::printf("%-28s %9zu  %-14s %11.1f %11.1f\n", key.first.c_str(), size == sizes.end() ? 0 : size->second,
                bench::name_of(key.second), static_cast<double>(count.read) / steps,
                static_cast<double>(count.written) / steps);
    read += static_cast<double>(count.read) / steps;
    written += static_cast<double>(count.written) / steps;
  }
  std::printf("%-28s %9s  %-14s %11.1f %11.1f\n", "all", "", "", read, written);
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const Plan plan = read_plan(count, arguments);
    train(plan);
    print(plan);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_crossings: %s\n", error.what());
    return 1;
  }
  return 0;
}
