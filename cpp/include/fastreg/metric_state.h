// Metrics outside of a trainer: the state of one that rows are added to, and functions of the program that a trainer
// calls as metrics.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "fastreg/spec.h"

namespace fastreg {

// Outputs and what they are measured against, row by row without padding. `target` is null where the targets are
// labels, and then `labels` has them. A null `weight` means that every weight is 1.
struct MetricRows {
  const float *y = nullptr, *target = nullptr;   // (rows, cols)
  const std::int32_t* labels = nullptr;          // (rows), in [0, cols)
  const float* weight = nullptr;                 // (rows), finite and not negative
  std::size_t rows = 0, cols = 0;
};

// A metric of the program's own: a number for the rows of an epoch or an evaluation. It is called on the thread that
// called fit or evaluate, while the network is not locked. It may throw: then the call throws, too; a fit brings back
// the state at the end of the last complete epoch before.
class MetricFunction {
 public:
  virtual ~MetricFunction() = default;
  virtual double value(const MetricRows& rows) = 0;
};

// The state of one metric, of all rows added since it was made or reset. Any threads may use it.
class MetricState {
 public:
  // cols: the columns of outputs; labels: whether targets are labels. Throws std::invalid_argument if the metric does
  // not take these, and for metrics::Function, which only a trainer calls.
  MetricState(const Metric& metric, std::size_t cols, bool labels);
  ~MetricState();
  MetricState(MetricState&&) noexcept;
  MetricState& operator=(MetricState&&) noexcept;

  // The columns, and whether targets are labels, must be those of the constructor. Throws std::invalid_argument for
  // these, for a label out of range and for weights that are negative or not finite.
  void add(const MetricRows& rows);
  void reset();
  // One number, or one for each column where the metric is not averaged over columns.
  std::vector<double> values() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The value of each row, of a metric that is their mean. Throws std::invalid_argument for any other metric, and if a
// field of it is out of its range.
std::vector<float> row_values(const Metric& metric, const MetricRows& rows);

}  // namespace fastreg
