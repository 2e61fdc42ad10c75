// The training step. Between two syncs no member writes what another one reads.
#include "core/step.h"

#include <algorithm>
#include <utility>

namespace fastreg {

TrainingStep::TrainingStep(const Graph& graph, const Scoring& scoring, const Dataset& data, std::size_t most_rows,
                           Buffer& arena, EpochOutputs& epoch)
    : graph_(graph),
      scoring_(scoring),
      data_(data),
      epoch_(epoch),
      most_rows_(most_rows),
      count_(operations_before_loss(graph, scoring)),
      block_sums_((most_rows + kLane - 1) / kLane * scoring.sum_count()) {
  std::vector<std::pair<float**, std::size_t>> wanted;
  const auto want = [&](float*& pointer, std::size_t floats) { wanted.emplace_back(&pointer, floats); };

  activations_.resize(count_ + 1);
  caches_.resize(count_);
  want(activations_[0], most_rows * padded_ld(graph.spec.n_features));
  for (std::size_t i = 0; i < count_; ++i) {
    want(activations_[i + 1], most_rows * graph.operations[i]->out_ld());
    want(caches_[i], graph.operations[i]->cache_floats(most_rows));
  }
  want(first_gradient_, most_rows * graph.widest_ld());
  want(second_gradient_, most_rows * graph.widest_ld());
  if (scoring.takes_labels())
    labels_.resize(most_rows);
  else
    want(targets_, most_rows * padded_ld(graph.n_outputs));
  if (!data.sample_weight.empty()) want(weights_, most_rows);
  want(row_losses_, most_rows);
  want(row_metrics_, most_rows * scoring.row_metric_count());

  std::size_t total = 0;
  for (auto& [pointer, floats] : wanted) total += floats = round_up(floats, kLane) + kLane;
  require_memory("batch_size: training on so many rows at once", static_cast<double>(total));
  if (arena.size() < total)
    arena = Buffer(graph.backend, total);
  else
    std::fill_n(arena.data(), total, 0.0f);
  float* next = arena.data();
  for (const auto& [pointer, floats] : wanted) *pointer = std::exchange(next, next + floats);

  first_trainable_ = 0;
  while (first_trainable_ < count_ && !graph.operations[first_trainable_]->trainable()) ++first_trainable_;
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
      {x.data, x.type, x.stride, batch.order, batch.begin, activations_[0], x.cols, padded_ld(x.cols), mine});
  const TargetGather targets{data_, batch.order};
  if (scoring_.takes_labels())
    targets.labels(batch.begin, mine, labels_.data());
  else
    targets.matrix(kernels, batch.begin, mine, targets_);
  if (weights_ != nullptr) targets.weights(batch.begin, mine, weights_);
}

void TrainingStep::forward(const Team& team, std::size_t n, std::uint64_t step, float* gradients) {
  const Pass now = pass(team, n, step, gradients);
  for (std::size_t i = 0; i < count_; ++i) {
    graph_.operations[i]->forward(now, activations_[i], activations_[i + 1], caches_[i]);
    team.sync();
  }
}

void TrainingStep::score(const Team& team, const Batch& batch) {
  const Range mine = team.split(batch.n, kLane);   // whole blocks of sums
  const std::size_t first = mine.begin / kLane, last = (mine.end + kLane - 1) / kLane;
  if (first < last)
    std::fill(block_sums_.data() + first * scoring_.sum_count(), block_sums_.data() + last * scoring_.sum_count(), 0.0);
  scoring_.score(*graph_.backend.kernels, activations_.back(),
                 {targets_, scoring_.takes_labels() ? labels_.data() : nullptr}, weights_,
                 1.0f / static_cast<float>(batch.n), first_gradient_, mine, scores(batch));
}

void TrainingStep::backward(const Team& team, std::size_t n, std::uint64_t step, float* gradients) {
  const Pass now = pass(team, n, step, gradients);
  Gradient dy{first_gradient_};
  float* spare = second_gradient_;
  for (std::size_t i = count_; i-- > first_trainable_;) {
    const Wanted wanted = i == first_trainable_                               ? Wanted::nothing
                          : graph_.operations[i - 1]->takes_outer_product() ? Wanted::any
                                                                              : Wanted::matrix;
    const Gradient dx = graph_.operations[i]->backward(now, activations_[i], activations_[i + 1], caches_[i], dy, spare,
                                                       wanted);
    if (dx.data == spare) spare = dy.data;
    dy = dx;
    team.sync();
  }
}

}  // namespace fastreg
