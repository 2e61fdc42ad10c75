// The objective of training: the losses of all outputs of a network with their weights, and the metrics. Each output
// has a Scoring. Everything that a fit or an evaluation keeps per output is a vector with an element for each.
#pragma once
#include <vector>

#include "core/graph.h"
#include "core/scoring.h"
#include "fastreg/trainer.h"

namespace fastreg {

// The columns of a Dataset: a matrix of features for each input, targets for each output.
struct Columns {
  std::vector<Features> x;
  std::vector<OutputTargets> y;
  Span<const std::uint32_t> rows;
  std::vector<double> weight_scales{};   // what the weights of each output were divided by; empty: nothing
  std::size_t size() const { return rows.data == nullptr ? x[0].rows : rows.size; }
};

class Objective {
 public:
  struct Part {
    Scoring scoring;
    float weight;        // the weight of the loss
    std::size_t value;   // the value of the graph that is scored: the output, or the input of its last activation
  };

  // Throws std::invalid_argument if spec and network do not match.
  Objective(const TrainingSpec& spec, const Graph& graph);

  const std::vector<Part>& parts() const { return parts_; }
  std::vector<std::size_t> values() const;
  // Whether a loss is a function of the program.
  bool has_functions() const { return has_functions_; }
  // The number of values of one evaluation.
  std::size_t log_count() const;
  std::vector<ScoreSums> no_sums() const;
  // Memory for the outputs of some rows of the data, for metrics that need them.
  std::vector<EpochOutputs> room(const Columns& data, std::size_t rows) const;
  double loss(const std::vector<ScoreSums>& sums, double penalty) const;
  // The sums of one batch, whose losses are means over its rows and not over their weights.
  static void count_rows(std::vector<ScoreSums>& sums);
  // With one output {loss + penalty, metrics...}; with several {loss + penalty, loss of each output..., metrics of
  // each...}.
  std::vector<double> logs(const std::vector<ScoreSums>& sums, const std::vector<EpochOutputs>& outputs,
                           double penalty, const CallMetric& call) const;

 private:
  std::vector<Part> parts_;
  bool has_functions_ = false;
};

Columns columns_of(const Dataset& data);
// Throws std::invalid_argument unless shapes, row indices, labels and weights are valid for the network and the losses.
void check(const Columns& data, const Graph& graph, const Objective& objective, const char* name);

}  // namespace fastreg
