// What the update kernel gets of an optimizer, and the plan of its pass.
#include "core/optimizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>
#include <variant>

#include "math/rules.h"

namespace fastreg {
namespace {

constexpr std::size_t kChunk = 16384;   // in floats: short enough for sums in float, long enough to make calls cheap
constexpr std::size_t kLeastPanel = 8192;   // panels with fewer floats would make too many chunks

// Calls f with an optimizer's description and the type of the rule that its values choose (math/rules.h).
template <class F>
void with_chosen_rule(const Optimizer& rule, F f) {
  const auto visit = [&]<class Description>(const Description& description) {
    if constexpr (math::kHasRules<Description>)
      math::with_rule<float>(description, [&]<class Chosen>(Type<Chosen> chosen) { f(description, chosen); });
  };
  std::visit(visit, rule);
}

std::vector<std::string> moment_names_of(const Optimizer& rule) {
  std::vector<std::string> names;
  with_chosen_rule(rule, [&]<class Chosen>(const auto&, Type<Chosen>) {
    for (std::size_t i = 0; i < Chosen::kMoments.kSize; ++i) names.emplace_back(Chosen::kMoments.name[i]);
  });
  return names;
}

// Allocates nothing, because a run that has no memory left needs it to restore its state.
std::size_t power_count_of(const Optimizer& rule) {
  std::size_t count = 0;
  with_chosen_rule(rule, [&]<class Chosen>(const auto&, Type<Chosen>) { count = Chosen::kPowers; });
  return count;
}

bool has_point_of(const Optimizer& rule) {
  bool has = false;
  with_chosen_rule(rule, [&]<class Chosen>(const auto&, Type<Chosen>) { has = math::kHasPoint<Chosen>; });
  return has;
}

float start_of(const Optimizer& rule, std::size_t moment) {
  float start = 0.0f;
  with_chosen_rule(rule, [&]<class Chosen>(const auto& description, Type<Chosen>) {
    start = math::start_of<Chosen>(description, moment);
  });
  return start;
}

Optimizer rule_of(const Optimizer& spec) {
  return std::visit([](const auto& optimizer) -> Optimizer { return math::rule_of(optimizer); }, spec);
}

float weight_decay_of(const Optimizer& spec) {
  return std::visit(
      [](const auto& optimizer) {
        if constexpr (requires { optimizer.weight_decay; }) return optimizer.weight_decay;
        else return optimizer.options.weight_decay;
      },
      spec);
}

float learning_rate_of(const Optimizer& spec) {
  return std::visit([](const auto& optimizer) { return optimizer.learning_rate; }, spec);
}

UpdateOptions options_of(const Optimizer& spec) {
  return std::visit([](const auto& optimizer) { return optimizer.options; }, spec);
}

// Whether weight decay applies to a weight.
bool decays(const Segment& segment, const TrainingSpec& spec) {
  if (!spec.excluded_from_weight_decay) return segment.decays;
  const std::string& name = segment.info.name;
  const std::string_view last = std::string_view(name).substr(name.rfind('.') + 1);
  return std::none_of(spec.excluded_from_weight_decay->begin(), spec.excluded_from_weight_decay->end(),
                      [&](const std::string& one) { return one == name || last.find(one) != last.npos; });
}

// The gradient whose norm or elements are clipped. A proximal penalty is no part of it.
WholeGradient whole_gradient(const Update& args) {
  return {args.w, args.g, args.n, args.proximal ? 0.0f : args.l1, args.l2};
}

// Appends the chunks of [begin, end).
void cut(const ParameterRun& run, std::size_t begin, std::size_t end, std::size_t size,
         std::vector<ParameterRun>& chunks) {
  for (std::size_t at = begin; at < end; at += size) {
    ParameterRun chunk = run;
    chunk.begin = at;
    chunk.end = std::min(end, at + size);
    chunks.push_back(chunk);
  }
}

// Appends the chunks of a run of which no sums are needed. They end at the panels of kernels, which other members of a
// team may multiply with, and are of nearly the same size between two ends.
void cut_at_panels(const ParameterRun& run, const std::vector<KernelRange>& kernels,
                   std::vector<ParameterRun>& chunks) {
  std::vector<std::size_t> ends;
  for (const KernelRange& kernel : kernels) {
    if (kernel.panel < kLeastPanel || kernel.end - kernel.begin == kernel.panel) continue;
    for (std::size_t at = kernel.begin; at < kernel.end; at += kernel.panel) ends.push_back(at);
    ends.push_back(kernel.end);
  }
  ends.push_back(run.end);
  std::sort(ends.begin(), ends.end());
  std::size_t begin = run.begin;
  for (const std::size_t end : ends) {
    if (end <= begin || end > run.end) continue;
    const std::size_t count = (end - begin + kChunk - 1) / kChunk;
    cut(run, begin, end, round_up((end - begin + count - 1) / count, kLane), chunks);
    begin = end;
  }
}

// The chunks, sorted by their relative position within their kernel, from 0 to 1. Dividing this order into parts of as
// many floats divides every kernel in the same way.
std::vector<std::size_t> shared_order(const std::vector<ParameterRun>& chunks,
                                      const std::vector<KernelRange>& kernels) {
  std::vector<std::pair<double, std::size_t>> positions;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const std::size_t middle = (chunks[i].begin + chunks[i].end) / 2;
    double position = 0.0;
    for (const KernelRange& kernel : kernels)
      if (middle >= kernel.begin && middle < kernel.end)
        position = static_cast<double>(middle - kernel.begin) / static_cast<double>(kernel.end - kernel.begin);
    positions.emplace_back(position, i);
  }
  std::sort(positions.begin(), positions.end());
  std::vector<std::size_t> order;
  for (const auto& [position, chunk] : positions) order.push_back(chunk);
  return order;
}

}  // namespace

