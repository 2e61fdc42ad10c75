// Determines the liveness of buffers in inference.
#include "core/inference_plan.h"

#include "core/buffer_pool.h"
#include "core/graph.h"

namespace fastreg {
namespace {

class Planner {
 public:
  Planner(const Graph& graph, const std::vector<std::size_t>& values)
      : graph_(graph), values_(values), readers_(graph.value_count(), 0), buffer_(graph.value_count(), kNone) {}

  InferencePlan run() {
    count_readers();
    for (std::size_t value = 0; value < graph_.n_inputs(); ++value) {
      buffer_[value] = pool_.take(padded_ld(graph_.wiring.widths[value]));
      plan_.inputs.push_back(buffer_[value]);
    }
    for (std::size_t i = 0; i < graph_.operations.size(); ++i)
      if (readers_[graph_.n_inputs() + i] > 0) add(i);
    for (const std::size_t value : values_) plan_.outputs.push_back(buffer_[value]);
    plan_.lds = pool_.lds();
    return std::move(plan_);
  }

 private:
  // Counts the readers of all values that are needed, from the last operation to the first. A value that is requested
  // has one more reader, which never ends.
  void count_readers() {
    for (const std::size_t value : values_) ++readers_[value];
    for (std::size_t i = graph_.operations.size(); i-- > 0;)
      if (readers_[graph_.n_inputs() + i] > 0)
        for (const std::size_t value : graph_.inputs[i]) ++readers_[value];
  }

  void add(std::size_t index) {
    const Operation& operation = *graph_.operations[index];
    const std::vector<std::size_t>& inputs = graph_.inputs[index];
    const std::size_t made = graph_.n_inputs() + index;
    if (operation.identity_in_inference() && readers_[inputs[0]] == 1) {
      buffer_[made] = buffer_[inputs[0]];
      return;
    }
    InferencePlan::Step step{&operation, {}, pool_.take(operation.out_ld())};
    buffer_[made] = step.output;
    for (const std::size_t value : inputs) step.inputs.push_back(buffer_[value]);
    for (const std::size_t value : inputs)
      if (--readers_[value] == 0) pool_.give_back(buffer_[value]);
    plan_.steps.push_back(std::move(step));
  }

  const Graph& graph_;
  const std::vector<std::size_t>& values_;
  std::vector<std::size_t> readers_, buffer_;   // for each value: the number of its future readers, and its buffer
  BufferPool pool_;
  InferencePlan plan_;
};

}  // namespace

InferencePlan plan_inference(const Graph& graph, const std::vector<std::size_t>& values) {
  return Planner(graph, values).run();
}

InferenceBuffers::InferenceBuffers(const Graph& graph, const InferencePlan& plan, std::size_t rows) : graph_(&graph) {
  std::size_t floats = 0, reads = 0;
  for (const std::size_t ld : plan.lds) floats += round_up(rows * ld, kLane) + kLane;
  for (const InferencePlan::Step& step : plan.steps) reads += step.inputs.size();
  arena_ = Buffer(graph.backend, floats);
  std::vector<float*> buffers;
  float* next = arena_.data();
  for (const std::size_t ld : plan.lds) {
    buffers.push_back(next);
    next += round_up(rows * ld, kLane) + kLane;
  }
  reads_.reserve(reads);   // the steps point into it
  steps_.reserve(plan.steps.size());
  for (const InferencePlan::Step& step : plan.steps) {
    steps_.push_back({step.operation, reads_.data() + reads_.size(), buffers[step.output]});
    for (const std::size_t buffer : step.inputs) reads_.push_back(buffers[buffer]);
  }
  for (const std::size_t buffer : plan.inputs) inputs_.push_back(buffers[buffer]);
  for (const std::size_t buffer : plan.outputs) outputs_.push_back(buffers[buffer]);
}

void InferenceBuffers::run(Span<const Features> x, const std::uint32_t* index, std::size_t begin,
                           std::size_t n) const {
  const Kernels& kernels = *graph_->backend.kernels;
  const Team alone;
  const Pass pass{kernels, alone, n, graph_->weights.data(), nullptr, 0, 0};
  for (std::size_t i = 0; i < inputs_.size(); ++i)
    kernels.gather_rows({x[i].data, x[i].type, x[i].stride, index, begin, inputs_[i], x[i].cols, padded_ld(x[i].cols),
                         {0, n}});
  for (const Bound& step : steps_) step.operation->infer(pass, step.x, step.y);
}

}  // namespace fastreg
