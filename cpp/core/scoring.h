// The loss and metrics of one output of a network. The members of a team score rows, and one of them adds up the scores
// in the order of the rows, so that no result depends on the number of threads.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "core/kernels.h"
#include "core/metric_set.h"
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

class Scoring {
 public:
  // cols: the number of columns of the output; head: its activation. Throws std::invalid_argument if they do not match
  // the loss and the metrics.
  Scoring(const OutputTraining& output, std::size_t cols, ActivationKind head);

  const MetricSet& metrics() const { return metrics_; }
  bool takes_labels() const { return labels_; }
  // The index of the function of the program that computes the loss in place of score(); nothing for other losses.
  std::optional<std::size_t> function() const;
  // Whether score() reads the targets.
  bool reads_targets() const { return !function() || metrics_.count() > 0; }
  // Whether the loss computes the last sigmoid or softmax itself, so that score() needs the values before it.
  bool absorbs_head() const { return absorbed_; }
  // Whether score() turns logits into probabilities in place.
  bool overwrites_output() const { return absorbed_ || gives_logits_; }

  // Scores the rows `rows` of the output y, which is overwritten by probabilities if the loss starts from logits. dy,
  // unless it is null, receives the gradient, where row i has the weight weight[i] * scale (a null weight means 1). The
  // loss of a function of the program and its gradient are there already.
  void score(const Kernels& kernels, float* y, const BatchTargets& targets, const float* weight, float scale,
             float* dy, Range rows, const ScoreBuffers& out) const;

  // Adds the scores of a batch of n rows in `blocks` blocks to the sums. Returns the loss of the batch.
  double add(const ScoreBuffers& scores, const float* weight_of_row, std::size_t n, std::size_t blocks,
             ScoreSums& sums) const;
 private:
  void check(ActivationKind head) const;

  Loss loss_;
  std::size_t cols_, ld_;
  bool labels_, absorbed_, gives_logits_;
  MetricSet metrics_;
};

}  // namespace fastreg
