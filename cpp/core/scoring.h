// The loss and metrics of one output of a network. The members of a team score rows. One of them adds up sums over
// rows, or they are added in blocks of rows that do not depend on the team, and always in the order of the rows, so
// that no result depends on the number of threads.
#pragma once
#include <cstdint>
#include <vector>

#include "core/kernels.h"
#include "core/metric_formulas.h"
#include "fastreg/spec.h"

namespace fastreg {

// Whether a loss has from_logits: the network lacks the last sigmoid or softmax, and its outputs are the values before
// it.
template <class AnyLoss>
bool has_from_logits(const AnyLoss& loss) {
  if constexpr (AnyLoss::kAbsorbs != ActivationKind::linear)
    return loss.from_logits;
  else
    return false;
}

// What a loss says against this number of outputs; null if nothing.
template <class AnyLoss>
const char* refusal_of(const AnyLoss& loss, std::size_t cols) {
  if constexpr (requires { loss.refuses(cols); }) return loss.refuses(cols);
  return nullptr;
}

// The targets of one batch: a matrix that is padded like the output, or labels.
struct BatchTargets {
  const float* matrix = nullptr;
  const std::int32_t* labels = nullptr;
};

// The buffers for the scores of a batch, and for the outputs that metrics of the whole epoch need.
struct ScoreBuffers {
  float* row_losses;         // a row each
  float* row_metrics;        // of those metrics that are means over rows, metric m of row i at [m * stride + i]
  std::size_t stride;
  double* block_sums;        // of the other metrics; the rows of block b add to [b * sum_count, (b + 1) * sum_count)
  std::size_t block;         // rows of a block
  EpochOutputs* epoch;       // null if no metric needs it
  std::size_t first;         // the index of the batch's first row in the epoch
};

// The sums of an epoch or an evaluation: losses are weighted by sample weight, metrics count each row once.
struct ScoreSums {
  double loss = 0.0, weight = 0.0;
  std::vector<double> row_metrics, sums;
  std::size_t rows = 0;

  void clear();
  double mean_loss(double penalty) const { return (weight > 0.0 ? loss / weight : 0.0) + penalty; }
};

class Scoring {
 public:
  // cols: the number of columns of the output; head: its activation. Throws std::invalid_argument if they do not match
  // the loss and the metrics.
  Scoring(const Loss& loss, const std::vector<Metric>& metrics, std::size_t cols, ActivationKind head);

  std::size_t metric_count() const { return metrics_.size(); }
  bool takes_labels() const { return labels_; }
  // Whether the loss computes the last sigmoid or softmax itself, so that score() needs the values before it.
  bool absorbs_head() const { return absorbed_; }
  // Whether score() turns logits into probabilities in place.
  bool overwrites_output() const { return absorbed_ || gives_logits_; }
  // The number of metrics with a value for each row, the number of sums of the others, and whether one needs all
  // outputs.
  std::size_t row_metric_count() const { return row_metrics_; }
  std::size_t sum_count() const { return sums_; }
  bool needs_epoch() const { return needs_epoch_; }

  // Scores the rows `rows` of the output y, which is overwritten by probabilities if the loss starts from logits. dy,
  // unless it is null, receives the gradient, where row i has the weight weight[i] * scale (a null weight means 1).
  void score(const Kernels& kernels, float* y, const BatchTargets& targets, const float* weight, float scale,
             float* dy, Range rows, const ScoreBuffers& out) const;

  ScoreSums no_sums() const;
  // Allocates memory for the outputs of this many rows, if a metric needs them.
  void make_room(EpochOutputs& outputs, std::size_t rows) const;
  // Adds the scores of a batch of n rows in `blocks` blocks to the sums. Returns the loss of the batch.
  double add(const ScoreBuffers& scores, const float* weight_of_row, std::size_t n, std::size_t blocks,
             ScoreSums& sums) const;
  // Returns {loss + penalty, metrics...}.
  std::vector<double> logs(const ScoreSums& sums, const EpochOutputs& outputs, double penalty) const;

 private:
  struct Measured {
    Metric metric;
    std::size_t first = 0;   // of its row values, or of its sums
  };
  void check(ActivationKind head) const;
  void measure(const Kernels& kernels, const float* y, const BatchTargets& targets, Range rows,
               const ScoreBuffers& out, bool on_logits) const;
  void keep(const float* y, const BatchTargets& targets, Range rows, const ScoreBuffers& out) const;

  Loss loss_;
  std::vector<Measured> metrics_;
  std::size_t cols_, ld_, row_metrics_ = 0, sums_ = 0;
  bool labels_ = false, absorbed_ = false, gives_logits_ = false, needs_epoch_ = false;
};

}  // namespace fastreg
