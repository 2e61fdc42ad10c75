// A MetricState is a MetricSet of one metric that rows are added to in blocks.
#include "fastreg/metric_state.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <stdexcept>
#include <string>
#include <variant>

#include "core/check_fields.h"
#include "core/fork.h"
#include "core/metric_set.h"
#include "core/metrics/forms.h"
#include "core/parameters.h"
#include "core/run.h"
#include "core/shapes.h"

namespace fastreg {
namespace {

// Rows that are padded and measured together.
constexpr std::size_t kBlock = 128;

void check_rows(const MetricRows& rows, bool labels) {
  require_data("y", rows.y, rows.rows);
  if (!labels) require_data("target", rows.target, rows.rows);
  if (labels)
    for (std::size_t i = 0; i < rows.rows; ++i)
      if (rows.labels[i] < 0 || static_cast<std::size_t>(rows.labels[i]) >= rows.cols)
        throw std::invalid_argument("labels must be in [0, " + std::to_string(rows.cols) + "), got " +
                                    std::to_string(rows.labels[i]));
  if (rows.weight == nullptr) return;
  for (std::size_t i = 0; i < rows.rows; ++i)
    if (!(rows.weight[i] >= 0.0f) || std::isinf(rows.weight[i]))
      throw std::invalid_argument("sample_weight must be finite and >= 0, got " + std::to_string(rows.weight[i]));
}

// The same metric. Throws std::invalid_argument unless it and blocks of so many columns can be computed. This is before
// there is memory for either.
const Metric& checked(const Metric& metric, std::size_t cols) {
  if (std::holds_alternative<metrics::Function>(metric))
    throw std::invalid_argument("metric must not be a Function, which only a trainer calls");
  std::visit([](const auto& chosen) { check_description("metric", chosen); }, metric);
  check_width("metric", "cols", cols);
  require_memory("metric: cols: a block of rows", 3.0 * static_cast<double>(kBlock * padded_ld(cols)));
  return metric;
}

}  // namespace

// Rows are measured as a weighted metric, where a missing weight is 1.
struct MetricState::Impl {
  Impl(const Metric& metric, std::size_t columns, bool takes_labels)
      : cols(columns),
        ld(padded_ld(columns)),
        labels(takes_labels),
        set({}, {checked(metric, columns)}, columns, takes_labels, false, false),
        sums(checked_set().no_sums()),
        y(cpu_backend(), round_up(kBlock * ld, kLane)),
        target(cpu_backend(), takes_labels ? 0 : round_up(kBlock * ld, kLane)),
        row_values(kBlock * set.row_count()),
        block_sums(set.sum_count()) {}

  const MetricSet& checked_set() const {
    set.check(true);
    return set;
  }

  // Measures the rows [first, first + n) of `rows`.
  void measure(const MetricRows& rows, std::size_t first, std::size_t n) {
    const auto pad = [&](const float* from, const Buffer& to) {
      for (std::size_t i = 0; i < n; ++i) std::copy_n(from + (first + i) * cols, cols, to.data() + i * ld);
    };
    pad(rows.y, y);
    if (!labels) pad(rows.target, target);
    const float* const weight = rows.weight != nullptr ? rows.weight + first : nullptr;
    std::fill(block_sums.begin(), block_sums.end(), 0.0);
    const ScoreBuffers buffers{nullptr, row_values.data(), kBlock, block_sums.data(), kBlock,
                               &epoch,  sums.rows,         weight};
    const BatchTargets targets{labels ? nullptr : target.data(), labels ? rows.labels + first : nullptr};
    set.measure(*cpu_backend().kernels, y.data(), targets, {0, n}, buffers, Outputs::all);
    set.add(buffers, weight, n, 1, sums);
    sums.rows += n;
    sums.weight += weight != nullptr ? sum_of_rows(weight, n) : static_cast<double>(n);
  }

  // Makes room for more kept rows. Weights of the rows before are 1 if there were none.
  void make_room(std::size_t more, bool weighted) {
    has_weights = has_weights || weighted;
    const std::size_t before = epoch.weight.size();
    set.make_room(epoch, sums.rows + more, has_weights);
    for (std::size_t i = before; i < epoch.weight.size(); ++i) epoch.weight[i] = 1.0f;
  }

  ForkSafe<std::mutex> lock;
  std::size_t cols, ld;
  bool labels, has_weights = false;
  MetricSet set;
  ScoreSums sums;
  EpochOutputs epoch;
  Buffer y, target;
  std::vector<float> row_values;
  std::vector<double> block_sums;
};

MetricState::MetricState(const Metric& metric, std::size_t cols, bool labels)
    : impl_(std::make_unique<Impl>(metric, cols, labels)) {}
MetricState::~MetricState() = default;
MetricState::MetricState(MetricState&&) noexcept = default;
MetricState& MetricState::operator=(MetricState&&) noexcept = default;

void MetricState::add(const MetricRows& given) {
  Impl& i = *impl_;
  if (given.cols != i.cols || (given.labels != nullptr) != i.labels)
    throw std::invalid_argument("rows must have " + std::to_string(i.cols) + " columns and " +
                                (i.labels ? "labels" : "a matrix of targets") + ", as those before");
  check_rows(given, i.labels);
  const std::lock_guard guard(i.lock);
  MetricRows rows = given;
  std::vector<float> ones;
  if (rows.weight == nullptr && i.has_weights) {
    ones.assign(rows.rows, 1.0f);
    rows.weight = ones.data();
  }
  i.make_room(rows.rows, rows.weight != nullptr);   // the last allocation: what fails leaves the state as it was
  on_this_thread(cpu_backend(), [&] {
    for (std::size_t first = 0; first < rows.rows; first += kBlock)
      i.measure(rows, first, std::min(kBlock, rows.rows - first));
  });
}

void MetricState::reset() {
  Impl& i = *impl_;
  const std::lock_guard guard(i.lock);
  i.sums.clear();
  i.epoch = {};
  i.has_weights = false;
}

std::vector<double> MetricState::values() const {
  const std::lock_guard guard(impl_->lock);
  return impl_->set.values(impl_->sums, impl_->epoch, CallMetric());
}

std::vector<float> row_values(const Metric& metric, const MetricRows& rows) {
  const bool labels = rows.labels != nullptr;
  std::visit([](const auto& chosen) { check_description("metric", chosen); }, metric);
  MetricSet set({metric}, {}, rows.cols, labels, false, false);
  set.check(true);
  if (set.row_count() == 0) throw std::invalid_argument("metric must be a mean over rows");
  check_rows(rows, labels);
  const std::size_t ld = padded_ld(rows.cols);
  const Buffer y(cpu_backend(), round_up(rows.rows * ld, kLane));
  const Buffer target(cpu_backend(), labels ? 0 : round_up(rows.rows * ld, kLane));
  std::vector<float> values(rows.rows);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    std::copy_n(rows.y + i * rows.cols, rows.cols, y.data() + i * ld);
    if (!labels) std::copy_n(rows.target + i * rows.cols, rows.cols, target.data() + i * ld);
  }
  const ScoreBuffers buffers{nullptr, values.data(), rows.rows, nullptr, 1, nullptr, 0, nullptr};
  const BatchTargets targets{labels ? nullptr : target.data(), rows.labels};
  on_this_thread(cpu_backend(), [&] {
    set.measure(*cpu_backend().kernels, y.data(), targets, {0, rows.rows}, buffers, Outputs::all);
  });
  return values;
}

}  // namespace fastreg
