// Determines the liveness of buffers in inference.
#include "core/inference_plan.h"

#include <algorithm>

#include "core/buffer_pool.h"
#include "core/graph.h"

namespace fastreg {
namespace {

class InferencePlanner {
 public:
  InferencePlanner(const Graph& graph, const std::vector<std::size_t>& values)
      : graph_(graph), values_(values), readers_(graph.value_count(), 0), buffer_(graph.value_count(), kNone) {}

  InferencePlan run() {
    count_readers();
    counted_ = readers_;
    plan_.stays.resize(graph_.n_inputs(), false);
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
    InferencePlan::Step step{&operation, index, {}, pool_.take(operation.out_ld()), kNone};
    if (inputs[0] < graph_.n_inputs() && counted_[inputs[0]] == 1 && operation.reads_any_rows()) {
      step.caller_rows = inputs[0];
      plan_.stays[inputs[0]] = true;
    }
    buffer_[made] = step.output;
    for (const std::size_t value : inputs) step.inputs.push_back(buffer_[value]);
    for (const std::size_t value : inputs)
      if (--readers_[value] == 0) pool_.give_back(buffer_[value]);
    plan_.steps.push_back(std::move(step));
  }

  const Graph& graph_;
  const std::vector<std::size_t>& values_;
  std::vector<std::size_t> readers_, buffer_;   // for each value: the number of its future readers, and its buffer
  std::vector<std::size_t> counted_;            // for each value: the number of all its readers
  BufferPool pool_;
  InferencePlan plan_;
};

}  // namespace

InferencePlan plan_inference(const Graph& graph, const std::vector<std::size_t>& values) {
  return InferencePlanner(graph, values).run();
}

InferenceBuffers::InferenceBuffers(const Graph& graph, const InferencePlan& plan, std::size_t rows,
                                   const ProductPrecision& precision)
    : graph_(&graph), plan_(&plan) {
  std::size_t floats = 0, reads = 0, scratch = 0;
  for (const InferencePlan::Step& step : plan.steps)
    scratch = std::max(scratch, step.operation->infer_scratch_floats(rows, precision));
  for (const std::size_t ld : plan.lds) floats += round_up(rows * ld, kLane) + kLane;
  for (const InferencePlan::Step& step : plan.steps) reads += step.inputs.size();
  arena_ = Buffer(graph.backend, floats + scratch);
  buffers_.reserve(plan.lds.size());
  float* next = arena_.data();
  for (const std::size_t ld : plan.lds) {
    buffers_.push_back(next);
    next += round_up(rows * ld, kLane) + kLane;
  }
  scratch_ = next;
  reads_.reserve(reads);
  for (const InferencePlan::Step& step : plan.steps)
    for (const std::size_t buffer : step.inputs) reads_.push_back(buffers_[buffer]);
}

void InferenceBuffers::run(Span<const Features> x, const std::uint32_t* index, std::size_t begin,
                           std::size_t n) const {
  const Kernels& kernels = *graph_->backend.kernels;
  const Team alone;
  Pass pass{kernels, alone, n, graph_->weights.data(), nullptr, 0, 0, nullptr, scratch_};
  pass.precision = graph_->packed.precision();
  for (std::size_t i = 0; i < plan_->inputs.size(); ++i) {
    if (plan_->stays[i] && readable(x[i], index)) continue;
    kernels.gather_rows({x[i].data, x[i].type, x[i].stride, index, begin, buffers_[plan_->inputs[i]], x[i].cols,
                         padded_ld(x[i].cols), {0, n}});
  }
  const float* const* reads = reads_.data();
  for (const InferencePlan::Step& step : plan_->steps) {
    pass.packed_kernel = graph_->packed.of(step.index);
    if (step.caller_rows != kNone && readable(x[step.caller_rows], index)) {
      const Features& rows = x[step.caller_rows];
      const float* const first = static_cast<const float*>(rows.data) + begin * rows.stride;
      pass.ldx = rows.stride;
      step.operation->infer(pass, &first, buffers_[step.output]);
      pass.ldx = 0;
    } else {
      step.operation->infer(pass, reads, buffers_[step.output]);
    }
    reads += step.inputs.size();
  }
}

}  // namespace fastreg
