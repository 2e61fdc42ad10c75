// Evaluation, and what it shares with training: gathering targets, weights of rows and checking data sets.
#include "core/evaluator.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace fastreg {
namespace {

// Blocks whose rows add to the same sums of a metric form a group; there are no more than this many, since a metric may
// have very many sums. Which blocks these are depends on the number of rows alone.
constexpr std::size_t kGroups = 256;

}  // namespace

void TargetGather::matrix(const Kernels& kernels, std::size_t begin, Range rows, float* out) const {
  const auto& y = data.y;
  kernels.gather_rows({y.data, ElementType::float32, y.stride, order, begin, out, y.cols, padded_ld(y.cols), rows});
}

void TargetGather::labels(std::size_t begin, Range rows, std::int32_t* out) const {
  for (std::size_t i = rows.begin; i < rows.end; ++i) out[i] = data.labels[row(begin + i)];
}

void TargetGather::weights(std::size_t begin, Range rows, float* out) const {
  for (std::size_t i = rows.begin; i < rows.end; ++i) out[i] = data.sample_weight[row(begin + i)];
}

std::vector<float> relative_weights(Span<const float> weights, Span<const std::uint32_t> rows) {
  std::vector<float> relative(weights.size, 0.0f);
  if (weights.empty()) return relative;
  const std::size_t n = rows.data != nullptr ? rows.size : weights.size;
  const auto row = [&](std::size_t i) { return rows.data != nullptr ? rows[i] : i; };
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(weights[row(i)]);
  if (sum <= 0.0) return relative;
  const double mean = sum / static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i)
    relative[row(i)] = static_cast<float>(static_cast<double>(weights[row(i)]) / mean);
  return relative;
}

void check(const Dataset& data, const Graph& graph, const Scoring& scoring, const char* name) {
  const auto fail = [&](const std::string& what) { throw std::invalid_argument(std::string(name) + ": " + what); };
  const auto counts = [](std::size_t want, std::size_t got) {
    return std::to_string(want) + ", got " + std::to_string(got);
  };
  if (data.size() == 0) fail("there must be at least one row");
  if (data.x.rows > 0xffffffffu) fail("there must be fewer than 2^32 rows, got " + std::to_string(data.x.rows));
  if (data.y.stride < data.y.cols) fail("the stride of y must not be below its columns");
  if (data.x.cols != graph.spec.n_features) fail("x must have columns " + counts(graph.spec.n_features, data.x.cols));
  if (scoring.takes_labels()) {
    if (data.labels.size != data.x.rows)
      fail("labels must be as many as rows of x, " + counts(data.x.rows, data.labels.size));
    for (const std::int32_t label : data.labels)
      if (label < 0 || static_cast<std::size_t>(label) >= graph.n_outputs)
        fail("labels must be in [0, " + std::to_string(graph.n_outputs) + "), got " + std::to_string(label));
  } else {
    if (data.y.rows != data.x.rows) fail("y must have as many rows as x, " + counts(data.x.rows, data.y.rows));
    if (data.y.cols != graph.n_outputs) fail("y must have columns " + counts(graph.n_outputs, data.y.cols));
  }
  if (!data.sample_weight.empty() && data.sample_weight.size != data.x.rows)
    fail("sample_weight must have as many values as x has rows, " + counts(data.x.rows, data.sample_weight.size));
  for (const float weight : data.sample_weight)
    if (!(weight >= 0.0f) || std::isinf(weight))
      fail("sample_weight must be finite and >= 0, got " + std::to_string(weight));
  for (const std::uint32_t row : data.rows)
    if (row >= data.x.rows) fail("rows must be below " + counts(data.x.rows, row));
}

std::vector<double> Evaluator::run(const Dataset& data, double penalty) {
  prepare(data);
  struct Job {
    Evaluator& evaluator;
    const Dataset& data;
  } job{*this, data};
  graph_.backend.run(
      members_.size(),
      [](void* context, const Team& team) {
        const Job& given = *static_cast<Job*>(context);
        given.evaluator.score_blocks(given.data, team);
      },
      &job);
  ScoreSums sums = scoring_.no_sums();
  scoring_.add(scores(data, 0, 0), row_weights_.empty() ? nullptr : row_weights_.data(), data.size(), groups(data),
               sums);
  return scoring_.logs(sums, outputs_, penalty);
}

ScoreBuffers Evaluator::scores(const Dataset& data, std::size_t begin, std::size_t group) {
  return {row_losses_.data() + begin,
          row_metrics_.data() + begin,
          data.size(),
          group_sums_.data() + group * scoring_.sum_count(),
          block_rows_,
          &outputs_,
          begin};
}

void Evaluator::prepare(const Dataset& data) {
  const std::size_t n = data.size(), threads = graph_.inference_threads(n);
  const std::size_t block = std::min(kBlockRows, n);
  if (block > block_rows_) {
    members_.clear();
    block_rows_ = block;
  }
  while (members_.size() > threads) members_.pop_back();
  while (members_.size() < threads) {
    const std::size_t outputs = round_up(block_rows_ * padded_ld(graph_.n_outputs), kLane);
    const std::size_t targets = scoring_.takes_labels() ? 0 : outputs;
    members_.push_back({graph_.inference_buffers(block_rows_), Buffer(graph_.backend, targets),
                        std::vector<std::int32_t>(scoring_.takes_labels() ? block_rows_ : 0)});
  }
  row_losses_.resize(n);
  row_metrics_.resize(n * scoring_.row_metric_count());
  group_blocks_ = scoring_.sum_count() == 0 ? 1 : (blocks(data) + kGroups - 1) / kGroups;
  group_sums_.assign(groups(data) * scoring_.sum_count(), 0.0);
  scoring_.make_room(outputs_, n);
  row_weights_.resize(data.sample_weight.empty() ? 0 : n);
  if (!row_weights_.empty()) TargetGather{data, data.rows.data}.weights(0, {0, n}, row_weights_.data());
}

void Evaluator::score_blocks(const Dataset& data, const Team& team) {
  const Range mine = team.split(groups(data));
  for (std::size_t group = mine.begin; group < mine.end; ++group) {
    const std::size_t end = std::min((group + 1) * group_blocks_, blocks(data));
    for (std::size_t block = group * group_blocks_; block < end; ++block) {
      const std::size_t begin = block * block_rows_;
      score_block(data, members_[team.rank], begin, std::min(block_rows_, data.size() - begin), group);
    }
  }
}

void Evaluator::score_block(const Dataset& data, Member& member, std::size_t begin, std::size_t n, std::size_t group) {
  const Kernels& kernels = *graph_.backend.kernels;
  float* y = graph_.infer_block(member.buffers, data.x, data.rows.data, begin, n, operations_before_loss(graph_, scoring_));
  const TargetGather gather{data, data.rows.data};
  BatchTargets targets;
  if (scoring_.takes_labels()) {
    gather.labels(begin, {0, n}, member.labels.data());
    targets.labels = member.labels.data();
  } else {
    gather.matrix(kernels, begin, {0, n}, member.targets.data());
    targets.matrix = member.targets.data();
  }
  scoring_.score(kernels, y, targets, nullptr, 1.0f, nullptr, {0, n}, scores(data, begin, group));
}

}  // namespace fastreg
