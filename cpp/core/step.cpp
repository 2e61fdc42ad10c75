// The training step. Between two syncs, no member writes what another member reads.
#include "core/step.h"

#include <algorithm>
#include <utility>

namespace fastreg {

TrainingStep::TrainingStep(const Graph& graph, const Objective& objective, const Columns& data, std::size_t most_rows,
                           const ProductPrecision& precision, Buffer& arena, std::vector<EpochOutputs>& epoch)
    : graph_(graph), objective_(objective), data_(data), epoch_(epoch), most_rows_(most_rows), precision_(precision) {
  const BackwardPlan backward = plan_backward(graph, objective.values());
  // Operations that no scored value depends on are a last sigmoid or softmax that its loss computes.
  std::vector<bool> runs(graph.value_count(), false);
  for (const std::size_t value : objective.values()) runs[value] = true;
  for (std::size_t i = graph.operations.size(); i-- > 0;)
    if (runs[graph.n_inputs() + i])
      for (const std::size_t value : graph.inputs[i]) runs[value] = true;
  for (const std::size_t value : graph.penalised_values())
    if (runs[value]) activities_.push_back({value, {}});
  caches_.resize(graph.operations.size());
  lay_out(backward, runs, arena);
  bind(backward, runs);
}

// Lays all buffers out in the arena.
void TrainingStep::lay_out(const BackwardPlan& backward, const std::vector<bool>& runs, Buffer& arena) {
  std::vector<std::pair<float**, std::size_t>> wanted;
  const auto want = [&](float*& pointer, std::size_t floats) { wanted.emplace_back(&pointer, floats); };
  const std::size_t first = graph_.n_inputs();
  values_.resize(graph_.value_count());
  gradients_.resize(backward.lds.size());
  outputs_.resize(objective_.parts().size());
  second_inputs_.resize(first);
  for (std::size_t input = 0; input < first; ++input)
    if (is_gathered_twice(input, runs)) want(second_inputs_[input], most_rows_ * padded_ld(graph_.width(input)));
  for (std::size_t value = 0; value < values_.size(); ++value) {
    if (value >= first && !runs[value]) continue;
    want(values_[value], most_rows_ * padded_ld(graph_.width(value)));
    if (value >= first) want(caches_[value - first], graph_.operations[value - first]->cache_floats(most_rows_));
  }
  for (std::size_t i = 0; i < gradients_.size(); ++i) want(gradients_[i], most_rows_ * backward.lds[i]);
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const Scoring& scoring = objective_.parts()[i].scoring;
    Output& out = outputs_[i];
    out.ld = padded_ld(graph_.width(objective_.parts()[i].value));
    if (scoring.overwrites_output() && is_read_later(objective_.parts()[i].value, runs))
      want(out.scored, most_rows_ * out.ld);
    if (scoring.takes_labels())
      out.labels.resize(most_rows_);
    else if (scoring.reads_targets())
      want(out.targets, most_rows_ * out.ld);
    if (!data_.y[i].sample_weight.empty()) want(out.weights, most_rows_);
    want(out.row_losses, most_rows_);
    want(out.row_metrics, most_rows_ * scoring.metrics().row_count());
    out.block_sums.resize((most_rows_ + kLane - 1) / kLane * scoring.metrics().sum_count());
  }
  for (Activity& activity : activities_) activity.sums.resize(2 * most_rows_);
  std::size_t scratch = 0;
  for (const auto& operation : graph_.operations)
    scratch = std::max(scratch, operation->scratch_floats(most_rows_, precision_));
  want(scratch_, scratch);

  std::size_t total = 0;
  for (auto& [pointer, floats] : wanted) total += floats = round_up(floats, kLane) + kLane;
  require_memory("batch_size: training on so many rows at once", static_cast<double>(total));
  if (arena.size() < total)
    arena = Buffer(graph_.backend, total);
  else
    std::fill_n(arena.data(), total, 0.0f);
  float* next = arena.data();
  for (const auto& [pointer, floats] : wanted) *pointer = std::exchange(next, next + floats);
}

// Whether a backward pass reads a value after it was scored: that of the operation that made it, or of one that reads
// it.
bool TrainingStep::is_read_later(std::size_t value, const std::vector<bool>& runs) const {
  const std::size_t first = graph_.n_inputs();
  if (value >= first && graph_.operations[value - first]->backward_reads_output()) return true;
  for (std::size_t i = 0; i < graph_.operations.size(); ++i) {
    const std::vector<std::size_t>& inputs = graph_.inputs[i];
    if (runs[first + i] && std::find(inputs.begin(), inputs.end(), value) != inputs.end()) return true;
  }
  return false;
}

