// The public Predictor: a chain, which is one call of the kernel table for a block of rows, or a graph of them.
#include "fastreg/predictor.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "core/folding.h"
#include "core/frozen_graph.h"
#include "core/serving.h"
#include "core/shapes.h"

namespace fastreg {
namespace {

// The size of the weights in bytes from which a part of them may still be in the L2 cache after a call; the next call
// then begins with that part.
constexpr std::size_t kAlternateFrom = std::size_t{256} << 10;

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

// A call whose rows are converted to float32 a block at a time.
struct ConvertingJob {
  Job job;   // its x is not used
  Features x;
  std::size_t ld, member_floats;   // of converted rows; of all scratch memory of a member of the team
  std::atomic<bool> beyond{false};
};

// Whether finite numbers became infinite in rows [begin, begin + rows), which were converted to `converted`.
bool has_lost(const Kernels& kernels, const Features& x, std::size_t begin, std::size_t rows, const float* converted,
              std::size_t ld) {
  if (x.type != ElementType::float64 || kernels.all_finite(converted, ElementType::float32, rows * ld)) return false;
  const double* const from = static_cast<const double*>(x.data) + begin * x.stride;
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < x.cols; ++c)
      if (std::isinf(converted[r * ld + c]) && !std::isinf(from[r * x.stride + c])) return true;
  return false;
}

void convert_and_infer(void* context, const Team& team) {
  ConvertingJob& all = *static_cast<ConvertingJob*>(context);
  const Job& job = all.job;
  const Range mine = team.split((all.x.rows + job.block_rows - 1) / job.block_rows);
  float* const scratch = job.scratch + team.rank * all.member_floats;
  float* const converted = scratch + 2 * job.scratch_floats;
  for (std::size_t block = mine.begin; block < mine.end; ++block) {
    const std::size_t row = block * job.block_rows, rows = std::min(job.block_rows, all.x.rows - row);
    job.kernels.gather_rows(
        {all.x.data, all.x.type, all.x.stride, nullptr, row, converted, all.x.cols, all.ld, {0, rows}});
    if (has_lost(job.kernels, all.x, row, rows, converted, all.ld)) all.beyond = true;
    job.kernels.infer({job.steps.data(), job.steps.size(), converted, all.ld, job.out.data + row * job.out.stride,
                       job.out.stride, rows, {scratch, scratch + job.scratch_floats}, job.reversed});
  }
}

// Whether a network is a single chain.
bool is_chain(const FrozenNetwork& network) {
  return network.inputs.size() == 1 && network.nodes.size() == 1 && network.outputs.size() == 1 &&
         network.nodes[0].kind == FrozenNode::Kind::chain;
}

}  // namespace

struct Predictor::Program {
  const Backend& backend;
  std::size_t n_features = 0, n_outputs = 0, most_rows = 0;
  PackedLayers packed;
  const std::uint64_t direction_bit = next_bit();
  std::vector<NetworkInput> inputs;
  std::vector<NetworkOutput> outputs;

  // input, output: the names.
  Program(const std::vector<FrozenLayer>& layers, MatmulPrecision precision, const std::string& input,
          const std::string& output)
      : backend(cpu_backend()), packed(layers, product_precision(backend, precision)) {
    inputs.push_back({input, packed.steps.front().k});
    outputs.push_back({output, 1});
    n_features = packed.steps.front().k;
    n_outputs = packed.steps.back().cols;
    most_rows =
        std::max(packed.buffers.least_rows(), std::min(kBlockRows, kScratchFloats / packed.buffers.row_floats()));
  }
  void check(const void* x, std::size_t rows, std::size_t cols, const MatrixView<float>& out) const {
    if (cols != n_features)
      throw std::invalid_argument("x must have " + std::to_string(n_features) + " columns, got " +
                                  std::to_string(cols));
    require_shape("out", out, rows, n_outputs);
    require_data("x", x, rows);
    require_data("out", out.data, rows);
  }
  void run(MatrixView<const float> x, MatrixView<float> out) const;
  bool run_converted(const Features& x, MatrixView<float> out) const;
  bool reverses(std::size_t rows) const {
    return rows == 1 && packed.arena.size() * sizeof(float) >= kAlternateFrom && next_direction(direction_bit);
  }
};

void Predictor::Program::run(MatrixView<const float> x, MatrixView<float> out) const {
  if (x.rows == 0) return;
  const std::size_t threads = serving_threads(packed.work, x.rows);
  const std::size_t block_rows = even_block(x.rows, most_rows, threads);
  Job job{*backend.kernels, packed.steps, x, out, block_rows, nullptr, packed.buffers.floats(block_rows), false};
  job.reversed = reverses(x.rows);
  with_scratch(backend, 2 * job.scratch_floats * threads, [&](float* scratch) {
    job.scratch = scratch;
    backend.run(threads, infer_blocks, &job);
  });
}

