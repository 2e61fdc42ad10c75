// The columns of the largest outputs are found by the kernel table; everything else is plain loops, because metrics
// read each output only once.
#include "core/metric_set.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "core/metrics/of_classes.h"
#include "core/metrics/of_curves.h"
#include "core/metrics/of_numbers.h"
#include "core/metrics/of_probabilities.h"
#include "core/parameters.h"

namespace fastreg {

// A function sees what predict returns.
template <>
struct MetricFormula<metrics::Function> : OnOutputs {
  explicit MetricFormula(const metrics::Function&) {}
};

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

template <class Formula>
constexpr bool kIsFunction = std::is_same_v<Formula, MetricFormula<metrics::Function>>;
template <class Formula>
constexpr bool kKeepsRows = OfEpoch<Formula> || kIsFunction<Formula>;

template <class Body>
decltype(auto) with_formula(const Metric& metric, Body&& body) {
  return std::visit(
      [&](const auto& chosen) { return body(MetricFormula<std::remove_cvref_t<decltype(chosen)>>(chosen)); }, metric);
}

// A batch whose rows are measured.
struct MeasuredRows {
  const Kernels& kernels;
  const float* y;
  const BatchTargets& targets;
  std::size_t cols, ld;
  Range rows;
};

// The classes of at most kRowsTogether rows.
struct RowClasses {
  std::int32_t found[kRowsTogether], largest_targets[kRowsTogether];
  const std::int32_t* wanted;

  void find(const MeasuredRows& given, std::size_t first, std::size_t n) {
    const auto& [kernels, y, targets, cols, ld, rows] = given;
    kernels.largest({y + first * ld, cols, ld, found, {0, n}});
    if (targets.matrix != nullptr) kernels.largest({targets.matrix + first * ld, cols, ld, largest_targets, {0, n}});
    wanted = targets.labels != nullptr ? targets.labels + first : largest_targets;
  }
};
struct NoClasses {};

// Calls row(i, data of row i) for each of the rows; a null `weights` means 1. Rows without weight are passed over.
template <class Formula, class Row>
void for_each_row(const MeasuredRows& given, const float* weights, Row&& row) {
  const auto& [kernels, y, targets, cols, ld, rows] = given;
  std::conditional_t<Formula::kUsesClasses, RowClasses, NoClasses> classes;
  for (std::size_t i = rows.begin; i < rows.end; i += kRowsTogether) {
    const std::size_t n = std::min(kRowsTogether, rows.end - i);
    if constexpr (Formula::kUsesClasses) classes.find(given, i, n);
    for (std::size_t r = 0; r < n; ++r) {
      const double weight = weights != nullptr ? static_cast<double>(weights[i + r]) : 1.0;
      if (weight == 0.0) continue;
      const float* const target = targets.matrix != nullptr ? targets.matrix + (i + r) * ld : nullptr;
      ScoredRow scored{y + (i + r) * ld, target, 0, 0, cols, weight};
      if constexpr (Formula::kUsesClasses) scored.found = classes.found[r], scored.wanted = classes.wanted[r];
      row(i + r, scored);
    }
  }
}

// The number of rows whose classes agree: what ClassHits adds up where all weights are 1, without a branch for each row
// that is guessed wrong at every miss.
double hits(const MeasuredRows& given) {
  RowClasses classes;
  std::size_t count = 0;
  for (std::size_t i = given.rows.begin; i < given.rows.end; i += kRowsTogether) {
    const std::size_t n = std::min(kRowsTogether, given.rows.end - i);
    classes.find(given, i, n);
    for (std::size_t r = 0; r < n; ++r) count += classes.found[r] == classes.wanted[r];
  }
  return static_cast<double>(count);
}

// Adds rows of a single column to a formula's sums. They are in registers meanwhile, which takes a third of the time.
template <class Formula>
void add_one_column(const Formula& formula, const MeasuredRows& rows, const float* weights, double* sums) {
  double own[Formula::kExactSums];
  std::copy_n(sums, Formula::kExactSums, own);
  for_each_row<Formula>(rows, weights, [&](std::size_t, ScoredRow row) {
    row.cols = 1;   // which the compiler knows here
    formula.add(row, own);
  });
  std::copy_n(own, Formula::kExactSums, sums);
}

// The number of outputs that a metric needs; 0 is any number.
std::size_t outputs_of(const auto& metric) {
  if constexpr (requires { metric.outputs(); }) return metric.outputs();
  return 0;
}
std::size_t least_outputs_of(const auto& metric) {
  if constexpr (requires { metric.least_outputs(); }) return metric.least_outputs();
  return 1;
}
std::string outputs_text(std::size_t count) { return std::to_string(count) + (count == 1 ? " output" : " outputs"); }

// Whether targets can be a matrix, or labels.
template <class Metric>
constexpr bool takes(bool labels) {
  if (std::is_same_v<Metric, metrics::Function>) return true;
  return Metric::kTargets == MetricTargets::any || (Metric::kTargets == MetricTargets::labels) == labels;
}

}  // namespace