std::vector<ParameterRun> parameter_runs(const Parameters& parameters, const TrainingSpec& spec) {
  const bool joined = options_of(spec.optimizer).clipping.kind != ClipKind::norm;
  std::vector<ParameterRun> runs;
  for (const std::size_t i : parameters.order()) {
    const Segment& segment = parameters.segments()[i];
    if (!segment.info.trainable) continue;
    Penalty penalty = segment.penalty;   // of single elements; orthogonality.h has the rest
    penalty.orthogonal = 0.0f;
    penalty.orthogonal_mode = {};
    const ParameterRun run{segment.offset, segment.offset + segment.padded, penalty, decays(segment, spec),
                           segment.rate_multiplier, segment.decay_multiplier};
    if (joined && !runs.empty() && runs.back().is_alike(run))
      runs.back().end = run.end;
    else
      runs.push_back(run);
  }
  return runs;
}

std::vector<KernelRange> kernel_ranges(const Parameters& parameters) {
  std::vector<KernelRange> kernels;
  for (const Segment& segment : parameters.segments()) {
    const std::size_t panel = std::min(segment.padded, segment.info.rows * kPanel);
    if (segment.panels) kernels.push_back({segment.offset, segment.offset + segment.padded, panel});
  }
  return kernels;
}

OptimizerState::OptimizerState(const Optimizer& spec, const std::vector<ParameterRun>& runs, std::size_t floats,
                               const Backend& backend, std::size_t phase, const std::vector<KernelRange>& kernels)
    : rule_(rule_of(spec)),
      options_(options_of(spec)),
      rate_(learning_rate_of(spec)),
      decay_(weight_decay_of(spec)),
      names_(moment_names_of(rule_)),
      rule_moments_(names_.size()),
      phase_(phase),
      stride_(round_up(floats, kLane)) {
  if (options_.use_ema) {
    average_ = names_.size();
    names_.emplace_back("average");
  }
  if (options_.gradient_accumulation_steps > 1) {
    accumulator_ = names_.size();
    names_.emplace_back("accumulator");
  }
  const std::size_t arrays = names_.size() + (has_point_of(rule_) ? 1 : 0);
  if (has_point_of(rule_)) point_ = names_.size();
  moments_ = Buffer(backend, arrays == 0 ? 0 : phase_ + arrays * stride_);
  for (std::size_t i = 0; i < rule_moments_; ++i)
    if (const float start = start_of(rule_, i); start != 0.0f) std::fill_n(moment(i), stride_, start);
  for (const ParameterRun& run : runs) {
    const std::size_t first = chunks_.size();
    if (run.end - run.begin > kChunk && run.penalty == Penalty{} && !clips_norms())
      cut_at_panels(run, kernels, chunks_);
    else
      cut(run, run.begin, run.end, kChunk, chunks_);
    norms_.resize(chunks_.size(), {first, chunks_.size()});
  }
  if (options_.clipping.kind == ClipKind::global_norm) norms_.assign(chunks_.size(), {0, chunks_.size()});
  sums_.assign(2 * chunks_.size(), std::numeric_limits<double>::infinity());
  squares_.assign(chunks_.size(), 0.0);
  shared_ = shared_order(chunks_, kernels);
  std::size_t before = 0;
  for (const std::size_t chunk : shared_) {
    const std::size_t size = chunks_[chunk].end - chunks_[chunk].begin;
    middles_.push_back(before + size / 2);
    before += size;
  }
  chunk_floats_ = before;
}

