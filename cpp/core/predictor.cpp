// The public Predictor: frozen layers packed into one arena, and blocks of rows shared among threads.
#include "fastreg/predictor.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "core/folding.h"
#include "fastreg/runtime.h"

namespace fastreg {
namespace {

// Of both scratch buffers: below this they live on the stack.
constexpr std::size_t kStackFloats = 4096;
constexpr std::size_t kBlockRows = 128;
// Floating-point operations below which a second thread costs more than it brings, as in graph.cpp.
constexpr double kFlopsPerThread = 2e7;
// Bytes of weights from which on a call may find a part of them still in the second cache, and begins with that part.
constexpr std::size_t kAlternateFrom = std::size_t{256} << 10;

void require(bool good, std::size_t index, const char* rule) {
  if (!good) throw std::invalid_argument("frozen layer " + std::to_string(index) + ": " + rule);
}

void check(const std::vector<FrozenLayer>& layers) {
  if (layers.empty()) throw std::invalid_argument("a frozen network has one layer at least");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const FrozenLayer& layer = layers[i];
    require(layer.in > 0 && layer.out > 0, i, "must have inputs and outputs");
    require(i == 0 || layer.in == layers[i - 1].out, i, "must take what the layer before gives");
    require(layer.activation <= ActivationKind::softmax, i, "has an unknown activation");
    if (!layer.kernel.empty()) {
      require(layer.kernel.size() / layer.out == layer.in && layer.kernel.size() % layer.out == 0, i,
              "kernel must have in * out values");
      require(layer.bias.empty() || layer.bias.size() == layer.out, i, "bias must have a value for each output");
      require(layer.mean.empty() && layer.scale.empty(), i, "must have a kernel or a scale, not both");
    } else {
      require(layer.in == layer.out, i, "must have as many outputs as inputs where it has no kernel");
      const std::size_t n = layer.scale.empty() ? 0 : layer.out;
      require(layer.scale.size() == n && layer.mean.size() == n && layer.bias.size() == n, i,
              "mean, scale and bias must have a value for each output, or all be empty");
    }
  }
}

std::size_t panel_floats(const FrozenLayer& layer) {
  return layer.kernel.empty() ? 0 : round_up(layer.in * padded_ld(layer.out), kLane);
}

// Floats that a thread keeps from call to call, for batches too large for the stack.
float* thread_scratch(const Backend& backend, std::size_t floats) {
  thread_local Buffer kept;
  if (kept.size() < floats) {
    kept = Buffer();   // the old one goes first
    kept = Buffer(backend, floats);
  }
  return kept.data();
}

// Whether this call visits the panels backwards: every second one of a thread.
bool next_direction() {
  thread_local bool backwards = false;
  return backwards = !backwards;
}

}  // namespace

struct Predictor::Program {
  const Backend& backend;
  std::size_t n_features = 0, n_outputs = 0, widest = 0;   // widest: largest ld of a step
  double flops_per_row = 0.0;
  std::vector<InferenceStep> steps;   // into the arena
  Buffer arena;

  explicit Program(const std::vector<FrozenLayer>& layers);
  void run(MatrixView<const float> x, MatrixView<float> out) const;
};

namespace {

struct Job {
  const Kernels& kernels;
  const std::vector<InferenceStep>& steps;
  MatrixView<const float> x;
  MatrixView<float> out;
  std::size_t block_rows;
  float* scratch;               // 2 * scratch_floats for each member
  std::size_t scratch_floats;
  bool reversed;
};

void infer_blocks(void* context, const Team& team) {
  const Job& job = *static_cast<Job*>(context);
  const Range mine = team.split((job.x.rows + job.block_rows - 1) / job.block_rows);
  float* const scratch = job.scratch + team.rank * 2 * job.scratch_floats;
  for (std::size_t block = mine.begin; block < mine.end; ++block) {
    const std::size_t row = block * job.block_rows;
    job.kernels.infer({job.steps.data(), job.steps.size(), job.x.data + row * job.x.stride, job.x.stride,
                       job.out.data + row * job.out.stride, job.out.stride,
                       std::min(job.block_rows, job.x.rows - row), {scratch, scratch + job.scratch_floats},
                       job.reversed});
  }
}

}  // namespace

