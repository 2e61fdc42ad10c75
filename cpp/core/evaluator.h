// Computes the loss and metrics of a whole data set in inference mode, in blocks of rows that threads share. It keeps
// its buffers, so that validation after every epoch allocates nothing.
#pragma once
#include <vector>

#include "core/objective.h"

namespace fastreg {

// Gathers the targets, labels and weights of the rows [begin, begin + n) of `order`; if that is null, of these rows of
// the data. The matrix is padded like the output of the network.
struct TargetGather {
  const OutputTargets& targets;
  const std::uint32_t* order;

  std::size_t row(std::size_t i) const { return order != nullptr ? order[i] : i; }
  void matrix(const Kernels& kernels, std::size_t begin, Range rows, float* out) const;
  void labels(std::size_t begin, Range rows, std::int32_t* out) const;
  void weights(std::size_t begin, Range rows, float* out) const;
};

// The weights, divided by their mean over `rows` (over all rows if data is null), so that training does not depend on
// their scale, and weights of 1 stay 1. Without weights the result is empty. A row that is not in `rows` gets 0, and if
// the mean is not above 0, all rows do. This computes in double precision, and must be called with the caller's
// floating-point mode, because all weights may be denormal.
std::vector<float> relative_weights(Span<const float> weights, Span<const std::uint32_t> rows);
// The mean that they are divided by; 1 without weights.
double mean_weight(Span<const float> weights, Span<const std::uint32_t> rows);

class Evaluator {
 public:
  Evaluator(const Graph& graph, const Objective& objective)
      : graph_(graph), objective_(objective), penalised_(graph.penalised_values()) {
    std::vector<std::size_t> values = objective.values();
    values.insert(values.end(), penalised_.begin(), penalised_.end());
    inference_ = plan_inference(graph, values);
  }

  // Objective::logs of the data. The caller holds the graph's lock and has checked the data.
  // `call` computes the metrics that are functions of the program. It is called last, and may release the lock.
  std::vector<double> run(const Columns& data, double penalty, const CallMetric& call);

 private:
  struct Member {   // the buffers that one thread needs for a block; a buffer for each output
    InferenceBuffers buffers;
    std::vector<Buffer> targets;
    std::vector<std::vector<std::int32_t>> labels;
  };
  struct Output {   // the scores of all rows
    std::vector<float> row_losses, row_metrics, row_weights;
    std::vector<double> group_sums;
  };
  void add_activities(const Member& member, std::size_t begin, std::size_t n);
  void prepare(const Columns& data);
  Member new_member() const;
  void score_blocks(const Columns& data, const Team& team);
  void score_block(const Columns& data, Member& member, std::size_t begin, std::size_t n, std::size_t group);
  std::size_t blocks(const Columns& data) const { return (data.size() + block_rows_ - 1) / block_rows_; }
  std::size_t groups(const Columns& data) const { return (blocks(data) + group_blocks_ - 1) / group_blocks_; }
  ScoreBuffers scores(const Columns& data, std::size_t output, std::size_t begin, std::size_t group);

  const Graph& graph_;
  const Objective& objective_;
  std::vector<std::size_t> penalised_;    // values with a penalty
  InferencePlan inference_;
  std::vector<Member> members_;
  std::size_t block_rows_ = 0, group_blocks_ = 1;
  std::vector<Output> outputs_;
  std::vector<double> activity_rows_;     // the penalties of what layers make of each row; empty where there are none
  std::vector<EpochOutputs> epoch_;
};

}  // namespace fastreg