Range OptimizerState::places(const Team& team) const {
  if (team.size == 1) return {0, chunks_.size()};
  const auto first = [&](std::size_t rank) {
    const auto found = std::lower_bound(middles_.begin(), middles_.end(), chunk_floats_ * rank / team.size);
    return static_cast<std::size_t>(found - middles_.begin());
  };
  return {first(team.rank), first(team.rank + 1)};
}

void OptimizerState::set_steps(std::uint64_t steps) {
  powers_.fill(1.0);
  const auto end = powers_.begin() + power_count_of(rule_);
  const auto moves = [&] { return std::any_of(powers_.begin(), end, [](double power) { return power != 0.0; }); };
  const std::uint64_t updates = steps / options_.gradient_accumulation_steps;
  waiting_ = static_cast<std::uint32_t>(steps % options_.gradient_accumulation_steps);
  for (updates_ = 0; updates_ < updates && moves(); ++updates_) advance_powers();
  updates_ = updates;
  correct();
}

void OptimizerState::advance() {
  if (++waiting_ < options_.gradient_accumulation_steps) return;
  waiting_ = 0;
  ++updates_;
  advance_powers();
  correct();
}

void OptimizerState::advance_powers() {
  with_chosen_rule(rule_, [this]<class Chosen>(const auto& description, Type<Chosen>) {
    if constexpr (Chosen::kPowers > 0) Chosen::advance(description, powers_.data());
  });
}

void OptimizerState::correct() {
  with_chosen_rule(rule_, [this]<class Chosen>(const auto& description, Type<Chosen>) {
    math::corrections_of<Chosen>(description, powers_.data(), updates_, corrections_.data());
  });
}

void OptimizerState::begin(const float* weights) {
  if (has_point())
    for (const ParameterRun& chunk : chunks_)
      std::copy(weights + chunk.begin, weights + chunk.end, moment(0) + chunk.begin);
}

void OptimizerState::enter(const Team& team, float* weights) {
  for_each_own(team, [&](std::size_t at) {
    point()[at] = weights[at];
    if (updates_ == 0) moment(0)[at] = weights[at];   // they may have been set since begin()
  });
  aim(team, weights);
}

// The weights become the point between the arrays.
void OptimizerState::aim(const Team& team, float* weights) const {
  with_chosen_rule(rule_, [&]<class Chosen>(const auto& description, Type<Chosen>) {
    if constexpr (math::kHasPoint<Chosen>)
      for_each_own(team, [&](std::size_t at) {
        weights[at] = Chosen::gradient_point(description, point()[at], moment(0)[at]);
      });
  });
}

void OptimizerState::constrain_point(const Team& team, ConstraintPass& constraints, float* weights) const {
  float *const z = moment(0), *const x = point();
  for_each_own(team, [&](std::size_t at) { weights[at] = z[at]; });
  team.sync();
  constraints.apply(team, z);
  team.sync();
  with_chosen_rule(rule_, [&]<class Chosen>(const auto&, Type<Chosen>) {
    if constexpr (math::kHasPoint<Chosen>)
      for_each_own(team, [&](std::size_t at) {
        x[at] = Chosen::followed(corrections_.data(), x[at], weights[at], z[at]);
      });
  });
  team.sync();
  constraints.apply(team, x);
  team.sync();
  aim(team, weights);
  team.sync();
}

void OptimizerState::leave(const Team& team, float* weights) const {
  for_each_own(team, [&](std::size_t at) { weights[at] = point()[at]; });
}

