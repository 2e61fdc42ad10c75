// The metrics of one output: what they keep of each row, of each batch and of an epoch, and their values. They know
// nothing of losses. The members of a team measure rows; sums over rows are added in blocks that do not depend on the
// team, and always in the order of the rows, so that no result depends on the number of threads.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "core/kernels.h"
#include "fastreg/metric_state.h"
#include "fastreg/spec.h"

namespace fastreg {

// The targets of one batch: a matrix that is padded like the output, or labels.
struct BatchTargets {
  const float* matrix = nullptr;
  const std::int32_t* labels = nullptr;
};

// The outputs and targets of all rows of an epoch or an evaluation, row by row without padding.
struct EpochOutputs {
  std::vector<float> y;         // as metrics of probabilities use them
  std::vector<float> logits;    // as predict returns them, where that is something else
  std::vector<float> target;    // is empty where the loss takes labels
  std::vector<std::int32_t> labels;
  std::vector<float> weight;    // is empty if no metric uses weights, or there are none
  std::size_t rows = 0;
  EpochOutputs first(std::size_t n) const;   // those of the first n rows
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
  const float* weights;      // of the rows, for weighted metrics; null if all are 1
};

// The sums of an epoch or an evaluation. Losses are weighted by sample weight.
struct ScoreSums {
  double loss = 0.0, weight = 0.0;
  double divisor = 0.0;        // of the loss: the sum of the weights, or the number of rows (Objective::count_rows)
  double weight_scale = 1.0;   // what the weights were divided by beforehand
  std::vector<double> row_metrics, sums;
  std::size_t rows = 0;

  void clear();
  double mean_loss(double penalty) const { return (divisor > 0.0 ? loss / divisor : 0.0) + penalty; }
};

// Calls a function of the program, by its index, for the rows of an epoch or an evaluation.
using CallMetric = std::function<double(std::size_t, const MetricRows&)>;

// Which of the outputs of a network with from_logits a metric is computed on.
enum class Outputs : std::uint8_t { all, logits, probabilities };

class MetricSet {
 public:
  // labels: whether the targets are labels. logits: whether the outputs are first given as logits; monotone: whether
  // they then become probabilities one by one, so that their order stays the same.
  MetricSet(const std::vector<Metric>& metrics, const std::vector<Metric>& weighted, std::size_t cols, bool labels,
            bool logits, bool monotone);

  // Throws std::invalid_argument for metrics that do not go with the number of outputs or the kind of targets, and,
  // unless `vectors` is set, for those with several values.
  void check(bool vectors) const;

  std::size_t count() const { return metrics_.size(); }
  // The number of metrics with a value for each row, the number of sums of the others, and whether one needs all
  // outputs.
  std::size_t row_count() const { return row_metrics_; }
  std::size_t sum_count() const { return sums_; }
  bool needs_epoch() const { return needs_outputs_ || needs_logits_; }

  // Measures the rows `rows` of the output y, by the metrics that are computed on such outputs.
  void measure(const Kernels& kernels, const float* y, const BatchTargets& targets, Range rows,
               const ScoreBuffers& out, Outputs which) const;

  ScoreSums no_sums() const;
  // Allocates memory for the outputs of this many rows, if a metric needs them.
  void make_room(EpochOutputs& outputs, std::size_t rows, bool weights) const;
  // Adds the scores of a batch of n rows in `blocks` blocks to the sums.
  void add(const ScoreBuffers& scores, const float* weight_of_row, std::size_t n, std::size_t blocks,
           ScoreSums& sums) const;
  std::vector<double> values(const ScoreSums& sums, const EpochOutputs& outputs, const CallMetric& call) const;

 private:
  struct Measured {
    Metric metric;
    bool weighted = false;
    std::size_t first = 0;   // of its row values, or of its sums
  };
  void append(const Metric& metric, bool weighted);
  void keep(const float* y, const BatchTargets& targets, Range rows, const ScoreBuffers& out, bool logits) const;
  MetricRows kept(const EpochOutputs& outputs, bool weighted, bool logits) const;
  template <class Formula>
  bool on_logits(const Formula& formula) const;

  std::vector<Measured> metrics_;
  std::size_t cols_, ld_, row_metrics_ = 0, sums_ = 0;
  bool labels_, logits_, monotone_, needs_outputs_ = false, needs_logits_ = false, needs_weights_ = false;
};

// The sums of float values, with a row of weight 0 left out even if its value is infinite.
double sum_of_rows(const float* values, std::size_t n);
double weighted_sum_of_rows(const float* values, const float* weights, std::size_t n);

}  // namespace fastreg