double sum_of_rows(const float* values, std::size_t n) {
  return sum_of(n, [=](std::size_t i) { return static_cast<double>(values[i]); });
}

double weighted_sum_of_rows(const float* values, const float* weights, std::size_t n) {
  return sum_of(n, [=](std::size_t i) {
    return weights[i] != 0.0f ? static_cast<double>(weights[i]) * static_cast<double>(values[i]) : 0.0;
  });
}

MetricSet::MetricSet(const std::vector<Metric>& metrics, const std::vector<Metric>& weighted, std::size_t cols,
                     bool labels, bool logits, bool monotone)
    : cols_(cols), ld_(padded_ld(cols)), labels_(labels), logits_(logits), monotone_(monotone) {
  for (const Metric& metric : metrics) append(metric, false);
  for (const Metric& metric : weighted) append(metric, true);
}

template <class Formula>
bool MetricSet::on_logits(const Formula& formula) const {
  return logits_ && (formula.on_logits() || (Formula::kNeedsOrder && monotone_));
}

void MetricSet::append(const Metric& metric, bool weighted) {
  Measured measured{metric, weighted, 0};
  with_formula(metric, [&](const auto& formula) {
    using Formula = std::remove_cvref_t<decltype(formula)>;
    static_assert(MeanOfRows<Formula> + OfSums<Formula> + OfEpoch<Formula> + kIsFunction<Formula> == 1,
                  "a metric has one of three forms");
    if constexpr (MeanOfRows<Formula>) measured.first = row_metrics_++;
    if constexpr (OfSums<Formula>) measured.first = std::exchange(sums_, sums_ + formula.sums(cols_));
    if constexpr (kKeepsRows<Formula>) {
      (on_logits(formula) ? needs_logits_ : needs_outputs_) = true;
      needs_weights_ = needs_weights_ || weighted;
    }
  });
  metrics_.push_back(measured);
}

void MetricSet::check(bool vectors) const {
  for (const Measured& measured : metrics_)
    std::visit(
        [&](const auto& metric) {
          using Chosen = std::remove_cvref_t<decltype(metric)>;
          const std::size_t outputs = vectors ? 0 : outputs_of(metric), least = least_outputs_of(metric);
          const std::string name = std::string("metrics: ") + Chosen::kName;
          if (!takes<Chosen>(labels_))
            throw std::invalid_argument(name +
                                        (labels_ ? " does not go with a loss on labels" : " needs a loss on labels"));
          if (outputs != 0 && cols_ != outputs)
            throw std::invalid_argument(name + " needs " + outputs_text(outputs) + ", the network has " +
                                        std::to_string(cols_));
          if (cols_ < least)
            throw std::invalid_argument(name + " needs at least " + outputs_text(least) + ", the network has " +
                                        std::to_string(cols_));
        },
        measured.metric);
}

void MetricSet::measure(const Kernels& kernels, const float* y, const BatchTargets& targets, Range rows,
                        const ScoreBuffers& out, Outputs which) const {
  const MeasuredRows given{kernels, y, targets, cols_, ld_, rows};
  for (const Measured& measured : metrics_)
    with_formula(measured.metric, [&](const auto& formula) {
      using Formula = std::remove_cvref_t<decltype(formula)>;
      if (which != Outputs::all && on_logits(formula) != (which == Outputs::logits)) return;
      if constexpr (MeanOfRows<Formula>) {
        float* const values = out.row_metrics + measured.first * out.stride;
        for_each_row<Formula>(given, nullptr,
                              [&](std::size_t i, const ScoredRow& row) { values[i] = formula.row(row); });
      } else if constexpr (OfSums<Formula>) {
        const float* const weights = measured.weighted ? out.weights : nullptr;
        MeasuredRows part = given;
        for (std::size_t begin = rows.begin; begin < rows.end; begin = part.rows.end) {
          const std::size_t block = begin / out.block;
          part.rows = {begin, std::min((block + 1) * out.block, rows.end)};
          double* const sums = out.block_sums + block * sums_ + measured.first;
          if constexpr (std::is_base_of_v<ClassHits, Formula>)
            if (weights == nullptr) {
              sums[0] += hits(part);
              continue;
            }
          if constexpr (requires { Formula::kExactSums; })
            if (cols_ == 1) {
              add_one_column(formula, part, weights, sums);
              continue;
            }
          for_each_row<Formula>(part, weights,
                                [&formula, sums](std::size_t, const ScoredRow& row) { formula.add(row, sums); });
        }
      }
    });
  const bool logits = which == Outputs::logits;
  if (logits ? needs_logits_ : needs_outputs_) keep(y, targets, rows, out, logits);
}