// Whether two members gather the rows of an input each for itself. Where both read all rows, the lines that one of them
// gathers would cross to the other core, and back for the next batch. A batch that does not stay in the L2 cache comes
// from farther away in any case, and doubles take twice the traffic of memory.
bool TrainingStep::is_gathered_twice(std::size_t input, const std::vector<bool>& runs) const {
  const std::size_t bytes = most_rows_ * padded_ld(graph_.width(input)) * sizeof(float);
  if (data_.x[input].type == ElementType::float64 || 2 * bytes > graph_.backend.l2_cache) return false;
  for (std::size_t i = 0; i < graph_.operations.size(); ++i) {
    const std::vector<std::size_t>& inputs = graph_.inputs[i];
    const bool reads = std::find(inputs.begin(), inputs.end(), input) != inputs.end();
    if (runs[graph_.n_inputs() + i] && reads && graph_.operations[i]->reads_all_rows()) return true;
  }
  return false;
}

void TrainingStep::bind(const BackwardPlan& backward, const std::vector<bool>& runs) {
  const std::size_t first = graph_.n_inputs(), count = graph_.operations.size();
  std::vector<std::size_t> begins(count), step_of(count, kNone);
  for (std::size_t i = 0; i < count; ++i) {
    begins[i] = reads_.size();
    for (const std::size_t value : graph_.inputs[i]) reads_.push_back(values_[value]);
  }
  read_count_ = reads_.size();
  for (const std::vector<std::size_t>& inputs : graph_.inputs) {
    for (const std::size_t value : inputs) {
      float* const second = value < first ? second_inputs_[value] : nullptr;
      reads_.push_back(second != nullptr ? second : values_[value]);
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!runs[first + i]) continue;
    step_of[i] = forward_.size();
    forward_.push_back({graph_.operations[i].get(), reads_.data() + begins[i], values_[first + i], caches_[i]});
  }
  const auto buffer = [&](std::size_t i) { return i != kNone ? gradients_[i] : nullptr; };
  for (const BackwardPlan::Step& step : backward.steps) {
    const float* const row = step.outer == kNone
                                 ? nullptr
                                 : graph_.operations[step.outer]->outer_product_row(graph_.weights.data());
    backward_.push_back({step.operation != kNone ? forward_[step_of[step.operation]] : Forward{},
                         {buffer(step.dy), row, buffer(step.dx), step.input},
                         step.kind,
                         step.ld,
                         shared_layer(backward, step)});
    if (backward_.back().shared != kNone && shared_.data() == nullptr)
      shared_ = Buffer(graph_.backend, graph_.parameters.trainable());
  }
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    Output& out = outputs_[i];
    out.y = values_[objective_.parts()[i].value];
    if (out.scored == nullptr) out.scored = out.y;
    out.gradient = buffer(backward.scored[i]);
  }
}

// The layer of a step of the plan, if an earlier step of the plan overwrites the gradients of the same layer.
std::size_t TrainingStep::shared_layer(const BackwardPlan& backward, const BackwardPlan::Step& step) const {
  if (step.operation == kNone || !graph_.wiring.is_shared(graph_.layers[step.operation])) return kNone;
  const std::size_t layer = graph_.layers[step.operation];
  const auto overwrites = [&](std::size_t operation) {
    return operation != kNone && graph_.layers[operation] == layer && graph_.operations[operation]->trainable() &&
           !graph_.operations[operation]->adds_to_gradient();
  };
  if (!overwrites(step.operation)) return kNone;
  for (const BackwardPlan::Step* other = backward.steps.data(); other != &step; ++other)
    if (overwrites(other->operation)) return layer;
  return kNone;
}

Pass TrainingStep::pass(const Team& team, std::size_t n, const StepPlace& step, float* gradients) const {
  return {*graph_.backend.kernels, team, n, graph_.weights.data(), gradients, graph_.spec.seed,
          static_cast<std::uint32_t>(step.number), step.rates, scratch_, 0, precision_};
}

void TrainingStep::gather(const Team& team, const Batch& batch) {
  const Kernels& kernels = *graph_.backend.kernels;
  const Range mine = team.split(batch.n, kLane);
  if (team.leader()) gathered_by_two_ = team.size == 2;
  for (std::size_t i = 0; i < data_.x.size(); ++i) {
    const Features& x = data_.x[i];
    const bool twice = team.size == 2 && second_inputs_[i] != nullptr;
    kernels.gather_rows({x.data, x.type, x.stride, batch.order, batch.begin,
                         twice && !team.leader() ? second_inputs_[i] : values_[i], x.cols, padded_ld(x.cols),
                         twice ? Range{0, batch.n} : mine});
  }
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    Output& out = outputs_[i];
    const TargetGather targets{data_.y[i], batch.order};
    if (objective_.parts()[i].scoring.takes_labels())
      targets.labels(batch.begin, mine, out.labels.data());
    else if (out.targets != nullptr)
      targets.matrix(kernels, batch.begin, mine, out.targets);
    if (out.weights != nullptr) targets.weights(batch.begin, mine, out.weights);
  }
}