bool Predictor::Program::run_converted(const Features& x, MatrixView<float> out) const {
  if (x.rows == 0) return true;
  const std::size_t threads = serving_threads(packed.work, x.rows), ld = padded_ld(x.cols);
  const std::size_t most = std::max<std::size_t>(1, std::min(most_rows, kScratchFloats / ld));
  const std::size_t block_rows = even_block(x.rows, most, threads);
  const std::size_t chain = packed.buffers.floats(block_rows);
  ConvertingJob all{{*backend.kernels, packed.steps, {}, out, block_rows, nullptr, chain, reverses(x.rows)},
                    x, ld, 2 * chain + round_up(block_rows * ld, kLane)};
  with_scratch(backend, all.member_floats * threads, [&](float* scratch) {
    all.job.scratch = scratch;
    backend.run(threads, convert_and_infer, &all);
  });
  return !all.beyond;
}

Predictor::Predictor(const std::vector<FrozenLayer>& layers, MatmulPrecision precision)
    : program_(std::make_unique<const Program>(layers, precision, "", "")), precision_(precision) {}
Predictor::Predictor(const FrozenNetwork& network, MatmulPrecision precision) : precision_(precision) {
  if (is_chain(network))
    program_ =
        std::make_unique<const Program>(chain_of(network), precision, network.inputs[0].name, network.outputs[0].name);
  else
    graph_ = std::make_unique<const FrozenGraph>(network, product_precision(cpu_backend(), precision));
}
Predictor::Predictor(const Network& network, MatmulPrecision precision)
    : Predictor(fold(*network.graph_, product_precision(cpu_backend(), precision)), precision) {}
Predictor::~Predictor() = default;
Predictor::Predictor(Predictor&&) noexcept = default;
Predictor& Predictor::operator=(Predictor&&) noexcept = default;

std::size_t Predictor::n_features() const { return graph_ ? graph_->n_features(0) : program_->n_features; }
std::size_t Predictor::n_outputs() const { return graph_ ? graph_->n_outputs(0) : program_->n_outputs; }
double Predictor::flops_per_row() const { return graph_ ? graph_->flops_per_row() : program_->packed.flops; }
double Predictor::work_per_row() const { return graph_ ? graph_->work_per_row() : program_->packed.work; }

FrozenNetwork Predictor::network() const {
  if (graph_) return graph_->network();
  return {program_->inputs, {{FrozenNode::Kind::chain, {0}, program_->packed.layers()}}, program_->outputs};
}

const std::vector<NetworkInput>& Predictor::inputs() const { return graph_ ? graph_->inputs() : program_->inputs; }
const std::vector<NetworkOutput>& Predictor::outputs() const { return graph_ ? graph_->outputs() : program_->outputs; }

std::vector<std::size_t> Predictor::output_widths() const {
  if (!graph_) return {program_->n_outputs};
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < graph_->outputs().size(); ++i) out.push_back(graph_->n_outputs(i));
  return out;
}

std::string Predictor::summary() const {
  return graph_ ? graph_->summary() : std::to_string(n_features()) + program_->packed.summary();
}

void Predictor::predict(MatrixView<const float> x, MatrixView<float> out) const {
  const Program* const program = program_.get();
  if (program == nullptr) return predict({&x, 1}, {&out, 1});
  program->check(x.data, x.rows, x.cols, out);
  program->run(x, out);
}

bool Predictor::predict_features(const Features& x, MatrixView<float> out) const {
  require_type("x", x.type);
  if (x.type == ElementType::float32) {
    predict(MatrixView<const float>{static_cast<const float*>(x.data), x.rows, x.cols, x.stride}, out);
    return true;
  }
  if (program_) {
    program_->check(x.data, x.rows, x.cols, out);
    return program_->run_converted(x, out);
  }
  const MatrixView<const float> given{static_cast<const float*>(x.data), x.rows, x.cols, x.stride};   // is not read
  graph_->check({&given, 1}, {&out, 1});
  const Backend& backend = cpu_backend();
  const std::size_t ld = padded_ld(x.cols), most = std::min(x.rows, std::max<std::size_t>(1, kScratchFloats / ld));
  bool within = true;
  with_scratch<ScratchOfConversions>(backend, most * ld, [&](float* converted) {
    for (std::size_t row = 0; row < x.rows; row += most) {
      const std::size_t rows = std::min(most, x.rows - row);
      backend.kernels->gather_rows({x.data, x.type, x.stride, nullptr, row, converted, x.cols, ld, {0, rows}});
      within &= !has_lost(*backend.kernels, x, row, rows, converted, ld);
      predict(MatrixView<const float>{converted, rows, x.cols, ld},
              MatrixView<float>{out.data + row * out.stride, rows, out.cols, out.stride});
    }
  });
  return within;
}

void Predictor::predict(Span<const MatrixView<const float>> x, Span<const MatrixView<float>> out) const {
  if (!graph_) {
    check_count("x", 1, x.size);
    check_count("out", 1, out.size);
    return predict(x[0], out[0]);
  }
  graph_->check(x, out);
  graph_->run(x, out);
}

}  // namespace fastreg