Predictor::Program::Program(const std::vector<FrozenLayer>& layers) : backend(cpu_backend()) {
  check(layers);
  n_features = layers.front().in;
  n_outputs = layers.back().out;
  std::size_t floats = 0;
  for (const FrozenLayer& layer : layers)
    floats += panel_floats(layer) + 3 * round_up(layer.out, kLane);
  require_memory("freeze: this network", static_cast<double>(floats));
  arena = Buffer(backend, floats);
  float* free = arena.data();
  const auto place = [&free](const std::vector<float>& values) -> const float* {
    if (values.empty()) return nullptr;
    float* const begin = free;
    std::copy(values.begin(), values.end(), begin);
    free += round_up(values.size(), kLane);
    return begin;
  };
  for (const FrozenLayer& layer : layers) {
    InferenceStep step{};
    step.k = layer.in;
    step.cols = layer.out;
    step.activation = layer.activation;
    if (!layer.kernel.empty()) {
      step.w = free;
      pack_panels(layer.kernel.data(), layer.in, layer.out, free);
      free += panel_floats(layer);
      flops_per_row += 2.0 * static_cast<double>(layer.in) * static_cast<double>(layer.out);
    }
    step.bias = place(layer.bias);
    step.mean = place(layer.mean);
    step.scale = place(layer.scale);
    steps.push_back(step);
    widest = std::max(widest, padded_ld(layer.out));
  }
}

void Predictor::Program::run(MatrixView<const float> x, MatrixView<float> out) const {
  if (x.rows == 0) return;
  std::size_t threads = 1, block_rows = std::min(x.rows, kBlockRows);
  const double work = flops_per_row * static_cast<double>(x.rows) / kFlopsPerThread;
  if (work >= 2.0) {
    const std::size_t budget = static_cast<std::size_t>(num_threads());
    threads = std::min({budget, x.rows, static_cast<std::size_t>(std::min(work, 1e6))});
    block_rows = std::min(block_rows, (x.rows + threads - 1) / threads);
  }
  Job job{*backend.kernels, steps, x, out, block_rows, nullptr, round_up(block_rows * widest, kLane), false};
  job.reversed = x.rows == 1 && arena.size() * sizeof(float) >= kAlternateFrom && next_direction();
  const std::size_t floats = 2 * job.scratch_floats * threads;
  if (floats > kStackFloats) {
    job.scratch = thread_scratch(backend, floats);
    return backend.run(threads, infer_blocks, &job);
  }
  alignas(64) float stack[kStackFloats + kLane];   // with the readable bytes behind
  job.scratch = stack;
  backend.run(threads, infer_blocks, &job);
}

Predictor::Predictor(const std::vector<FrozenLayer>& layers) : program_(std::make_unique<const Program>(layers)) {}
Predictor::Predictor(const Network& network) : Predictor(fold(*network.graph_)) {}
Predictor::~Predictor() = default;
Predictor::Predictor(Predictor&&) noexcept = default;
Predictor& Predictor::operator=(Predictor&&) noexcept = default;

std::size_t Predictor::n_features() const { return program_->n_features; }
std::size_t Predictor::n_outputs() const { return program_->n_outputs; }
double Predictor::flops_per_row() const { return program_->flops_per_row; }

std::vector<FrozenLayer> Predictor::layers() const {
  std::vector<FrozenLayer> out;
  const auto values = [](const float* data, std::size_t n) {
    return data == nullptr ? std::vector<float>() : std::vector<float>(data, data + n);
  };
  for (const InferenceStep& step : program_->steps) {
    FrozenLayer layer{step.k, step.cols, {}, {}, {}, {}, step.activation};
    if (step.w != nullptr) {
      layer.kernel.resize(step.k * step.cols);
      unpack_panels(step.w, step.k, step.cols, layer.kernel.data());
    }
    layer.bias = values(step.bias, step.cols);
    layer.mean = values(step.mean, step.cols);
    layer.scale = values(step.scale, step.cols);
    out.push_back(std::move(layer));
  }
  return out;
}

std::string Predictor::summary() const {
  std::string out = std::to_string(n_features());
  for (const InferenceStep& step : program_->steps) {
    out += " -> ";
    if (step.w != nullptr) out += std::to_string(step.cols);
    else if (step.scale != nullptr) out += "normalised";
    else out += name(step.activation);
    if ((step.w != nullptr || step.scale != nullptr) && step.activation != ActivationKind::linear)
      out.append(" ").append(name(step.activation));
  }
  return out;
}

void Predictor::predict(MatrixView<const float> x, MatrixView<float> out) const {
  if (x.cols != n_features())
    throw std::invalid_argument("x must have " + std::to_string(n_features()) + " columns, got " +
                                std::to_string(x.cols));
  if (out.rows != x.rows || out.cols != n_outputs())
    throw std::invalid_argument("out must have shape (" + std::to_string(x.rows) + ", " + std::to_string(n_outputs()) +
                                "), got (" + std::to_string(out.rows) + ", " + std::to_string(out.cols) + ")");
  program_->run(x, out);
}

}  // namespace fastreg
