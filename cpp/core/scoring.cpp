// Losses and the columns of the largest outputs are computed by the kernel table, metrics by plain loops, because they
// read each output only once.
#include "core/scoring.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <variant>

#include "core/parameters.h"

namespace fastreg {
namespace {

// The number of rows whose largest outputs are found together.
constexpr std::size_t kRowsTogether = 128;

// The sum of term(i), computed in four chains, which hide the latency of an addition.
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

// A row with weight 0 does not count, even if its loss is infinite.
double weighted_sum(const float* values, const float* weights, std::size_t n) {
  return sum_of(n, [=](std::size_t i) {
    return weights[i] != 0.0f ? static_cast<double>(weights[i]) * static_cast<double>(values[i]) : 0.0;
  });
}

template <class Body>
decltype(auto) with_formula(const Metric& metric, Body&& body) {
  return std::visit(
      [&](const auto& chosen) { return body(MetricFormula<std::remove_cvref_t<decltype(chosen)>>(chosen)); }, metric);
}

// Calls row(i, data of row i) for each of the rows.
template <class Formula, class Row>
void for_each_row(const Kernels& kernels, const float* y, const BatchTargets& targets, std::size_t cols,
                  std::size_t ld, Range rows, Row&& row) {
  std::int32_t found[kRowsTogether] = {}, largest_targets[kRowsTogether] = {};
  for (std::size_t i = rows.begin; i < rows.end; i += kRowsTogether) {
    const std::size_t n = std::min(kRowsTogether, rows.end - i);
    const std::int32_t* wanted = largest_targets;
    if constexpr (Formula::kUsesClasses) {
      kernels.largest({y + i * ld, cols, ld, found, {0, n}});
      if (targets.matrix != nullptr) kernels.largest({targets.matrix + i * ld, cols, ld, largest_targets, {0, n}});
      if (targets.labels != nullptr) wanted = targets.labels + i;
    }
    for (std::size_t r = 0; r < n; ++r) {
      const float* const target = targets.matrix != nullptr ? targets.matrix + (i + r) * ld : nullptr;
      row(i + r, ScoredRow{y + (i + r) * ld, target, found[r], wanted[r], cols});
    }
  }
}

// The number of outputs that a metric needs; 0 is any number.
std::size_t outputs_of(const auto& metric) {
  if constexpr (requires { metric.outputs(); }) return metric.outputs();
  return 0;
}

}  // namespace

Scoring::Scoring(const Loss& loss, const std::vector<Metric>& metrics, std::size_t cols, ActivationKind head)
    : loss_(loss), cols_(cols), ld_(padded_ld(cols)) {
  std::visit(
      [&](const auto& chosen) {
        using Chosen = std::remove_cvref_t<decltype(chosen)>;
        labels_ = Chosen::kTargets == Targets::labels;
        absorbed_ = Chosen::kAbsorbs != ActivationKind::linear && Chosen::kAbsorbs == head;
        gives_logits_ = has_from_logits(chosen);
      },
      loss_);
  for (const Metric& metric : metrics) {
    Measured measured{metric};
    with_formula(metric, [&](const auto& formula) {
      using Formula = std::remove_cvref_t<decltype(formula)>;
      static_assert(MeanOfRows<Formula> + OfSums<Formula> + OfEpoch<Formula> == 1, "a metric has one of three forms");
      if constexpr (MeanOfRows<Formula>) measured.first = row_metrics_++;
      if constexpr (OfSums<Formula>) measured.first = std::exchange(sums_, sums_ + formula.sums(cols_));
      if constexpr (OfEpoch<Formula>) needs_epoch_ = true;
    });
    metrics_.push_back(measured);
  }
  check(head);
}

void Scoring::check(ActivationKind head) const {
  std::visit(
      [&](const auto& loss) {
        using Chosen = std::remove_cvref_t<decltype(loss)>;
        constexpr bool kClasses = Chosen::kTargets == Targets::labels || Chosen::kTargets == Targets::distribution;
        if (kClasses && cols_ < 2)
          throw std::invalid_argument("loss: " + std::string(Chosen::kName) +
                                      " needs at least 2 outputs, the network has " + std::to_string(cols_));
        if (const char* const refusal = refusal_of(loss, cols_))
          throw std::invalid_argument("loss: " + std::string(Chosen::kName) + ": " + refusal + ", the network has " +
                                      std::to_string(cols_) + " outputs");
      },
      loss_);
  if (gives_logits_ && head != ActivationKind::linear)
    throw std::invalid_argument("loss: from_logits=True, but the network ends in a sigmoid or softmax");
  for (const Measured& measured : metrics_)
    std::visit(
        [&](const auto& metric) {
          using Chosen = std::remove_cvref_t<decltype(metric)>;
          const std::size_t outputs = outputs_of(metric);
          const std::string name = std::string("metrics: ") + Chosen::kName;
          if (Chosen::kTargets == MetricTargets::labels && !labels_)
            throw std::invalid_argument(name + " needs a loss on labels");
          if (Chosen::kTargets == MetricTargets::matrix && labels_)
            throw std::invalid_argument(name + " does not go with a loss on labels");
          if (outputs != 0 && cols_ != outputs)
            throw std::invalid_argument(name + " needs " + std::to_string(outputs) + " output, the network has " +
                                        std::to_string(cols_));
        },
        measured.metric);
}

void Scoring::measure(const Kernels& kernels, const float* y, const BatchTargets& targets, Range rows,
                      const ScoreBuffers& out, bool on_logits) const {
  for (const Measured& measured : metrics_)
    with_formula(measured.metric, [&](const auto& formula) {
      using Formula = std::remove_cvref_t<decltype(formula)>;
      if ((gives_logits_ && Formula::kOnLogits) != on_logits) return;
      if constexpr (MeanOfRows<Formula>) {
        float* const values = out.row_metrics + measured.first * out.stride;
        for_each_row<Formula>(kernels, y, targets, cols_, ld_, rows,
                              [&](std::size_t i, const ScoredRow& row) { values[i] = formula.row(row); });
      } else if constexpr (OfSums<Formula>) {
        double* const sums = out.block_sums + measured.first;
        for_each_row<Formula>(kernels, y, targets, cols_, ld_, rows, [&](std::size_t i, const ScoredRow& row) {
          formula.add(row, sums + i / out.block * sums_);
        });
      }
    });
}

void Scoring::keep(const float* y, const BatchTargets& targets, Range rows, const ScoreBuffers& out) const {
  EpochOutputs& epoch = *out.epoch;
  for (std::size_t i = rows.begin; i < rows.end; ++i) {
    const std::size_t to = out.first + i;
    std::copy_n(y + i * ld_, cols_, epoch.y.data() + to * cols_);
    if (labels_)
      epoch.labels[to] = targets.labels[i];
    else
      std::copy_n(targets.matrix + i * ld_, cols_, epoch.target.data() + to * cols_);
  }
}

void Scoring::score(const Kernels& kernels, float* y, const BatchTargets& targets, const float* weight, float scale,
                    float* dy, Range rows, const ScoreBuffers& out) const {
  if (gives_logits_) {
    measure(kernels, y, targets, rows, out, true);
    if (needs_epoch_) keep(y, targets, rows, out);
  }
  std::visit(
      [&](const auto& loss) {
        kernels.loss({loss_.index(), &loss, gives_logits_ || absorbed_, y, targets.matrix, targets.labels, weight,
                      scale, out.row_losses, dy, cols_, ld_, rows});
      },
      loss_);
  measure(kernels, y, targets, rows, out, false);
  if (needs_epoch_ && !gives_logits_) keep(y, targets, rows, out);
}

ScoreSums Scoring::no_sums() const {
  ScoreSums sums;
  sums.row_metrics.resize(row_metrics_);
  sums.sums.resize(sums_);
  return sums;
}

void Scoring::make_room(EpochOutputs& outputs, std::size_t rows) const {
  if (!needs_epoch_) return;
  outputs.cols = cols_;
  outputs.y.resize(rows * cols_);
  outputs.target.resize(labels_ ? 0 : rows * cols_);
  outputs.labels.resize(labels_ ? rows : 0);
}

void ScoreSums::clear() {
  loss = weight = 0.0;
  rows = 0;
  std::fill(row_metrics.begin(), row_metrics.end(), 0.0);
  std::fill(sums.begin(), sums.end(), 0.0);
}

double Scoring::add(const ScoreBuffers& scores, const float* weight_of_row, std::size_t n, std::size_t blocks,
                    ScoreSums& sums) const {
  double batch_loss = 0.0, batch_weight = static_cast<double>(n);
  if (weight_of_row == nullptr) {
    batch_loss = sum(scores.row_losses, n);
  } else {
    batch_weight = sum(weight_of_row, n);
    batch_loss = weighted_sum(scores.row_losses, weight_of_row, n);
  }
  for (std::size_t m = 0; m < row_metrics_; ++m) sums.row_metrics[m] += sum(scores.row_metrics + m * scores.stride, n);
  for (std::size_t block = 0; block < blocks; ++block)
    for (std::size_t i = 0; i < sums_; ++i) sums.sums[i] += scores.block_sums[block * sums_ + i];
  sums.loss += batch_loss;
  sums.weight += batch_weight;
  sums.rows += n;
  return batch_weight > 0.0 ? batch_loss / batch_weight : 0.0;
}

std::vector<double> Scoring::logs(const ScoreSums& sums, const EpochOutputs& outputs, double penalty) const {
  std::vector<double> out{sums.mean_loss(penalty)};
  for (const Measured& measured : metrics_)
    out.push_back(with_formula(measured.metric, [&](const auto& formula) {
      using Formula = std::remove_cvref_t<decltype(formula)>;
      if constexpr (MeanOfRows<Formula>) return sums.row_metrics[measured.first] / static_cast<double>(sums.rows);
      if constexpr (OfSums<Formula>) return formula.final(sums.sums.data() + measured.first, cols_, sums.rows);
      if constexpr (OfEpoch<Formula>) return formula.of_epoch(outputs);
    }));
  return out;
}

}  // namespace fastreg
