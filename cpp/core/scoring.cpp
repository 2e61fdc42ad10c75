// Losses and the places of the largest outputs through the kernel table, the other metrics in plain loops: they touch
// each output once.
#include "core/scoring.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace fastreg {
namespace {

// hits[i] = 1 where the largest of row i's outputs is in the column of its label, or of its largest target, else 0.
void categorical_hits(const Kernels& kernels, const float* y, const BatchTargets& targets, std::size_t cols,
                      std::size_t ld, Range rows, float* hits) {
  constexpr std::size_t kBlock = 128;
  std::int32_t found[kBlock], wanted[kBlock];
  for (std::size_t i = rows.begin; i < rows.end; i += kBlock) {
    const std::size_t n = std::min(kBlock, rows.end - i);
    kernels.largest({y + i * ld, cols, ld, found, {0, n}});
    if (targets.matrix != nullptr) kernels.largest({targets.matrix + i * ld, cols, ld, wanted, {0, n}});
    const std::int32_t* const places = targets.matrix != nullptr ? wanted : targets.labels + i;
    for (std::size_t r = 0; r < n; ++r) hits[i + r] = found[r] == places[r] ? 1.0f : 0.0f;
  }
}

// Metric of one row: the mean over its columns.
float metric_of_row(MetricKind kind, const float* y, const float* target, std::size_t cols) {
  float sum = 0.0f;
  switch (kind) {
    case MetricKind::categorical_accuracy:
    case MetricKind::sparse_categorical_accuracy: break;   // categorical_hits
    case MetricKind::binary_accuracy:
      for (std::size_t j = 0; j < cols; ++j) sum += (y[j] > 0.5f) == (target[j] > 0.5f) ? 1.0f : 0.0f;
      break;
    case MetricKind::mean_squared_error:
      for (std::size_t j = 0; j < cols; ++j) sum += (y[j] - target[j]) * (y[j] - target[j]);
      break;
    case MetricKind::mean_absolute_error:
      for (std::size_t j = 0; j < cols; ++j) sum += std::fabs(y[j] - target[j]);
      break;
  }
  return sum / static_cast<float>(cols);
}

// The sum of term(i), in four chains, which hide the latency of an addition.
template <class Term>
double sum_of(std::size_t n, Term term) {
  double chains[4] = {};
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (std::size_t c = 0; c < 4; ++c) chains[c] += term(i + c);
  for (; i < n; ++i) chains[0] += term(i);
  return (chains[0] + chains[1]) + (chains[2] + chains[3]);
}

double sum(const float* values, std::size_t n) {
  return sum_of(n, [=](std::size_t i) { return static_cast<double>(values[i]); });
}

// A row without weight counts for nothing, even where its loss is infinite.
double weighted_sum(const float* values, const float* weights, std::size_t n) {
  return sum_of(n, [=](std::size_t i) {
    return weights[i] != 0.0f ? static_cast<double>(weights[i]) * static_cast<double>(values[i]) : 0.0;
  });
}

// The activation a loss can be computed without, from its input.
bool absorbs(LossKind loss, ActivationKind head) {
  switch (loss) {
    case LossKind::binary_crossentropy: return head == ActivationKind::sigmoid;
    case LossKind::categorical_crossentropy:
    case LossKind::sparse_categorical_crossentropy: return head == ActivationKind::softmax;
    case LossKind::mean_squared_error: return false;
  }
  return false;
}

void check(const TrainingSpec& spec, const Graph& graph) {
  validate(spec);
  const bool labels = spec.loss.kind == LossKind::sparse_categorical_crossentropy;
  const bool categorical = labels || spec.loss.kind == LossKind::categorical_crossentropy;
  if (categorical && graph.n_outputs < 2)
    throw std::invalid_argument("loss: a categorical crossentropy needs at least 2 outputs, the network has " +
                                std::to_string(graph.n_outputs));
  if (spec.loss.from_logits && graph.head() != ActivationKind::linear)
    throw std::invalid_argument("loss: from_logits=True, but the network ends in a sigmoid or softmax");
  for (const MetricKind metric : spec.metrics) {
    if ((metric == MetricKind::sparse_categorical_accuracy) != labels)
      throw std::invalid_argument(labels ? "metrics: only sparse categorical accuracy goes with a loss on labels"
                                         : "metrics: sparse categorical accuracy needs a loss on labels");
  }
}

}  // namespace

Scoring::Scoring(const TrainingSpec& spec, const Graph& graph)
    : loss_(spec.loss), metrics_(spec.metrics), cols_(graph.n_outputs), ld_(padded_ld(graph.n_outputs)) {
  check(spec, graph);
  const bool absorbed = absorbs(loss_.kind, graph.head());
  from_logits_ = loss_.from_logits || absorbed;
  operations_ = graph.operations.size() - (absorbed ? 1 : 0);
}

void Scoring::score(const Kernels& kernels, float* y, const BatchTargets& targets, const float* weight, float scale,
                    float* dy, Range rows, float* row_losses, float* row_metrics, std::size_t stride) const {
  // Where the caller's network gives logits, its errors are those of the logits, its hits those of the probabilities
  // that the loss turns them into.
  const auto before = [&](MetricKind kind) {
    return loss_.from_logits && (kind == MetricKind::mean_squared_error || kind == MetricKind::mean_absolute_error);
  };
  const auto measure = [&](std::size_t m) {
    float* const out = row_metrics + m * stride;
    if (metrics_[m] == MetricKind::categorical_accuracy || metrics_[m] == MetricKind::sparse_categorical_accuracy)
      return categorical_hits(kernels, y, targets, cols_, ld_, rows, out);
    for (std::size_t i = rows.begin; i < rows.end; ++i)
      out[i] = metric_of_row(metrics_[m], y + i * ld_, targets.matrix + i * ld_, cols_);
  };
  for (std::size_t m = 0; m < metrics_.size(); ++m)
    if (before(metrics_[m])) measure(m);
  kernels.loss({loss_.kind, from_logits_, y, targets.matrix, targets.labels, weight, scale, row_losses, dy, cols_, ld_,
                rows});
  for (std::size_t m = 0; m < metrics_.size(); ++m)
    if (!before(metrics_[m])) measure(m);
}

double ScoreSums::add(const float* row_losses, const float* weight_of_row, const float* row_metrics,
                      std::size_t stride, std::size_t n) {
  double batch_loss = 0.0, batch_weight = static_cast<double>(n);
  if (weight_of_row == nullptr) {
    batch_loss = sum(row_losses, n);
  } else {
    batch_weight = sum(weight_of_row, n);
    batch_loss = weighted_sum(row_losses, weight_of_row, n);
  }
  for (std::size_t m = 0; m < metrics.size(); ++m) metrics[m] += sum(row_metrics + m * stride, n);
  loss += batch_loss;
  weight += batch_weight;
  rows += n;
  return batch_weight > 0.0 ? batch_loss / batch_weight : 0.0;
}

std::vector<double> ScoreSums::logs(double penalty) const {
  std::vector<double> out{(weight > 0.0 ? loss / weight : 0.0) + penalty};
  for (const double metric : metrics) out.push_back(metric / static_cast<double>(rows));
  return out;
}

}  // namespace fastreg
