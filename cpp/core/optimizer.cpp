// Optimizers as settings of the update kernel, and the plan of their pass.
#include "core/optimizer.h"

#include <algorithm>
#include <utility>

namespace fastreg {
namespace {

constexpr std::size_t kChunk = 16384;   // floats: short enough for float sums, long enough to make calls cheap

struct Settings {
  Update update{};
  float rate = 0.0f, decay = 0.0f;
  std::vector<std::string> moments;
};

Settings settings(const SGD& sgd) {
  Settings s;
  s.update.rule = sgd.momentum == 0.0f ? UpdateRule::sgd : sgd.nesterov ? UpdateRule::nesterov : UpdateRule::momentum;
  s.update.momentum = sgd.momentum;
  s.rate = sgd.learning_rate;
  if (sgd.momentum != 0.0f) s.moments = {"m"};
  return s;
}

template <class AdamLike>
Settings adam_settings(const AdamLike& adam, float decay) {
  Settings s;
  s.update.rule = UpdateRule::adam;
  s.update.beta_1 = adam.beta_1;
  s.update.beta_2 = adam.beta_2;
  s.update.epsilon = adam.epsilon;
  s.rate = adam.learning_rate;
  s.decay = decay;
  s.moments = {"m", "v"};
  return s;
}

Settings settings(const Adam& adam) { return adam_settings(adam, 0.0f); }
Settings settings(const AdamW& adam) { return adam_settings(adam, adam.weight_decay); }

Settings settings(const RMSprop& rmsprop) {
  Settings s;
  s.update.rule = UpdateRule::rmsprop;
  s.update.beta_2 = rmsprop.rho;
  s.update.epsilon = rmsprop.epsilon;
  s.rate = rmsprop.learning_rate;
  s.moments = {"v"};
  return s;
}

// Chunks by their place within their kernel, 0 to 1: an even split of this order splits every kernel alike.
std::vector<std::size_t> shared_order(const std::vector<ParameterRun>& chunks, const std::vector<Range>& kernels) {
  std::vector<std::pair<double, std::size_t>> places;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const std::size_t middle = (chunks[i].begin + chunks[i].end) / 2;
    double place = 0.0;
    for (const Range& kernel : kernels)
      if (middle >= kernel.begin && middle < kernel.end)
        place = static_cast<double>(middle - kernel.begin) / static_cast<double>(kernel.end - kernel.begin);
    places.emplace_back(place, i);
  }
  std::sort(places.begin(), places.end());
  std::vector<std::size_t> order;
  for (const auto& [place, chunk] : places) order.push_back(chunk);
  return order;
}

// The next running product; below 1e-20 it no longer changes 1 - product, and stays away from denormals.
double next_power(double power, float beta) {
  power *= static_cast<double>(beta);
  return power < 1e-20 ? 0.0 : power;
}

}  // namespace

std::vector<ParameterRun> parameter_runs(const Parameters& parameters) {
  std::vector<ParameterRun> runs;
  for (const Segment& segment : parameters.segments()) {
    if (!segment.info.trainable) continue;
    const std::size_t end = segment.offset + segment.padded;
    if (!runs.empty() && runs.back().penalty == segment.penalty && runs.back().decays == segment.decays)
      runs.back().end = end;
    else
      runs.push_back({segment.offset, end, segment.penalty, segment.decays});
  }
  return runs;
}

std::vector<Range> kernel_ranges(const Parameters& parameters) {
  std::vector<Range> kernels;
  for (const Segment& segment : parameters.segments())
    if (segment.panels) kernels.push_back({segment.offset, segment.offset + segment.padded});
  return kernels;
}

OptimizerState::OptimizerState(const Optimizer& spec, const std::vector<ParameterRun>& runs, std::size_t floats,
                               const Backend& backend, std::size_t phase, const std::vector<Range>& kernels)
    : phase_(phase), stride_(round_up(floats, kLane)) {
  const Settings chosen = std::visit([](const auto& optimizer) { return settings(optimizer); }, spec);
  prototype_ = chosen.update;
  prototype_.grad_scale = 1.0f;
  rate_ = chosen.rate;
  decay_ = chosen.decay;
  names_ = chosen.moments;
  moments_ = Buffer(backend, names_.empty() ? 0 : phase_ + names_.size() * stride_);
  for (const ParameterRun& run : runs)
    for (std::size_t at = run.begin; at < run.end; at += kChunk)
      chunks_.push_back({at, std::min(run.end, at + kChunk), run.penalty, run.decays});
  sums_.assign(2 * chunks_.size(), 0.0f);
  shared_ = shared_order(chunks_, kernels);
}

void OptimizerState::set_steps(std::uint64_t steps) {
  power_1_ = power_2_ = 1.0;
  for (std::uint64_t i = 0; i < steps && (power_1_ != 0.0 || power_2_ != 0.0); ++i) advance();
}

void OptimizerState::advance() {
  power_1_ = next_power(power_1_, prototype_.beta_1);
  power_2_ = next_power(power_2_, prototype_.beta_2);
}

void OptimizerState::update(const Kernels& kernels, const Team& team, float* weights, const float* gradients,
                            double rate, bool sums) {
  const Range mine = team.split(chunks_.size());
  for (std::size_t place = mine.begin; place < mine.end; ++place) {
    const std::size_t i = team.size == 1 ? place : shared_[place];
    const ParameterRun& chunk = chunks_[i];
    Update args = prototype_;
    args.n = chunk.end - chunk.begin;
    args.w = weights + chunk.begin;
    args.g = gradients + chunk.begin;
    if (prototype_.rule == UpdateRule::rmsprop) {
      args.v = moment(0) + chunk.begin;
    } else {
      args.m = names_.empty() ? nullptr : moment(0) + chunk.begin;
      args.v = names_.size() < 2 ? nullptr : moment(1) + chunk.begin;
    }
    args.rate = static_cast<float>(rate);
    args.correction_1 = static_cast<float>(1.0 - power_1_);
    args.correction_2 = static_cast<float>(1.0 - power_2_);
    args.decay = chunk.decays ? decay_ : 0.0f;
    args.l1 = chunk.penalty.l1;
    args.l2 = chunk.penalty.l2;
    args.proximal = chunk.penalty.proximal;
    args.sums = sums ? &sums_[2 * i] : nullptr;
    kernels.update(args);
  }
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
    float sums[2];
    kernels.penalty_sums(weights + chunk.begin, chunk.end - chunk.begin, sums);
    total += penalty_of(chunk.penalty, sums);
  }
  return total;
}

}  // namespace fastreg
