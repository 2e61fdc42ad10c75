// One optimizer step on one batch, which all members of a team compute together: gather, forward, loss, backward,
// update. Has every buffer a step needs; what a team computes allocates nothing, takes no lock and throws nothing.
#pragma once
#include <vector>

#include "core/backward_plan.h"
#include "core/evaluator.h"
#include "core/optimizer.h"

namespace fastreg {

// The batch's rows are [begin, begin + n) of order, or of the data where order is null. done: the number of rows of the
// epoch before it.
struct Batch {
  const std::uint32_t* order;
  std::size_t begin, n, done;
};

// The number of a step, which determines its random numbers, and the scheduled rates of layers in it (Pass::rates).
struct StepPlace {
  std::uint64_t number;
  const double* rates;
};

class TrainingStep {
 public:
  // data: the weights of its rows, where it has any, are relative_weights; the gradient of a batch of n rows is that of
  // sum_i weight_i loss_i / n, so that its mean over an epoch's batches does not depend on how the rows are divided.
  // precision: of the products of the step. arena: where the buffers lie. It is enlarged where needed, and no longer
  // belongs to an earlier step. epoch: receives the outputs of every row where a metric needs them.
  TrainingStep(const Graph& graph, const Objective& objective, const Columns& data, std::size_t most_rows,
               const ProductPrecision& precision, Buffer& arena, std::vector<EpochOutputs>& epoch);

  // Everything up to the outputs, on every member. Returns with the team in sync, as does gradients().
  void outputs(const Team& team, const Batch& batch, const StepPlace& step, float* gradients) {
    gather(team, batch);
    team.sync();
    forward(team, batch.n, step, gradients);
  }

  // Computes the losses that are functions of the program. After outputs(), on the calling thread, outside of the team.
  void call_losses(const Batch& batch, const CallLoss& call);

  // Everything from the outputs up to the gradients, on every member.
  // after_loss: called by the leader alone once the loss of the batch is known.
  template <class AfterLoss>
  void gradients(const Team& team, const Batch& batch, const StepPlace& step, float* gradients,
                 AfterLoss&& after_loss) {
    score(team, batch);
    team.sync();
    if (team.leader()) after_loss();
    backward(team, batch.n, step, gradients);
  }

  // Adds the scores of the batch just passed; returns its loss. For the leader, in after_loss.
  double add_scores(std::vector<ScoreSums>& sums, const Batch& batch);
  // The penalties of the outputs of layers in the batch just passed, their mean over its rows. For the leader, too.
  double activity_penalty(const Batch& batch) const;

 private:
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
    std::size_t shared = kNone;   // the layer whose gradients an earlier step of the plan has written, if there is one
  };
  // An output: its value, what the loss scores and may overwrite (a copy where a backward pass reads the value later),
  // and where its gradient goes.
  struct Output {
    float *y = nullptr, *scored = nullptr, *gradient = nullptr;
    float *targets = nullptr, *weights = nullptr, *row_losses = nullptr, *row_metrics = nullptr;
    std::size_t ld = 0;
    std::vector<std::int32_t> labels;
    std::vector<double> block_sums;   // metrics' sums of each kLane rows
    LossCall call;
  };

  // A value with a penalty: {sum |x|, sum x^2} of each row.
  struct Activity {
    std::size_t value = 0;
    std::vector<double> sums;
  };

  void lay_out(const BackwardPlan& backward, const std::vector<bool>& runs, Buffer& arena);
  void bind(const BackwardPlan& backward, const std::vector<bool>& runs);
  std::size_t shared_layer(const BackwardPlan& backward, const BackwardPlan::Step& step) const;
  bool is_read_later(std::size_t value, const std::vector<bool>& runs) const;
  bool is_gathered_twice(std::size_t input, const std::vector<bool>& runs) const;
  // Whether this member is the second of two, which has inputs of its own. The team of the rest of a step may be larger
  // or smaller than the one that has gathered the batch.
  bool has_own_inputs(const Team& team) const { return gathered_by_two_ && team.size == 2 && team.rank == 1; }
  // Where this member reads the values that an operation reads.
  const float* const* inputs_of(const Forward& of, const Team& team) const {
    return of.x + (has_own_inputs(team) ? read_count_ : 0);
  }
  void gather(const Team& team, const Batch& batch);
  void forward(const Team& team, std::size_t n, const StepPlace& step, float* gradients);
  void score(const Team& team, const Batch& batch);
  ScoreBuffers scores(std::size_t output, const Batch& batch) {
    Output& out = outputs_[output];
    return {out.row_losses, out.row_metrics, most_rows_, out.block_sums.data(), kLane, &epoch_[output], batch.done,
            out.weights};
  }
  void backward(const Team& team, std::size_t n, const StepPlace& step, float* gradients);
  static void move(const Pass& pass, const Backward& step);
  void add_shared(const Pass& pass, std::size_t layer, float* gradients) const;
  Pass pass(const Team& team, std::size_t n, const StepPlace& step, float* gradients) const;

  const Graph& graph_;
  const Objective& objective_;
  const Columns& data_;
  std::vector<EpochOutputs>& epoch_;
  std::size_t most_rows_;
  ProductPrecision precision_;
  float* scratch_ = nullptr;                          // Pass::scratch
  std::vector<float*> values_, caches_, gradients_;   // of each value, operation, buffer of the backward plan
  std::vector<float*> second_inputs_;   // of the second of two members; null where it shares those of the first
  std::vector<const float*> reads_;     // the inputs of all operations, and those of the second of two members
  std::size_t read_count_ = 0;          // the number of the former
  bool gathered_by_two_ = false;        // the present batch
  std::vector<Forward> forward_;
  std::vector<Backward> backward_;
  std::vector<Output> outputs_;
  std::vector<Activity> activities_;
  Buffer shared_;   // gradients of a layer that several nodes use, before they are added; empty if there is none
};

}  // namespace fastreg
