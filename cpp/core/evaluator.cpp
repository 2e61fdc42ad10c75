// Evaluation, and the gathering of targets and weights of rows, which training uses, too.
#include "core/evaluator.h"

#include <algorithm>
#include <utility>

#include "core/optimizer.h"
#include "core/slices.h"

namespace fastreg {
namespace {

// The largest number of groups. The blocks of a group add to the same sums of a metric. It is limited because a metric
// may have very many sums. The group of a block depends only on the number of rows.
constexpr std::size_t kGroups = 256;

// The number of rows for which a loss of the program is called at once.
constexpr std::size_t kRowsOfCall = 4096;

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

std::vector<double> Evaluator::run(const Columns& data, const std::function<double()>& penalty,
                                   const ProgramCalls& calls, bool count_rows) {
  score_all(data, calls);
  double penalties = penalty();
  if (objective_.has_functions()) call_losses(data, calls.loss);
  std::vector<ScoreSums> sums = objective_.no_sums();
  for (std::size_t i = 0; i < work_.outputs.size(); ++i) {
    const std::vector<float>& weights = work_.outputs[i].row_weights;
    objective_.parts()[i].scoring.add(scores(data, i, 0, 0), weights.empty() ? nullptr : weights.data(), data.size(),
                                      groups(data), sums[i]);
  }
  if (count_rows) Objective::count_rows(sums);
  if (!penalised_.empty()) {
    double activity = 0.0;
    for (const double row : work_.activity_rows) activity += row;
    penalties += activity / static_cast<double>(data.size());
  }
  // A function of the program may evaluate other data meanwhile.
  std::vector<EpochOutputs> outputs;
  outputs.swap(work_.epoch);
  std::vector<double> logs = objective_.logs(sums, outputs, penalties, calls.metric);
  work_.epoch.swap(outputs);
  return logs;
}

void Evaluator::score_all(const Columns& data, const ProgramCalls& calls) {
  struct Job {
    Evaluator& evaluator;
    const Columns& data;
    Range items;
  } job{*this, data, {}};
  const auto score = [&](std::size_t begin, std::size_t end) {
    job.items = {begin, end};
    graph_.backend.run(
        work_.members.size(),
        [](void* context, const Team& team) {
          const Job& given = *static_cast<Job*>(context);
          given.evaluator.score_items(given.data, given.items, team);
        },
        &job);
  };
  const auto pack = [&] { graph_.packed.prepare(graph_, precision_, data.size(), work_.members.size()); };
  // In a pause the program may evaluate other data, and predict in another precision.
  const auto around = [&](auto&& act) {
    Work work;
    std::swap(work, work_);
    act();
    std::swap(work, work_);
    pack();
  };
  prepare(data);
  pack();
  const std::size_t threads = work_.members.size();
  const bool in_groups = work_.group_blocks > 1;
  const std::size_t first = in_groups ? short_slice(graph_, threads * work_.block_rows, 1)
                                      : short_slice(graph_, work_.block_rows, threads);
  if (in_slices(graph_, calls.lock, calls.pause, items(data), first, in_groups ? 1 : threads, score, around)) return;
  prepare(data);
  score(0, items(data));
}

// Meanwhile a function of the program may evaluate other data.
void Evaluator::call_losses(const Columns& data, const CallLoss& call) {
  Work work;
  std::swap(work, work_);
  LossCall batch;
  for (std::size_t i = 0; i < work.outputs.size(); ++i) {
    const Objective::Part& part = objective_.parts()[i];
    const std::optional<std::size_t> function = part.scoring.function();
    if (!function) continue;
    Output& out = work.outputs[i];
    const std::size_t cols = graph_.width(part.value);
    for (std::size_t begin = 0; begin < data.size(); begin += kRowsOfCall) {
      const std::size_t n = std::min(kRowsOfCall, data.size() - begin);
      batch.run(call, *function, data.y[i], data.rows.data, begin, n, out.y.data() + begin * cols, cols, cols, false);
      std::copy_n(batch.values(), n, out.row_losses.data() + begin);
    }
  }
  std::swap(work, work_);
}

void Evaluator::add_activities(const Member& member, std::size_t begin, std::size_t n) {
  std::fill_n(work_.activity_rows.begin() + static_cast<std::ptrdiff_t>(begin), n, 0.0);
  for (std::size_t i = 0; i < penalised_.size(); ++i) {
    const std::size_t cols = graph_.width(penalised_[i]), ld = padded_ld(cols);
    const float* const y = member.buffers.output(work_.outputs.size() + i);
    for (std::size_t r = 0; r < n; ++r) {
      double sums[2];
      graph_.backend.kernels->penalty_sums(y + r * ld, cols, sums);
      work_.activity_rows[begin + r] += penalty_of(graph_.activity_penalty(penalised_[i]), sums);
    }
  }
}

ScoreBuffers Evaluator::scores(const Columns& data, std::size_t output, std::size_t begin, std::size_t group) {
  Output& out = work_.outputs[output];
  return {out.row_losses.data() + begin,
          out.row_metrics.data() + begin,
          data.size(),
          out.group_sums.data() + group * objective_.parts()[output].scoring.metrics().sum_count(),
          work_.block_rows,
          &work_.epoch[output],
          begin,
          out.row_weights.empty() ? nullptr : out.row_weights.data() + begin};
}

void Evaluator::prepare(const Columns& data) {
  const std::size_t n = data.size(), threads = graph_.inference_threads(n);
  const std::size_t block = std::min(kBlockRows, n);
  if (block > work_.block_rows) {
    work_.members.clear();
    work_.block_rows = block;
  }
  while (work_.members.size() > threads) work_.members.pop_back();
  while (work_.members.size() < threads) work_.members.push_back(new_member());
  bool has_sums = false;
  for (const Objective::Part& part : objective_.parts()) has_sums = has_sums || part.scoring.metrics().sum_count() > 0;
  work_.group_blocks = has_sums ? (blocks(data) + kGroups - 1) / kGroups : 1;
  work_.outputs.resize(objective_.parts().size());
  if (!penalised_.empty()) work_.activity_rows.resize(n);
  work_.epoch.resize(work_.outputs.size());
  for (std::size_t i = 0; i < work_.outputs.size(); ++i) {
    const MetricSet& metrics = objective_.parts()[i].scoring.metrics();
    Output& out = work_.outputs[i];
    out.row_losses.resize(n);
    const Objective::Part& part = objective_.parts()[i];
    if (part.scoring.function()) out.y.resize(n * graph_.width(part.value));
    out.row_metrics.resize(n * metrics.row_count());
    out.group_sums.assign(groups(data) * metrics.sum_count(), 0.0);
    metrics.make_room(work_.epoch[i], n, !data.y[i].sample_weight.empty());
    out.row_weights.resize(data.y[i].sample_weight.empty() ? 0 : n);
    if (!out.row_weights.empty()) TargetGather{data.y[i], data.rows.data}.weights(0, {0, n}, out.row_weights.data());
  }
}

Evaluator::Member Evaluator::new_member() const {
  Member member{InferenceBuffers(graph_, inference_, work_.block_rows, precision_), {}, {}};
  for (const Objective::Part& part : objective_.parts()) {
    const bool labels = part.scoring.takes_labels(), matrix = !labels && part.scoring.reads_targets();
    const std::size_t floats = round_up(work_.block_rows * padded_ld(graph_.width(part.value)), kLane);
    member.targets.emplace_back(graph_.backend, matrix ? floats : 0);
    member.labels.emplace_back(labels ? work_.block_rows : 0);
  }
  return member;
}

// The number of pieces that an evaluation may pause between. If each group is a single block, a piece is a block. If
// groups have several blocks, each member works on a group of its own, and a piece is one block of each member's group.
std::size_t Evaluator::items(const Columns& data) const {
  if (work_.group_blocks == 1) return blocks(data);
  const std::size_t members = work_.members.size();
  return (groups(data) + members - 1) / members * work_.group_blocks;
}

void Evaluator::score_items(const Columns& data, Range items, const Team& team) {
  const auto score = [&](std::size_t block, std::size_t group) {
    const std::size_t begin = block * work_.block_rows;
    score_block(data, work_.members[team.rank], begin, std::min(work_.block_rows, data.size() - begin), group);
  };
  if (work_.group_blocks == 1) {
    const Range mine = team.split(items.end - items.begin);
    for (std::size_t i = items.begin + mine.begin; i < items.begin + mine.end; ++i) score(i, i);
    return;
  }
  const std::size_t together = work_.members.size();
  for (std::size_t item = items.begin; item < items.end; ++item) {
    const std::size_t first = item / work_.group_blocks * together, place = item % work_.group_blocks;
    for (std::size_t group = first + team.rank; group < std::min(first + together, groups(data)); group += team.size)
      if (const std::size_t block = group * work_.group_blocks + place; block < blocks(data)) score(block, group);
  }
}

void Evaluator::keep_outputs(const Member& member, std::size_t output, std::size_t begin, std::size_t n) {
  const std::size_t cols = graph_.width(objective_.parts()[output].value), ld = padded_ld(cols);
  const float* const y = member.buffers.output(output);
  for (std::size_t r = 0; r < n; ++r)
    std::copy_n(y + r * ld, cols, work_.outputs[output].y.data() + (begin + r) * cols);
}

void Evaluator::score_block(const Columns& data, Member& member, std::size_t begin, std::size_t n, std::size_t group) {
  const Kernels& kernels = *graph_.backend.kernels;
  member.buffers.run({data.x.data(), data.x.size()}, data.rows.data, begin, n);
  if (!penalised_.empty()) add_activities(member, begin, n);
  for (std::size_t i = 0; i < work_.outputs.size(); ++i) {
    const Scoring& scoring = objective_.parts()[i].scoring;
    const TargetGather gather{data.y[i], data.rows.data};
    BatchTargets targets;
    if (scoring.takes_labels()) {
      gather.labels(begin, {0, n}, member.labels[i].data());
      targets.labels = member.labels[i].data();
    } else if (scoring.reads_targets()) {
      gather.matrix(kernels, begin, {0, n}, member.targets[i].data());
      targets.matrix = member.targets[i].data();
    }
    if (scoring.function()) keep_outputs(member, i, begin, n);
    scoring.score(kernels, member.buffers.output(i), targets, nullptr, 1.0f, nullptr, {0, n},
                  scores(data, i, begin, group));
  }
}

}  // namespace fastreg
