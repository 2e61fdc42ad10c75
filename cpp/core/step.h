// One optimizer step on one batch, run by all members of a team together: gather, forward, loss, backward, update.
// Has every buffer a step needs; a step allocates nothing, takes no lock and throws nothing.
#pragma once
#include <vector>

#include "core/evaluator.h"
#include "core/optimizer.h"

namespace fastreg {

// The batch's rows are [begin, begin + n) of order, or of the data where order is null.
struct Batch {
  const std::uint32_t* order;
  std::size_t begin, n;
};

class TrainingStep {
 public:
  // data: the weights of its rows, where it has any, are relative_weights; the gradient of a batch of n rows is that of
  // sum_i weight_i loss_i / n, so that its mean over an epoch's batches does not depend on how the rows are divided.
  // arena: where the buffers lie. It is enlarged where needed, and no longer belongs to an earlier step.
  // epoch: receives the outputs of every row where a metric needs them.
  TrainingStep(const Graph& graph, const Scoring& scoring, const Dataset& data, std::size_t most_rows, Buffer& arena,
               EpochOutputs& epoch);

  // Everything up to the gradients, on every member. Returns with the team in sync.
  // after_loss: called by the leader alone once the loss of the batch is known.
  template <class AfterLoss>
  void gradients(const Team& team, const Batch& batch, std::uint64_t step, float* gradients, AfterLoss&& after_loss) {
    gather(team, batch);
    team.sync();
    forward(team, batch.n, step, gradients);
    score(team, batch);
    team.sync();
    if (team.leader()) after_loss();
    backward(team, batch.n, step, gradients);
  }

  // Adds the scores of the batch just passed; returns its loss. For the leader, in after_loss.
  double add_scores(ScoreSums& sums, const Batch& batch) {
    return scoring_.add(scores(batch), weights_, batch.n, (batch.n + kLane - 1) / kLane, sums);
  }

 private:
  void gather(const Team& team, const Batch& batch);
  void forward(const Team& team, std::size_t n, std::uint64_t step, float* gradients);
  void score(const Team& team, const Batch& batch);
  ScoreBuffers scores(const Batch& batch) {
    return {row_losses_, row_metrics_, most_rows_, block_sums_.data(), kLane, &epoch_, batch.begin};
  }
  void backward(const Team& team, std::size_t n, std::uint64_t step, float* gradients);
  Pass pass(const Team& team, std::size_t n, std::uint64_t step, float* gradients) const;

  const Graph& graph_;
  const Scoring& scoring_;
  const Dataset& data_;
  EpochOutputs& epoch_;
  std::size_t most_rows_, count_, first_trainable_;   // count_: operations before the loss
  std::vector<float*> activations_, caches_;   // activations_[i] enters operation i
  float *first_gradient_, *second_gradient_;
  float *targets_ = nullptr, *weights_ = nullptr, *row_losses_, *row_metrics_;
  std::vector<std::int32_t> labels_;
  std::vector<double> block_sums_;   // metrics' sums of each kLane rows
};

}  // namespace fastreg
