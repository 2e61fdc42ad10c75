// Loss and metrics of a batch, row by row. Rows are scored by the members of a team, sums are taken by one of them in
// the order of the rows, so that no figure depends on the number of threads.
#pragma once
#include <cstdint>
#include <vector>

#include "core/graph.h"
#include "fastreg/trainer.h"

namespace fastreg {

// What a row is measured against, gathered for one batch: a target matrix (padded like the output) or labels.
struct BatchTargets {
  const float* matrix = nullptr;
  const std::int32_t* labels = nullptr;
};

class Scoring {
 public:
  // Throws std::invalid_argument where loss, metrics and network do not fit together.
  Scoring(const TrainingSpec& spec, const Graph& graph);

  std::size_t metric_count() const { return metrics_.size(); }
  bool takes_labels() const { return loss_.kind == LossKind::sparse_categorical_crossentropy; }
  // Operations to run before the loss: all, or all but a last sigmoid or softmax that the loss computes itself.
  std::size_t operation_count() const { return operations_; }

  // Whether score() turns logits into probabilities in place.
  bool overwrites_output() const { return from_logits_; }

  // Scores rows `rows` of output y (overwritten by probabilities where the loss starts from logits). row_losses[i] and
  // row_metrics[m * stride + i] receive row i's values; dy, where not null, the gradient with row i weighing
  // weight[i] * scale (weight null: 1).
  void score(const Kernels& kernels, float* y, const BatchTargets& targets, const float* weight, float scale,
             float* dy, Range rows, float* row_losses, float* row_metrics, std::size_t stride) const;

 private:
  Loss loss_;
  std::vector<MetricKind> metrics_;
  std::size_t operations_, cols_, ld_;
  bool from_logits_;
};

// Sums of an epoch or an evaluation: losses by sample weight, metrics by row.
struct ScoreSums {
  double loss = 0.0, weight = 0.0;
  std::vector<double> metrics;
  std::size_t rows = 0;

  // Returns the batch's own loss.
  double add(const float* row_losses, const float* weight_of_row, const float* row_metrics, std::size_t stride,
             std::size_t n);
  std::vector<double> logs(double penalty) const;
};

}  // namespace fastreg
