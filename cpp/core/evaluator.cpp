// Evaluation, and the gathering of targets and weights of rows, which training uses, too.
#include "core/evaluator.h"

#include <algorithm>

#include "core/optimizer.h"

namespace fastreg {
namespace {

// The largest number of groups. The blocks of a group add to the same sums of a metric. It is limited because a metric
// may have very many sums. The group of a block depends only on the number of rows.
constexpr std::size_t kGroups = 256;

}  // namespace

void TargetGather::matrix(const Kernels& kernels, std::size_t begin, Range rows, float* out) const {
  const auto& y = targets.y;
  kernels.gather_rows({y.data, ElementType::float32, y.stride, order, begin, out, y.cols, padded_ld(y.cols), rows});
}

void TargetGather::labels(std::size_t begin, Range rows, std::int32_t* out) const {
  for (std::size_t i = rows.begin; i < rows.end; ++i) out[i] = targets.labels[row(begin + i)];
}

void TargetGather::weights(std::size_t begin, Range rows, float* out) const {
  for (std::size_t i = rows.begin; i < rows.end; ++i) out[i] = targets.sample_weight[row(begin + i)];
}

double mean_weight(Span<const float> weights, Span<const std::uint32_t> rows) {
  if (weights.empty()) return 1.0;
  const std::size_t n = rows.data != nullptr ? rows.size : weights.size;
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(weights[rows.data != nullptr ? rows[i] : i]);
  return sum / static_cast<double>(n);
}

std::vector<float> relative_weights(Span<const float> weights, Span<const std::uint32_t> rows) {
  std::vector<float> relative(weights.size, 0.0f);
  if (weights.empty()) return relative;
  const std::size_t n = rows.data != nullptr ? rows.size : weights.size;
  const auto row = [&](std::size_t i) { return rows.data != nullptr ? rows[i] : i; };
  const double mean = mean_weight(weights, rows);
  if (mean <= 0.0) return relative;
  for (std::size_t i = 0; i < n; ++i)
    relative[row(i)] = static_cast<float>(static_cast<double>(weights[row(i)]) / mean);
  return relative;
}

std::vector<double> Evaluator::run(const Columns& data, double penalty, const CallMetric& call) {
  prepare(data);
  struct Job {
    Evaluator& evaluator;
    const Columns& data;
  } job{*this, data};
  graph_.backend.run(
      members_.size(),
      [](void* context, const Team& team) {
        const Job& given = *static_cast<Job*>(context);
        given.evaluator.score_blocks(given.data, team);
      },
      &job);
  std::vector<ScoreSums> sums = objective_.no_sums();
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const std::vector<float>& weights = outputs_[i].row_weights;
    objective_.parts()[i].scoring.add(scores(data, i, 0, 0), weights.empty() ? nullptr : weights.data(), data.size(),
                                      groups(data), sums[i]);
  }
  if (!penalised_.empty()) {
    double activity = 0.0;
    for (const double row : activity_rows_) activity += row;
    penalty += activity / static_cast<double>(data.size());
  }
  // A function of the program may evaluate other data meanwhile.
  std::vector<EpochOutputs> outputs;
  outputs.swap(epoch_);
  std::vector<double> logs = objective_.logs(sums, outputs, penalty, call);
  epoch_.swap(outputs);
  return logs;
}

void Evaluator::add_activities(const Member& member, std::size_t begin, std::size_t n) {
  std::fill_n(activity_rows_.begin() + static_cast<std::ptrdiff_t>(begin), n, 0.0);
  for (std::size_t i = 0; i < penalised_.size(); ++i) {
    const std::size_t cols = graph_.width(penalised_[i]), ld = padded_ld(cols);
    const float* const y = member.buffers.output(outputs_.size() + i);
    for (std::size_t r = 0; r < n; ++r) {
      float sums[2];
      graph_.backend.kernels->penalty_sums(y + r * ld, cols, sums);
      activity_rows_[begin + r] += penalty_of(graph_.activity_penalty(penalised_[i]), sums);
    }
  }
}

