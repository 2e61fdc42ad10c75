// Goes through the operations from the last to the first and determines the buffers of their gradients.
#include "core/backward_plan.h"

#include "core/buffer_pool.h"

namespace fastreg {
namespace {

class BackwardPlanner {
 public:
  BackwardPlanner(const Graph& graph, const std::vector<std::size_t>& scored)
      : graph_(graph), readers_(graph.value_count(), 0), gradients_(graph.value_count()) {
    find_needed();
    for (const std::size_t value : scored) {
      ++readers_[value];
      gradients_[value].buffer = pool_.take(padded_ld(graph.width(value)));
      plan_.scored.push_back(gradients_[value].buffer);
    }
    for (std::size_t i = graph.operations.size(); i-- > 0;)
      if (readers_[graph.n_inputs() + i] > 0)
        for (const std::size_t value : graph.inputs[i]) ++readers_[value];
  }

  BackwardPlan run() {
    for (std::size_t i = graph_.operations.size(); i-- > 0;) {
      const std::size_t made = graph_.n_inputs() + i;
      if (gradients_[made].buffer == kNone) continue;
      if (!needed_[made])
        pool_.give_back(gradients_[made].buffer);
      else if (graph_.operations[i]->passes_gradient_on())
        pass_on(i);
      else if (graph_.inputs[i].size() > 1)
        go_through_join(i);
      else
        go_through(i);
    }
    plan_.lds = pool_.lds();
    return std::move(plan_);
  }

 private:
  struct Gradient {
    std::size_t buffer = kNone;   // the buffer that holds it at this point
    std::size_t outer = kNone;    // the operation that left it as an outer product
  };

  // The gradient of a value is needed if a trainable operation computes the value, or a value that it depends on.
  void find_needed() {
    needed_.assign(graph_.value_count(), false);
    for (std::size_t i = 0; i < graph_.operations.size(); ++i) {
      bool needed = graph_.operations[i]->trainable();
      for (const std::size_t value : graph_.inputs[i]) needed = needed || needed_[value];
      needed_[graph_.n_inputs() + i] = needed;
    }
  }

  std::size_t take_for(std::size_t value) { return pool_.take(padded_ld(graph_.width(value))); }

  // Adds a part of the gradient of a value. Its buffer becomes that of the value or is released.
  void give(std::size_t value, std::size_t buffer) {
    Gradient& gradient = gradients_[value];
    if (gradient.buffer == kNone) {
      gradient.buffer = buffer;
      return;
    }
    add(value, buffer);
    pool_.give_back(buffer);
  }
  void add(std::size_t value, std::size_t buffer) { move(BackwardPlan::Kind::add, value, buffer); }
  void move(BackwardPlan::Kind kind, std::size_t value, std::size_t buffer) {
    plan_.steps.push_back({kind, kNone, 0, buffer, gradients_[value].buffer, kNone, padded_ld(graph_.width(value))});
  }

  // The gradient of the output equals that of every input. One of them takes its buffer.
  void pass_on(std::size_t index) {
    const std::size_t dy = gradients_[graph_.n_inputs() + index].buffer;
    const std::vector<std::size_t>& inputs = graph_.inputs[index];
    std::size_t last = kNone;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (needed_[inputs[i]]) last = i;
    bool taken = false;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::size_t value = inputs[i];
      if (!needed_[value]) continue;
      if (gradients_[value].buffer != kNone) {
        add(value, dy);
      } else if (i == last) {
        gradients_[value].buffer = dy;
        taken = true;
      } else {
        gradients_[value].buffer = take_for(value);
        move(BackwardPlan::Kind::copy, value, dy);
      }
    }
    if (!taken) pool_.give_back(dy);
  }

  void go_through_join(std::size_t index) {
    const std::size_t dy = gradients_[graph_.n_inputs() + index].buffer;
    for (std::size_t i = 0; i < graph_.inputs[index].size(); ++i) {
      const std::size_t value = graph_.inputs[index][i];
      if (!needed_[value]) continue;
      const std::size_t dx = take_for(value);
      plan_.steps.push_back({BackwardPlan::Kind::operation, index, i, dy, dx, kNone, 0});
      give(value, dx);
    }
    pool_.give_back(dy);
  }

  void go_through(std::size_t index) {
    const Operation& operation = *graph_.operations[index];
    const Gradient from = gradients_[graph_.n_inputs() + index];
    const std::size_t value = graph_.inputs[index][0];
    const bool outer = from.outer != kNone, in_place = operation.backward_in_place(outer);
    BackwardPlan::Step step{BackwardPlan::Kind::operation, index, 0, from.buffer, kNone, from.outer, 0};
    if (needed_[value] && leaves_outer_product(operation, value)) {
      gradients_[value].buffer = from.buffer;
      gradients_[value].outer = index;
      plan_.steps.push_back(step);
      return;
    }
    if (in_place)
      step.dx = from.buffer;
    else if (needed_[value] || outer)
      step.dx = take_for(value);
    plan_.steps.push_back(step);
    if (needed_[value]) give(value, step.dx);
    if (!needed_[value] && !in_place && outer) pool_.give_back(step.dx);
    if (!needed_[value] || !in_place) pool_.give_back(from.buffer);
  }

  bool leaves_outer_product(const Operation& operation, std::size_t value) const {
    return readers_[value] == 1 && graph_.operations[value - graph_.n_inputs()]->takes_outer_product() &&
           operation.outer_product_row(graph_.weights.data()) != nullptr;
  }

  const Graph& graph_;
  std::vector<std::size_t> readers_;   // the number of readers of each value, including the loss
  std::vector<Gradient> gradients_;
  std::vector<bool> needed_;
  BufferPool pool_;
  BackwardPlan plan_;
};

}  // namespace

BackwardPlan plan_backward(const Graph& graph, const std::vector<std::size_t>& scored) {
  return BackwardPlanner(graph, scored).run();
}

}  // namespace fastreg
