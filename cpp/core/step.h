// One optimizer step on one batch, run by all members of a team together: gather, forward, loss, backward, update.
// Has every buffer a step needs; a step allocates nothing, takes no lock and throws nothing.
#pragma once
#include <vector>

#include "core/backward_plan.h"
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
  TrainingStep(const Graph& graph, const Scoring& scoring, const Dataset& data, std::size_t most_rows, Buffer& arena);

  // Everything up to the gradients, on every member. Returns with the team in sync.
  // after_loss: called by the leader alone once the loss of the batch is known.
  template <class AfterLoss>
  void gradients(const Team& team, const Batch& batch, std::uint64_t step, float* gradients, AfterLoss&& after_loss) {
    gather(team, batch);
    team.sync();
    forward(team, batch.n, step, gradients);
    score(team, batch.n);
    team.sync();
    if (team.leader()) after_loss();
    backward(team, batch.n, step, gradients);
  }

  // Adds the scores of the batch just passed; returns its loss. For the leader, in after_loss.
  double add_scores(ScoreSums& sums, std::size_t n) const {
    return sums.add(row_losses_, weights_, row_metrics_, most_rows_, n);
  }

 private:
  void gather(const Team& team, const Batch& batch);
  void forward(const Team& team, std::size_t n, std::uint64_t step, float* gradients);
  void score(const Team& team, std::size_t n);
  void backward(const Team& team, std::size_t n, std::uint64_t step, float* gradients);
  Pass pass(const Team& team, std::size_t n, std::uint64_t step, float* gradients) const;

  // An operation with where its values lie.
  struct Forward {
    const Operation* operation;
    const float* const* x;
    float *y, *cache;
  };
  // A step of the backward plan. Without an operation flow.dy is copied or added to flow.dx, a row being ld floats.
  struct Backward {
    Forward forward;
    GradientFlow flow;
    BackwardPlan::Kind kind;
    std::size_t ld;
  };

  void plan(Buffer& arena);
  void bind(const BackwardPlan& backward, const std::vector<float*>& caches);
  static void move(const Pass& pass, const Backward& step);

  const Graph& graph_;
  const Scoring& scoring_;
  const Dataset& data_;
  std::size_t most_rows_, scored_value_;
  std::vector<float*> values_, gradients_;   // of each value; of each buffer of the backward plan
  std::vector<const float*> reads_;          // the inputs of all operations
  std::vector<Forward> forward_;
  std::vector<Backward> backward_;
  // What the loss scores and may overwrite, a copy of it where a backward pass reads it, and where its gradient goes.
  float *output_ = nullptr, *scored_ = nullptr, *gradient_ = nullptr;
  float *targets_ = nullptr, *weights_ = nullptr, *row_losses_, *row_metrics_;
  std::vector<std::int32_t> labels_;
};

}  // namespace fastreg