ScoreBuffers Evaluator::scores(const Columns& data, std::size_t output, std::size_t begin, std::size_t group) {
  Output& out = outputs_[output];
  return {out.row_losses.data() + begin,
          out.row_metrics.data() + begin,
          data.size(),
          out.group_sums.data() + group * objective_.parts()[output].scoring.metrics().sum_count(),
          block_rows_,
          &epoch_[output],
          begin,
          out.row_weights.empty() ? nullptr : out.row_weights.data() + begin};
}

void Evaluator::prepare(const Columns& data) {
  const std::size_t n = data.size(), threads = graph_.inference_threads(n);
  const std::size_t block = std::min(kBlockRows, n);
  if (block > block_rows_) {
    members_.clear();
    block_rows_ = block;
  }
  while (members_.size() > threads) members_.pop_back();
  while (members_.size() < threads) members_.push_back(new_member());
  bool has_sums = false;
  for (const Objective::Part& part : objective_.parts()) has_sums = has_sums || part.scoring.metrics().sum_count() > 0;
  group_blocks_ = has_sums ? (blocks(data) + kGroups - 1) / kGroups : 1;
  outputs_.resize(objective_.parts().size());
  if (!penalised_.empty()) activity_rows_.resize(n);
  epoch_.resize(outputs_.size());
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const MetricSet& metrics = objective_.parts()[i].scoring.metrics();
    Output& out = outputs_[i];
    out.row_losses.resize(n);
    out.row_metrics.resize(n * metrics.row_count());
    out.group_sums.assign(groups(data) * metrics.sum_count(), 0.0);
    metrics.make_room(epoch_[i], n, !data.y[i].sample_weight.empty());
    out.row_weights.resize(data.y[i].sample_weight.empty() ? 0 : n);
    if (!out.row_weights.empty()) TargetGather{data.y[i], data.rows.data}.weights(0, {0, n}, out.row_weights.data());
  }
}

Evaluator::Member Evaluator::new_member() const {
  Member member{InferenceBuffers(graph_, inference_, block_rows_), {}, {}};
  for (const Objective::Part& part : objective_.parts()) {
    const bool labels = part.scoring.takes_labels();
    const std::size_t floats = round_up(block_rows_ * padded_ld(graph_.width(part.value)), kLane);
    member.targets.emplace_back(graph_.backend, labels ? 0 : floats);
    member.labels.emplace_back(labels ? block_rows_ : 0);
  }
  return member;
}

void Evaluator::score_blocks(const Columns& data, const Team& team) {
  const Range mine = team.split(groups(data));
  for (std::size_t group = mine.begin; group < mine.end; ++group) {
    const std::size_t end = std::min((group + 1) * group_blocks_, blocks(data));
    for (std::size_t block = group * group_blocks_; block < end; ++block) {
      const std::size_t begin = block * block_rows_;
      score_block(data, members_[team.rank], begin, std::min(block_rows_, data.size() - begin), group);
    }
  }
}

void Evaluator::score_block(const Columns& data, Member& member, std::size_t begin, std::size_t n, std::size_t group) {
  const Kernels& kernels = *graph_.backend.kernels;
  member.buffers.run({data.x.data(), data.x.size()}, data.rows.data, begin, n);
  if (!penalised_.empty()) add_activities(member, begin, n);
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const Scoring& scoring = objective_.parts()[i].scoring;
    const TargetGather gather{data.y[i], data.rows.data};
    BatchTargets targets;
    if (scoring.takes_labels()) {
      gather.labels(begin, {0, n}, member.labels[i].data());
      targets.labels = member.labels[i].data();
    } else {
      gather.matrix(kernels, begin, {0, n}, member.targets[i].data());
      targets.matrix = member.targets[i].data();
    }
    scoring.score(kernels, member.buffers.output(i), targets, nullptr, 1.0f, nullptr, {0, n},
                  scores(data, i, begin, group));
  }
}

}  // namespace fastreg