void MetricSet::keep(const float* y, const BatchTargets& targets, Range rows, const ScoreBuffers& out,
                     bool logits) const {
  EpochOutputs& epoch = *out.epoch;
  for (std::size_t i = rows.begin; i < rows.end; ++i) {
    const std::size_t to = out.first + i;
    std::copy_n(y + i * ld_, cols_, (logits ? epoch.logits : epoch.y).data() + to * cols_);
    if (labels_)
      epoch.labels[to] = targets.labels[i];
    else
      std::copy_n(targets.matrix + i * ld_, cols_, epoch.target.data() + to * cols_);
    if (!epoch.weight.empty()) epoch.weight[to] = out.weights[i];
  }
}

ScoreSums MetricSet::no_sums() const {
  ScoreSums sums;
  sums.row_metrics.resize(row_metrics_);
  sums.sums.resize(sums_);
  return sums;
}

void MetricSet::make_room(EpochOutputs& outputs, std::size_t rows, bool weights) const {
  if (!needs_epoch()) return;
  outputs.y.resize(needs_outputs_ ? rows * cols_ : 0);
  outputs.logits.resize(needs_logits_ ? rows * cols_ : 0);
  outputs.target.resize(labels_ ? 0 : rows * cols_);
  outputs.labels.resize(labels_ ? rows : 0);
  outputs.weight.resize(needs_weights_ && weights ? rows : 0);
  outputs.rows = rows;   // only now that there is memory for them
}

EpochOutputs EpochOutputs::first(std::size_t n) const {
  EpochOutputs out;
  if (rows == 0) return out;
  const auto take = [&](auto& to, const auto& from) {
    to.assign(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(from.size() / rows * n));
  };
  take(out.y, y);
  take(out.logits, logits);
  take(out.target, target);
  take(out.labels, labels);
  take(out.weight, weight);
  out.rows = n;
  return out;
}

void ScoreSums::clear() {
  loss = weight = divisor = 0.0;
  rows = 0;
  std::fill(row_metrics.begin(), row_metrics.end(), 0.0);
  std::fill(sums.begin(), sums.end(), 0.0);
}

void MetricSet::add(const ScoreBuffers& scores, const float* weight_of_row, std::size_t n, std::size_t blocks,
                    ScoreSums& sums) const {
  for (const Measured& measured : metrics_)
    with_formula(measured.metric, [&](const auto& formula) {
      using Formula = std::remove_cvref_t<decltype(formula)>;
      if constexpr (MeanOfRows<Formula>) {
        const float* const values = scores.row_metrics + measured.first * scores.stride;
        sums.row_metrics[measured.first] += measured.weighted && weight_of_row != nullptr
                                                ? weighted_sum_of_rows(values, weight_of_row, n)
                                                : sum_of_rows(values, n);
      } else if constexpr (OfSums<Formula>) {
        double* const to = sums.sums.data() + measured.first;
        const double* from = scores.block_sums + measured.first;
        const std::size_t count = formula.sums(cols_);
        for (std::size_t block = 0; block < blocks; ++block, from += sums_) {
          if constexpr (requires { Formula::kExactSums; })
            for (std::size_t i = 0; i < count; i += 2) add_exactly(to + i, exact(from + i));
          else
            for (std::size_t i = 0; i < count; ++i) to[i] += from[i];
        }
      }
    });
}

MetricRows MetricSet::kept(const EpochOutputs& outputs, bool weighted, bool logits) const {
  MetricRows rows;
  rows.y = (logits ? outputs.logits : outputs.y).data();
  rows.target = labels_ ? nullptr : outputs.target.data();
  rows.labels = labels_ ? outputs.labels.data() : nullptr;
  rows.weight = weighted && !outputs.weight.empty() ? outputs.weight.data() : nullptr;
  rows.rows = outputs.rows;
  rows.cols = cols_;
  return rows;
}

std::vector<double> MetricSet::values(const ScoreSums& sums, const EpochOutputs& outputs,
                                      const CallMetric& call) const {
  std::vector<double> values;
  for (const Measured& measured : metrics_) {
    const MetricTotals totals{cols_, measured.weighted ? sums.weight : static_cast<double>(sums.rows),
                              measured.weighted ? sums.weight_scale : 1.0};
    with_formula(measured.metric, [&](const auto& formula) {
      using Formula = std::remove_cvref_t<decltype(formula)>;
      const double* const own = sums.sums.data() + measured.first;
      if constexpr (MeanOfRows<Formula>)
        values.push_back(totals.weight > 0.0 ? sums.row_metrics[measured.first] / totals.weight : 0.0);
      else if constexpr (requires { formula.finals(own, totals, values); })
        formula.finals(own, totals, values);
      else if constexpr (OfSums<Formula>)
        values.push_back(formula.final(own, totals));
      else if constexpr (OfEpoch<Formula>)
        values.push_back(formula.of_epoch(kept(outputs, measured.weighted, on_logits(formula))));
      else
        values.push_back(call(std::get<metrics::Function>(measured.metric).index,
                              kept(outputs, measured.weighted, on_logits(formula))));
    });
  }
  return values;
}

}  // namespace fastreg