Update OptimizerState::arguments(std::size_t chunk, float* weights, const float* gradients,
                                 const UpdateRates& rates) const {
  const ParameterRun& run = chunks_[chunk];
  Update args{};
  args.optimizer = rule_.index();
  args.description = std::visit([](const auto& optimizer) -> const void* { return &optimizer; }, rule_);
  args.n = run.end - run.begin;
  args.w = weights + run.begin;
  args.g = gradients + run.begin;
  for (std::size_t i = 0; i < rule_moments_; ++i) args.moment[i] = moment(i) + run.begin;
  if (has_point()) args.moment[rule_moments_] = point() + run.begin;
  args.rate = static_cast<float>(rates.learning * static_cast<double>(run.rate));
  std::copy(corrections_.begin(), corrections_.end(), args.correction);
  args.grad_scale = 1.0f;
  args.decay = run.decays ? rates.decay * run.decay : 0.0f;
  args.l1 = run.penalty.l1;
  args.l2 = run.penalty.l2;
  args.proximal = run.penalty.proximal;
  if (moves_averages()) {
    args.average = moment(average_) + run.begin;
    args.momentum = average_momentum();
  }
  return args;
}

void OptimizerState::update(const Kernels& kernels, const Team& team, float* weights, const float* gradients,
                            const UpdateRates& rates, bool sums) {
  if (waiting_ > 0) return accumulate(kernels, team, weights, gradients, sums);
  const Range mine = places(team);
  const float* const batch = gradients;
  if (accumulator_ != kNone) gradients = moment(accumulator_);
  if (clips_norms()) {
    for (std::size_t place = mine.begin; place < mine.end; ++place) {
      const std::size_t i = chunk_at(team, place);
      if (accumulator_ != kNone) add_gradients(kernels, i, batch);
      squares_[i] = kernels.gradient_square(whole_gradient(arguments(i, weights, gradients, rates)));
    }
    team.sync();
  }
  float scale = 1.0f;
  std::size_t norm = 0;   // the first of the chunks that `scale` belongs to
  for (std::size_t place = mine.begin; place < mine.end; ++place) {
    const std::size_t i = chunk_at(team, place);
    Update args = arguments(i, weights, gradients, rates);
    args.sums = sums ? &sums_[2 * i] : nullptr;
    if (accumulator_ != kNone && !clips_norms()) add_gradients(kernels, i, batch);
    if (clips_norms()) {
      if (place == mine.begin || norms_[i].begin != norm) scale = clip_scale(norms_[i]);
      norm = norms_[i].begin;
      args.grad_scale = scale;
      args.l2 *= scale;
      if (!args.proximal) args.l1 *= scale;
      // Scaling may reduce both factors of a penalty to 0, and then the update computes no sums.
      const bool vanished = args.l1 == 0.0f && args.l2 == 0.0f && !(chunks_[i].penalty == Penalty{});
      if (sums && vanished) kernels.penalty_sums(args.w, args.n, args.sums);
    }
    const bool by_value = options_.clipping.kind == ClipKind::value;
    if (by_value) args.limit = options_.clipping.limit;
    // Where values are clipped, sums of the update itself would change bits of the loss.
    if (adds_penalties(args) && (by_value || sums_apart(kernels, args)))
      kernels.penalty_sums(args.w, args.n, std::exchange(args.sums, nullptr));
    if (by_value) args.sums = nullptr;
    kernels.update(args);
    if (args.average != nullptr && overwrites()) std::copy_n(args.average, args.n, args.w);
  }
}

// Whether the squares of these weights may be beyond the range of float, in which the update adds them up. The sums of
// the last step tell, unless other weights were set.
bool OptimizerState::sums_apart(const Kernels& kernels, const Update& args) const {
  constexpr double kLarge = 1e30, kNearLargest = 1e36;
  if (args.sums[0] < kLarge && args.sums[1] < kLarge) return false;
  double now[2];
  kernels.penalty_sums(args.w, args.n, now);
  return now[0] > kNearLargest || now[1] > kNearLargest;
}

// A step without an update. The penalty of the weights is that of the last update only where they are still the same.
void OptimizerState::accumulate(const Kernels& kernels, const Team& team, const float* weights, const float* gradients,
                                bool sums) {
  const Range mine = places(team);
  for (std::size_t place = mine.begin; place < mine.end; ++place) {
    const std::size_t i = chunk_at(team, place);
    add_gradients(kernels, i, gradients);
    const ParameterRun& run = chunks_[i];
    if (sums && !(run.penalty == Penalty{}))
      kernels.penalty_sums(weights + run.begin, run.end - run.begin, &sums_[2 * i]);
  }
}

