// Computes the loss and metrics of a whole data set in inference mode, in blocks of rows that threads share. It keeps
// its buffers, so that validation after every epoch allocates nothing.
#pragma once
#include <vector>

#include "core/program_calls.h"
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
  // precision: of the products of wide layers.
  Evaluator(const Graph& graph, const Objective& objective, const ProductPrecision& precision)
      : graph_(graph), objective_(objective), precision_(precision), penalised_(graph.penalised_values()) {
    std::vector<std::size_t> values = objective.values();
    values.insert(values.end(), penalised_.begin(), penalised_.end());
    inference_ = plan_inference(graph, values);
  }

  // Objective::logs of the data. The caller holds the graph's lock and has checked the data.
  // `calls` computes what functions of the program do. It may release the lock.
  // count_rows: whether losses are means over rows, whatever their weights. In a pause of `calls` the lock is released;
  // if the weights change meanwhile, all rows are scored anew without pauses.
  // penalty: gives that of the weights that the rows were scored with.
  std::vector<double> run(const Columns& data, const std::function<double()>& penalty, const ProgramCalls& calls,
                          bool count_rows = false);

 private:
  struct Member {   // the buffers that one thread needs for a block; a buffer for each output
    InferenceBuffers buffers;
    std::vector<Buffer> targets;
    std::vector<std::vector<std::int32_t>> labels;
  };
  struct Output {   // the scores of all rows
    std::vector<float> row_losses, row_metrics, row_weights;
    std::vector<double> group_sums;
    std::vector<float> y;   // the outputs of all rows, if the loss is a function of the program
  };
  // Everything that depends on the data.
  struct Work {
    std::vector<Member> members;
    std::size_t block_rows = 0, group_blocks = 1;
    std::vector<Output> outputs;
    std::vector<double> activity_rows;   // the penalties of what layers make of each row; empty where there are none
    std::vector<EpochOutputs> epoch;
  };
  void keep_outputs(const Member& member, std::size_t output, std::size_t begin, std::size_t n);
  void call_losses(const Columns& data, const CallLoss& call);
  void add_activities(const Member& member, std::size_t begin, std::size_t n);
  void prepare(const Columns& data);
  Member new_member() const;
  void score_all(const Columns& data, const ProgramCalls& calls);
  std::size_t items(const Columns& data) const;
  void score_items(const Columns& data, Range items, const Team& team);
  void score_block(const Columns& data, Member& member, std::size_t begin, std::size_t n, std::size_t group);
  std::size_t blocks(const Columns& data) const { return (data.size() + work_.block_rows - 1) / work_.block_rows; }
  std::size_t groups(const Columns& data) const { return (blocks(data) + work_.group_blocks - 1) / work_.group_blocks; }
  ScoreBuffers scores(const Columns& data, std::size_t output, std::size_t begin, std::size_t group);

  const Graph& graph_;
  const Objective& objective_;
  ProductPrecision precision_;
  std::vector<std::size_t> penalised_;    // values with a penalty
  InferencePlan inference_;
  Work work_;
};

}  // namespace fastreg
