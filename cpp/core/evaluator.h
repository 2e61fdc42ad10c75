// Loss and metrics of a whole data set in inference mode, in blocks of rows shared among threads. Keeps its buffers, so
// that validation after every epoch allocates nothing.
#pragma once
#include <vector>

#include "core/graph.h"
#include "core/scoring.h"
#include "fastreg/trainer.h"

namespace fastreg {

// Operations to run before the loss: all, or all but a last sigmoid or softmax that the loss computes itself.
inline std::size_t operations_before_loss(const Graph& graph, const Scoring& scoring) {
  return graph.operations.size() - (scoring.absorbs_head() ? 1 : 0);
}

// Gathers the targets, labels and weights of the batch rows [begin, begin + n) of `order` (null: those rows of the data
// themselves). The matrix is padded like the network's output.
struct TargetGather {
  const Dataset& data;
  const std::uint32_t* order;

  std::size_t row(std::size_t i) const { return order != nullptr ? order[i] : i; }
  void matrix(const Kernels& kernels, std::size_t begin, Range rows, float* out) const;
  void labels(std::size_t begin, Range rows, std::int32_t* out) const;
  void weights(std::size_t begin, Range rows, float* out) const;
};

// The weights divided by their mean over `rows` (data null: all of them), so that training is the same for weights of
// any scale, and weights of 1 stay 1; none where there are none. A row that is not in `rows` gets 0, and so does every
// row where the mean is not above 0. It computes in double precision, and must be called with denormals as the caller
// had them, since all weights may be denormal.
std::vector<float> relative_weights(Span<const float> weights, Span<const std::uint32_t> rows);

// Throws std::invalid_argument unless shapes, row indices, labels and weights are what the network and loss need.
void check(const Dataset& data, const Graph& graph, const Scoring& scoring, const char* name);

class Evaluator {
 public:
  Evaluator(const Graph& graph, const Scoring& scoring) : graph_(graph), scoring_(scoring) {}

  // {loss + penalty, metrics...}. The caller holds the graph's lock and has checked the data.
  std::vector<double> run(const Dataset& data, double penalty);

 private:
  struct Member {   // what one thread needs for a block
    InferenceBuffers buffers;
    Buffer targets;
    std::vector<std::int32_t> labels;
  };
  void prepare(const Dataset& data);
  void score_blocks(const Dataset& data, const Team& team);
  void score_block(const Dataset& data, Member& member, std::size_t begin, std::size_t n, std::size_t group);
  std::size_t blocks(const Dataset& data) const { return (data.size() + block_rows_ - 1) / block_rows_; }
  std::size_t groups(const Dataset& data) const { return (blocks(data) + group_blocks_ - 1) / group_blocks_; }
  ScoreBuffers scores(const Dataset& data, std::size_t begin, std::size_t group);

  const Graph& graph_;
  const Scoring& scoring_;
  std::vector<Member> members_;
  std::size_t block_rows_ = 0, group_blocks_ = 1;
  std::vector<float> row_losses_, row_metrics_, row_weights_;
  std::vector<double> group_sums_;
  EpochOutputs outputs_;
};

}  // namespace fastreg
