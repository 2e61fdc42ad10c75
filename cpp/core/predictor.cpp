// The public Predictor. The weights of all frozen layers are packed into one buffer, the arena; the rows of a call are
// cut into blocks, which threads share.
#include "fastreg/predictor.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "core/folding.h"
#include "core/shapes.h"
#include "fastreg/runtime.h"

namespace fastreg {
namespace {

// The total size of the two scratch buffers, in floats, up to which they are on the stack.
constexpr std::size_t kStackFloats = 4096;
// The largest size of one scratch buffer in floats, unless a single row is longer. Where layers are very wide, blocks
// have fewer rows, because a thread keeps its buffers until it ends.
constexpr std::size_t kScratchFloats = std::size_t{1} << 18;
// The time that an element takes for being read and written, and for its activation, expressed as the number of
// operations that a matrix product does in that time.
constexpr double kWorkPerElement = 30.0, kWorkPerActivation = 70.0;
// The size of the weights in bytes from which a part of them may still be in the L2 cache after a call; the next call
// then begins with that part.
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
    require(static_cast<std::size_t>(layer.activation) < activation_count(), i, "has an unknown activation");
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

double product_flops(const FrozenLayer& layer) {
  return layer.kernel.empty() ? 0.0 : 2.0 * static_cast<double>(layer.in) * static_cast<double>(layer.out);
}

// The activations linear and relu are computed within the product and cost nothing more.
double total_work(const FrozenLayer& layer) {
  const bool cheap = layer.activation == ActivationKind::linear || layer.activation == ActivationKind::relu;
  const double element = (layer.kernel.empty() ? kWorkPerElement : 0.0) + (cheap ? 0.0 : kWorkPerActivation);
  return product_flops(layer) + element * static_cast<double>(padded_ld(layer.out));
}

std::size_t panel_floats(const FrozenLayer& layer) {
  return layer.kernel.empty() ? 0 : round_up(layer.in * padded_ld(layer.out), kLane);
}

// A buffer that the thread keeps from call to call, for batches that are too large for the stack.
float* thread_scratch(const Backend& backend, std::size_t floats) {
  thread_local Buffer kept;
  if (kept.size() < floats) {
    kept = Buffer();   // releases the old one before the new one is allocated
    kept = Buffer(backend, floats);
  }
  return kept.data();
}

// Whether this call visits the panels in reverse order: every second call of a predictor on a thread does. Up to 64
// predictors have a bit of their own, because the thread's last call may have been of another predictor.
bool next_direction(std::uint64_t bit) {
  thread_local std::uint64_t backwards = 0;
  backwards ^= bit;
  return (backwards & bit) != 0;
}

std::uint64_t next_bit() {
  static std::atomic<unsigned> made{0};
  return std::uint64_t{1} << made.fetch_add(1, std::memory_order_relaxed) % 64;
}

// The number of rows of a block, such that blocks have equal sizes and threads equal numbers of blocks. Short calls on
// one thread skip the divisions.
std::size_t even_block(std::size_t rows, std::size_t most, std::size_t threads) {
  if (threads == 1 && rows <= most) return rows;
  const std::size_t blocks = round_up((rows + most - 1) / most, threads);
  return (rows + blocks - 1) / blocks;
}

}  // namespace

struct Predictor::Program {
  const Backend& backend;
  std::size_t n_features = 0, n_outputs = 0, widest = 0, most_rows = 0;   // widest: the largest ld of a step
  double flops = 0.0, work = 0.0;   // per row
  std::vector<InferenceStep> steps;   // their pointers point into the arena
  Buffer arena;
  const std::uint64_t direction_bit = next_bit();

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
  float* scratch;               // holds 2 * scratch_floats for each member of the team
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
  double memory = 0.0;   // a double, because the sizes of a hostile description could overflow an integer
  for (const FrozenLayer& layer : layers)
    memory += static_cast<double>(panel_floats(layer)) + 3.0 * static_cast<double>(layer.out);
  require_memory("freeze: this network", memory);
  std::size_t floats = 0;
  for (const FrozenLayer& layer : layers) floats += panel_floats(layer) + 3 * round_up(layer.out, kLane);
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
      pack_panels({layer.kernel.data(), layer.in, layer.out, layer.out}, free);
      free += panel_floats(layer);
    }
    step.bias = place(layer.bias);
    step.mean = place(layer.mean);
    step.scale = place(layer.scale);
    steps.push_back(step);
    flops += product_flops(layer);
    work += total_work(layer);
    widest = std::max(widest, padded_ld(layer.out));
  }
  most_rows = std::max<std::size_t>(1, std::min(kBlockRows, kScratchFloats / widest));
}

void Predictor::Program::run(MatrixView<const float> x, MatrixView<float> out) const {
  if (x.rows == 0) return;
  std::size_t threads = 1;
  const double shares = work * static_cast<double>(x.rows) / kFlopsPerThread;
  if (shares >= 2.0) {
    const std::size_t budget = static_cast<std::size_t>(num_threads());
    threads = std::min({budget, x.rows, static_cast<std::size_t>(std::min(shares, 1e6))});
  }
  const std::size_t block_rows = even_block(x.rows, most_rows, threads);
  Job job{*backend.kernels, steps, x, out, block_rows, nullptr, round_up(block_rows * widest, kLane), false};
  job.reversed = x.rows == 1 && arena.size() * sizeof(float) >= kAlternateFrom && next_direction(direction_bit);
  const std::size_t floats = 2 * job.scratch_floats * threads;
  if (floats > kStackFloats) {
    job.scratch = thread_scratch(backend, floats);
    return backend.run(threads, infer_blocks, &job);
  }
  alignas(64) float stack[kStackFloats + kLane];   // kLane more, because kernels may read past the end
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
double Predictor::flops_per_row() const { return program_->flops; }
double Predictor::work_per_row() const { return program_->work; }

std::vector<FrozenLayer> Predictor::layers() const {
  std::vector<FrozenLayer> out;
  const auto values = [](const float* data, std::size_t n) {
    return data == nullptr ? std::vector<float>() : std::vector<float>(data, data + n);
  };
  for (const InferenceStep& step : program_->steps) {
    FrozenLayer layer{step.k, step.cols, {}, {}, {}, {}, step.activation};
    if (step.w != nullptr) {
      layer.kernel.resize(step.k * step.cols);
      unpack_panels(step.w, {layer.kernel.data(), step.k, step.cols, step.cols});
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
  require_shape("out", out, x.rows, n_outputs());
  program_->run(x, out);
}

}  // namespace fastreg
