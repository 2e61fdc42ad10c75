// The training step. Between two syncs no member writes what another one reads.
#include "core/step.h"

#include <algorithm>
#include <utility>

namespace fastreg {

TrainingStep::TrainingStep(const Graph& graph, const Scoring& scoring, const Dataset& data, std::size_t most_rows,
                           Buffer& arena)
    : graph_(graph), scoring_(scoring), data_(data), most_rows_(most_rows) {
  scored_value_ = scored_value(graph, scoring);
  plan(arena);
}

// Lays all buffers out in the arena.
void TrainingStep::plan(Buffer& arena) {
  std::vector<std::pair<float**, std::size_t>> wanted;
  const auto want = [&](float*& pointer, std::size_t floats) { wanted.emplace_back(&pointer, floats); };
  const BackwardPlan backward = plan_backward(graph_, {scored_value_});
  const std::size_t count = scoring_.operation_count(), first = graph_.n_inputs();
  std::vector<float*> caches(count);
  values_.resize(first + count);
  gradients_.resize(backward.lds.size());
  for (std::size_t value = 0; value < first + count; ++value) {
    want(values_[value], most_rows_ * padded_ld(graph_.width(value)));
    if (value >= first) want(caches[value - first], graph_.operations[value - first]->cache_floats(most_rows_));
  }
  for (std::size_t i = 0; i < gradients_.size(); ++i) want(gradients_[i], most_rows_ * backward.lds[i]);
  const bool read_later =
      scored_value_ >= first && graph_.operations[scored_value_ - first]->backward_reads_output();
  if (read_later && scoring_.overwrites_output()) want(scored_, most_rows_ * padded_ld(graph_.n_outputs));
  if (scoring_.takes_labels())
    labels_.resize(most_rows_);
  else
    want(targets_, most_rows_ * padded_ld(graph_.n_outputs));
  if (!data_.sample_weight.empty()) want(weights_, most_rows_);
  want(row_losses_, most_rows_);
  want(row_metrics_, most_rows_ * scoring_.metric_count());

  std::size_t total = 0;
  for (auto& [pointer, floats] : wanted) total += floats = round_up(floats, kLane) + kLane;
  require_memory("batch_size: training on so many rows at once", static_cast<double>(total));
  if (arena.size() < total)
    arena = Buffer(graph_.backend, total);
  else
    std::fill_n(arena.data(), total, 0.0f);
  float* next = arena.data();
  for (const auto& [pointer, floats] : wanted) *pointer = std::exchange(next, next + floats);
  bind(backward, caches);
}

void TrainingStep::bind(const BackwardPlan& backward, const std::vector<float*>& caches) {
  std::vector<std::size_t> begins;
  for (std::size_t i = 0; i < caches.size(); ++i) {
    begins.push_back(reads_.size());
    for (const std::size_t value : graph_.inputs[i]) reads_.push_back(values_[value]);
  }
  for (std::size_t i = 0; i < caches.size(); ++i)
    forward_.push_back({graph_.operations[i].get(), reads_.data() + begins[i], values_[graph_.n_inputs() + i], caches[i]});
  const auto buffer = [&](std::size_t i) { return i != kNone ? gradients_[i] : nullptr; };
  for (const BackwardPlan::Step& step : backward.steps) {
    const float* const row = step.outer == kNone
                                 ? nullptr
                                 : graph_.operations[step.outer]->outer_product_row(graph_.weights.data());
    backward_.push_back({step.operation != kNone ? forward_[step.operation] : Forward{},
                         {buffer(step.dy), row, buffer(step.dx), step.input},
                         step.kind,
                         step.ld});
  }
  output_ = values_[scored_value_];
  if (scored_ == nullptr) scored_ = output_;
  gradient_ = buffer(backward.scored[0]);
}

Pass TrainingStep::pass(const Team& team, std::size_t n, std::uint64_t step, float* gradients) const {
  return {*graph_.backend.kernels, team, n, graph_.weights.data(), gradients, graph_.spec.seed,
          static_cast<std::uint32_t>(step)};
}

void TrainingStep::gather(const Team& team, const Batch& batch) {
  const Kernels& kernels = *graph_.backend.kernels;
  const Range mine = team.split(batch.n, kLane);
  const auto& x = data_.x;
  kernels.gather_rows(
      {x.data, x.type, x.stride, batch.order, batch.begin, values_[0], x.cols, padded_ld(x.cols), mine});
  const TargetGather targets{data_, batch.order};
  if (scoring_.takes_labels())
    targets.labels(batch.begin, mine, labels_.data());
  else
    targets.matrix(kernels, batch.begin, mine, targets_);
  if (weights_ != nullptr) targets.weights(batch.begin, mine, weights_);
}

void TrainingStep::forward(const Team& team, std::size_t n, std::uint64_t step, float* gradients) {
  const Pass now = pass(team, n, step, gradients);
  for (const Forward& next : forward_) {
    next.operation->forward(now, next.x, next.y, next.cache);
    team.sync();
  }
}

void TrainingStep::score(const Team& team, std::size_t n) {
  const Range mine = team.split(n, kLane);
  if (scored_ != output_) {
    const std::size_t ld = padded_ld(graph_.n_outputs);
    std::copy(output_ + mine.begin * ld, output_ + mine.end * ld, scored_ + mine.begin * ld);
  }
  scoring_.score(*graph_.backend.kernels, scored_, {targets_, scoring_.takes_labels() ? labels_.data() : nullptr},
                 weights_, 1.0f / static_cast<float>(n), gradient_, mine, row_losses_, row_metrics_, most_rows_);
}

void TrainingStep::backward(const Team& team, std::size_t n, std::uint64_t step, float* gradients) {
  const Pass now = pass(team, n, step, gradients);
  for (const Backward& next : backward_) {
    const Forward& forward = next.forward;
    if (forward.operation != nullptr)
      forward.operation->backward(now, forward.x, forward.y, forward.cache, next.flow);
    else
      move(now, next);
    team.sync();
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