// The first batch replaces the sum, and the last one turns it into the mean.
void OptimizerState::add_gradients(const Kernels& kernels, std::size_t chunk, const float* gradients) const {
  const ParameterRun& run = chunks_[chunk];
  float* const sum = moment(accumulator_) + run.begin;
  const std::size_t n = run.end - run.begin;
  if (waiting_ == 1) {
    std::copy_n(gradients + run.begin, n, sum);
    return;
  }
  const float scale = waiting_ == 0 ? 1.0f / static_cast<float>(options_.gradient_accumulation_steps) : 1.0f;
  kernels.weighted_sum(scale, sum, scale, gradients + run.begin, sum, n);
}

void OptimizerState::move_average(const Kernels& kernels, Range floats, float* weights) const {
  float* const average = moment(average_) + floats.begin;
  float* const w = weights + floats.begin;
  const std::size_t n = floats.end - floats.begin;
  const float momentum = average_momentum();
  kernels.weighted_sum(momentum, average, 1.0f - momentum, w, average, n);
  if (overwrites()) std::copy_n(average, n, w);
}

bool OptimizerState::overwrites() const {
  const std::uint32_t every = options_.ema_overwrite_frequency;
  return average_ != kNone && every != 0 && updates_ % every == 0;
}

bool OptimizerState::move_averages(const Kernels& kernels, const Team& team, float* weights) const {
  if (average_ == kNone) return false;
  const Range mine = places(team);
  for (std::size_t place = mine.begin; place < mine.end; ++place) {
    const ParameterRun& chunk = chunks_[chunk_at(team, place)];
    move_average(kernels, {chunk.begin, chunk.end}, weights);
  }
  return overwrites();
}

void OptimizerState::start_averages(const float* weights) {
  if (average_ == kNone) return;
  for (const ParameterRun& chunk : chunks_)
    std::copy(weights + chunk.begin, weights + chunk.end, moment(average_) + chunk.begin);
}

void OptimizerState::exchange(float* weights) const {
  for (const ParameterRun& chunk : chunks_)
    std::swap_ranges(weights + chunk.begin, weights + chunk.end, moment(average_) + chunk.begin);
}

void OptimizerState::show_averages(float* weights, std::uint64_t assignments) {
  if (averages_shown_ || average_ == kNone || updates_ == 0) return;
  exchange(weights);
  set_averages_shown(true, assignments);
}

void OptimizerState::hide_averages(float* weights, std::uint64_t assignments) {
  if (!averages_shown_) return;
  averages_shown_ = false;
  if (assignments == assignments_)
    exchange(weights);
  else
    start_averages(weights);
}

void OptimizerState::begin_run(float* weights, std::uint64_t assignments) {
  if (std::exchange(summed_assignments_, assignments) != assignments)
    std::fill(sums_.begin(), sums_.end(), std::numeric_limits<double>::infinity());
  hide_averages(weights, assignments);
}

void OptimizerState::set_averages_shown(bool shown, std::uint64_t assignments) {
  averages_shown_ = shown && average_ != kNone;
  assignments_ = assignments;
}

// The factor for the gradients of these chunks. It is NaN, which ends a fit, if the norm is not finite, or so large
// that the factor would be a denormal, which counts as 0.
float OptimizerState::clip_scale(Range chunks) const {
  double square = 0.0;
  for (std::size_t i = chunks.begin; i < chunks.end; ++i) square += squares_[i];
  const double norm = std::sqrt(square), limit = static_cast<double>(options_.clipping.limit);
  if (norm <= limit) return 1.0f;
  const float scale = static_cast<float>(limit / norm);
  return scale >= std::numeric_limits<float>::min() ? scale : std::numeric_limits<float>::quiet_NaN();
}

double OptimizerState::penalty() const {
  double total = 0.0;
  for (std::size_t i = 0; i < chunks_.size(); ++i) total += penalty_of(chunks_[i].penalty, &sums_[2 * i]);
  return total;
}

double OptimizerState::penalty(const Kernels& kernels, const float* weights) const {
  double total = 0.0;
  for (const ParameterRun& chunk : chunks_) {
    if (chunk.penalty == Penalty{}) continue;
    double sums[2];
    kernels.penalty_sums(weights + chunk.begin, chunk.end - chunk.begin, sums);
    total += penalty_of(chunk.penalty, sums);
  }
  return total;
}

}  // namespace fastreg