void TrainingStep::forward(const Team& team, std::size_t n, const StepPlace& step, float* gradients) {
  const Pass now = pass(team, n, step, gradients);
  for (const Forward& next : forward_) {
    next.operation->forward(now, inputs_of(next, team), next.y, next.cache);
    team.sync();
  }
}

void TrainingStep::score(const Team& team, const Batch& batch) {
  const Range mine = team.split(batch.n, kLane);   // whole blocks of sums
  for (Activity& activity : activities_) {
    const std::size_t cols = graph_.width(activity.value), ld = padded_ld(cols);
    for (std::size_t r = mine.begin; r < mine.end; ++r)
      graph_.backend.kernels->penalty_sums(values_[activity.value] + r * ld, cols, activity.sums.data() + 2 * r);
  }
  const std::size_t first = mine.begin / kLane, last = (mine.end + kLane - 1) / kLane;
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const Objective::Part& part = objective_.parts()[i];
    Output& out = outputs_[i];
    const std::size_t sums = part.scoring.metrics().sum_count();
    if (first < last)
      std::fill(out.block_sums.data() + first * sums, out.block_sums.data() + last * sums, 0.0);
    if (out.scored != out.y)
      std::copy(out.y + mine.begin * out.ld, out.y + mine.end * out.ld, out.scored + mine.begin * out.ld);
    const float scale = part.weight / static_cast<float>(batch.n);
    part.scoring.score(*graph_.backend.kernels, out.scored,
                       {out.targets, part.scoring.takes_labels() ? out.labels.data() : nullptr}, out.weights, scale,
                       out.gradient, mine, scores(i, batch));
  }
}

void TrainingStep::call_losses(const Batch& batch, const CallLoss& call) {
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const Objective::Part& part = objective_.parts()[i];
    const std::optional<std::size_t> function = part.scoring.function();
    if (!function) continue;
    Output& out = outputs_[i];
    out.call.run(call, *function, data_.y[i], batch.order, batch.begin, batch.n, out.y, graph_.width(part.value),
                 out.ld, true);
    std::copy_n(out.call.values(), batch.n, out.row_losses);
    out.call.write_gradient(out.weights, part.weight / static_cast<float>(batch.n), out.gradient, out.ld);
  }
}

double TrainingStep::add_scores(std::vector<ScoreSums>& sums, const Batch& batch) {
  double loss = 0.0;
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const Objective::Part& part = objective_.parts()[i];
    loss += static_cast<double>(part.weight) * part.scoring.add(scores(i, batch), outputs_[i].weights, batch.n,
                                                                (batch.n + kLane - 1) / kLane, sums[i]);
  }
  return loss;
}

double TrainingStep::activity_penalty(const Batch& batch) const {
  double total = 0.0;
  for (const Activity& activity : activities_)
    for (std::size_t r = 0; r < batch.n; ++r)
      total += penalty_of(graph_.activity_penalty(activity.value), activity.sums.data() + 2 * r);
  return total / static_cast<double>(batch.n);
}

void TrainingStep::backward(const Team& team, std::size_t n, const StepPlace& step, float* gradients) {
  const Pass now = pass(team, n, step, gradients);
  for (const Backward& next : backward_) {
    const Forward& forward = next.forward;
    if (next.shared != kNone) {
      forward.operation->backward(pass(team, n, step, shared_.data()), inputs_of(forward, team), forward.y,
                                  forward.cache, next.flow);
      team.sync();
      add_shared(now, next.shared, gradients);
    } else if (forward.operation != nullptr) {
      forward.operation->backward(now, inputs_of(forward, team), forward.y, forward.cache, next.flow);
    } else {
      move(now, next);
    }
    team.sync();
  }
}

void TrainingStep::add_shared(const Pass& pass, std::size_t layer, float* gradients) const {
  const Range own = graph_.parameters.segments_of(layer);
  for (std::size_t i = own.begin; i < own.end; ++i) {
    float* const to = graph_.parameters.gradient(gradients, i);
    if (to == nullptr) continue;
    const Range part = pass.team.split(graph_.parameters.segments()[i].padded, kLane);
    pass.kernels.combine(Combination::add, to + part.begin,
                         graph_.parameters.gradient(shared_.data(), i) + part.begin, to + part.begin,
                         part.end - part.begin);
  }
}

void TrainingStep::move(const Pass& pass, const Backward& step) {
  const Range part = pass.team.split(pass.rows * step.ld, kLane);
  const float* const from = step.flow.dy;
  float* const to = step.flow.dx;
  if (step.kind == BackwardPlan::Kind::copy)
    std::copy(from + part.begin, from + part.end, to + part.begin);
  else
    pass.kernels.combine(Combination::add, to + part.begin, from + part.begin, to + part.begin, part.end - part.begin);
}

}  // namespace fastreg
