// Computes the sum of the losses, and checks the data that they are computed from.
#include "core/objective.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/shapes.h"

namespace fastreg {
namespace {

std::vector<OutputTraining> outputs_of(const TrainingSpec& spec) {
  if (!spec.outputs.empty()) return spec.outputs;
  return {{spec.loss, spec.metrics, 1.0f, spec.weighted_metrics}};
}

// The name of an output for messages; empty if there is only one output.
std::string said(const Graph& graph, std::size_t output) {
  return graph.outputs.size() == 1 ? "" : "output " + graph.spec.outputs[output].name + ": ";
}

}  // namespace

Objective::Objective(const TrainingSpec& spec, const Graph& graph) {
  validate(spec);
  const std::vector<OutputTraining> outputs = outputs_of(spec);
  if (outputs.size() != graph.outputs.size())
    throw std::invalid_argument("loss must be " + std::to_string(graph.outputs.size()) +
                                ", one for each output, got " + std::to_string(outputs.size()));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const GraphOutput& output = graph.outputs[i];
    try {
      Scoring scoring(outputs[i], graph.width(output.value), output.head);
      const std::size_t value = scoring.absorbs_head() ? output.logits : output.value;
      has_functions_ = has_functions_ || scoring.function();
      parts_.push_back({std::move(scoring), outputs[i].weight, value});
    } catch (const std::invalid_argument& refused) {
      throw std::invalid_argument(said(graph, i) + refused.what());
    }
  }
}

std::vector<std::size_t> Objective::values() const {
  std::vector<std::size_t> out;
  for (const Part& part : parts_) out.push_back(part.value);
  return out;
}

std::size_t Objective::log_count() const {
  std::size_t count = parts_.size() == 1 ? 1 : 1 + parts_.size();
  for (const Part& part : parts_) count += part.scoring.metrics().count();
  return count;
}

std::vector<ScoreSums> Objective::no_sums() const {
  std::vector<ScoreSums> out;
  for (const Part& part : parts_) out.push_back(part.scoring.metrics().no_sums());
  return out;
}

std::vector<EpochOutputs> Objective::room(const Columns& data, std::size_t rows) const {
  std::vector<EpochOutputs> out(parts_.size());
  for (std::size_t i = 0; i < parts_.size(); ++i)
    parts_[i].scoring.metrics().make_room(out[i], rows, !data.y[i].sample_weight.empty());
  return out;
}

double Objective::loss(const std::vector<ScoreSums>& sums, double penalty) const {
  double total = 0.0;
  for (std::size_t i = 0; i < parts_.size(); ++i)
    total += static_cast<double>(parts_[i].weight) * sums[i].mean_loss(0.0);
  return total + penalty;
}

void Objective::count_rows(std::vector<ScoreSums>& sums) {
  for (ScoreSums& sum : sums) sum.divisor = static_cast<double>(sum.rows);
}

std::vector<double> Objective::logs(const std::vector<ScoreSums>& sums, const std::vector<EpochOutputs>& outputs,
                                    double penalty, const CallMetric& call) const {
  std::vector<double> out{loss(sums, penalty)}, metrics;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (parts_.size() > 1) out.push_back(sums[i].mean_loss(0.0));
    const std::vector<double> values = parts_[i].scoring.metrics().values(sums[i], outputs[i], call);
    metrics.insert(metrics.end(), values.begin(), values.end());
  }
  out.insert(out.end(), metrics.begin(), metrics.end());
  return out;
}

Columns columns_of(const Dataset& data) {
  Columns out{data.inputs, data.targets, data.rows};
  if (out.x.empty()) out.x.push_back(data.x);
  if (out.y.empty()) out.y.push_back({data.y, data.labels, data.sample_weight});
  return out;
}

namespace {

std::string counts(std::size_t want, std::size_t got) {
  return std::to_string(want) + ", got " + std::to_string(got);
}

// Checks one data set; `name` starts every message.
struct ColumnCheck {
  const Columns& data;
  const Graph& graph;
  const Objective& objective;
  const char* name;
  std::size_t rows = data.x[0].rows;

  [[noreturn]] void fail(const std::string& what) const {
    throw std::invalid_argument(std::string(name) + ": " + what);
  }
  void present(const void* memory, std::size_t elements, const std::string& which) const {
    if (memory == nullptr && elements > 0) fail(which + " must not be null");
  }
  void inputs() const {
    present(data.rows.data, data.rows.size, "rows");
    if (data.x.size() != graph.n_inputs())
      fail("x must be as many as inputs, " + counts(graph.n_inputs(), data.x.size()));
    if (data.size() == 0) fail("there must be at least one row");
    if (rows > 0xffffffffu) fail("there must be fewer than 2^32 rows, got " + std::to_string(rows));
    for (std::size_t i = 0; i < data.x.size(); ++i) {
      const std::string x = numbered("x", i, data.x.size());
      if (data.x[i].rows != rows) fail(x + " must have as many rows as x[0], " + counts(rows, data.x[i].rows));
      if (data.x[i].cols != graph.width(i)) fail(x + " must have columns " + counts(graph.width(i), data.x[i].cols));
      if (data.x[i].type > ElementType::uint8) refuse_type(std::string(name) + ": " + x, data.x[i].type);
      present(data.x[i].data, rows, x);
    }
    for (const std::uint32_t row : data.rows)
      if (row >= rows) fail("rows must be below " + counts(rows, row));
  }
  void targets() const {
    const std::size_t count = graph.outputs.size();
    if (data.y.size() != count) fail("y must be as many as outputs, " + counts(count, data.y.size()));
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t cols = graph.width(graph.outputs[i].value);
      const Scoring& scoring = objective.parts()[i].scoring;
      if (scoring.takes_labels())
        labels(data.y[i].labels, cols, numbered("labels", i, count));
      else
        matrix(data.y[i].y, scoring.reads_targets() ? cols : std::max<std::size_t>(data.y[i].y.cols, 1),
               numbered("y", i, count));
      weights(data.y[i].sample_weight, numbered("sample_weight", i, count));
    }
  }
  void labels(Span<const std::int32_t> labels, std::size_t cols, const std::string& which) const {
    if (labels.size != rows) fail(which + " must be as many as rows of x, " + counts(rows, labels.size));
    present(labels.data, labels.size, which);
    for (const std::int32_t label : labels)
      if (label < 0 || static_cast<std::size_t>(label) >= cols)
        fail(which + " must be in [0, " + std::to_string(cols) + "), got " + std::to_string(label));
  }
  void matrix(const MatrixView<const float>& y, std::size_t cols, const std::string& which) const {
    if (y.stride < y.cols) fail("the stride of " + which + " must not be below its columns");
    if (y.rows != rows) fail(which + " must have as many rows as x, " + counts(rows, y.rows));
    if (y.cols != cols) fail(which + " must have columns " + counts(cols, y.cols));
    present(y.data, y.rows, which);
  }
  void weights(Span<const float> weights, const std::string& which) const {
    if (!weights.empty() && weights.size != rows)
      fail(which + " must have as many values as x has rows, " + counts(rows, weights.size));
    present(weights.data, weights.size, which);
    for (const float weight : weights)
      if (!(weight >= 0.0f) || std::isinf(weight))
        fail(which + " must be finite and >= 0, got " + std::to_string(weight));
  }
};

}  // namespace

void check(const Columns& data, const Graph& graph, const Objective& objective, const char* name) {
  const ColumnCheck columns{data, graph, objective, name};
  columns.inputs();
  columns.targets();
}

}  // namespace fastreg
