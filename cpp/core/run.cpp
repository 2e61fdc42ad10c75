// The loop over the epochs, slices and steps of a run.
#include "core/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <new>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "fastreg/runtime.h"

namespace fastreg {
namespace {

using Clock = ThreadChoice::Clock;
constexpr std::uint32_t kShuffleStream = 0x20000000u;   // differs from the streams of dropout layers and initializers
// If a step has less work than this, the clock is read only every kClockEvery steps.
constexpr double kShortStep = 1e6;
constexpr std::size_t kClockEvery = 16;

// The time `seconds` from now. Years count as never.
Clock::time_point deadline(double seconds) {
  if (seconds > 1e8) return Clock::time_point::max();
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

void on_this_thread(const Backend& backend, const std::function<void()>& f) {
  backend.run(
      1, [](void* call, const Team&) { (*static_cast<const std::function<void()>*>(call))(); },
      const_cast<std::function<void()>*>(&f));
}

void check_rate(double rate) {
  if (!(rate >= 0.0) || rate > static_cast<double>(std::numeric_limits<float>::max())) {
    std::ostringstream text;
    text << "learning_rate must be >= 0 and finite in float32, got " << rate;
    throw std::invalid_argument(text.str());
  }
}

void check_rates(Span<const double> rates) {
  for (const double rate : rates) check_rate(rate);
}

Run::Run(const State& state, const Columns& train, const Columns* validation, const FitOptions& options,
         FitObserver* observer, FitResult& result, std::unique_lock<NetworkLock>& lock)
    : s_(state),
      train_(train),
      validation_(validation),
      options_(options),
      observer_(observer),
      result_(result),
      lock_(lock),
      batch_(options.batch_size == 0 ? train.size() : std::min(options.batch_size, train.size())),
      steps_((train.size() + batch_ - 1) / batch_),
      flops_(state.graph.flops_per_row() * static_cast<double>(batch_)),
      choice_(state.workspace.choice),
      training_step_(state.graph, state.objective, train, batch_, state.workspace.arena, outputs_),
      snapshot_(state.workspace.snapshot) {
  choice_.begin_run(flops_ >= state.parallel_threshold ? static_cast<std::size_t>(num_threads()) : 1,
                    state.parallel_threshold <= 0.0, flops_);
  for (const EarlyStopping& stopping : options.early_stopping) stoppers_.emplace_back(stopping);
  clock_every_ = flops_ < kShortStep ? kClockEvery : 1;
  deadline_ = deadline(options.time_limit);
  rates_ = options.rates;
  if (options.shuffle || train.rows.data != nullptr) order_.resize(train.size());
  sums_ = state.objective.no_sums();
  outputs_ = state.objective.room(train.size());
}

void Run::train() {
  s_.optimizer.hide_averages(s_.graph.weights.data(), s_.graph.assignments);
  try {
    for (std::size_t i = 0; i < options_.epochs && result_.reason == StopReason::completed; ++i) run_epoch(i);
  } catch (const std::bad_alloc&) {
    result_.reason = StopReason::exception;
    out_of_memory_ = true;
    finish();
    throw;
  } catch (...) {
    result_.reason = StopReason::exception;
    finish();
    throw;
  }
  finish();
}

double Run::rate() const {
  if (s_.rate_override) return *s_.rate_override;
  if (rates_.empty()) return static_cast<double>(s_.optimizer.learning_rate());
  return rates_.size == 1 ? rates_[0] : rates_[run_step_ - rates_from_];
}

// Shuffles the rows from their given order by the method of Fisher and Yates, with the random stream of the epoch.
void Run::draw_order() {
  if (order_.empty()) return;
  if (train_.rows.data == nullptr)
    std::iota(order_.begin(), order_.end(), 0u);
  else
    std::copy(train_.rows.begin(), train_.rows.end(), order_.begin());
  if (!options_.shuffle) return;
  const std::size_t blocks = (order_.size() + 3) / 4;
  words_.resize(4 * blocks);
  s_.graph.backend.kernels->random_words({s_.graph.spec.seed, kShuffleStream, static_cast<std::uint32_t>(s_.epoch)}, 0,
                                         blocks, words_.data());
  for (std::size_t i = order_.size(); i > 1; --i) {
    const std::size_t j = static_cast<std::size_t>((static_cast<std::uint64_t>(words_[i - 1]) * i) >> 32);
    std::swap(order_[i - 1], order_[j]);
  }
}

// Gets the rates of the next epoch from the observer if there are not enough.
void Run::next_rates() {
  if (rates_.size <= 1 || run_step_ + steps_ <= rates_from_ + rates_.size) return;
  lock_.unlock();
  const Span<const double> more = observer_->rates(run_step_, steps_);
  lock_.lock();
  check_rates(more);
  if (more.size < steps_) throw std::invalid_argument("rates must be at least those of an epoch");
  rates_ = more;
  rates_from_ = run_step_;
}

void Run::run_epoch(std::size_t index) {
  take_snapshot();
  next_rates();
  draw_order();
  next_in_epoch_ = 0;
  for (ScoreSums& sums : sums_) sums.clear();
  penalties_ = 0.0;
  while (next_in_epoch_ < steps_ && !diverged_) {
    give_way_to_fork();
    if (must_stop()) return;
    const auto begin = Clock::now();
    const std::size_t first = next_in_epoch_;
    slice_end_ = std::min(begin + choice_.slice(), deadline_);
    s_.graph.backend.run(
        choice_.threads(), [](void* run, const Team& team) { static_cast<Run*>(run)->run_slice(team); }, this);
    choice_.record(Clock::now() - begin, next_in_epoch_ - first);
    if (next_in_epoch_ < steps_ && !diverged_) poll();
  }
  if (diverged_)
    diverge(s_.step);
  else
    end_epoch(index);
}

void Run::run_slice(const Team& team) {
  // Each member counts steps by itself, because the leader may already have advanced next_in_epoch_.
  for (std::size_t index = next_in_epoch_;; ++index) {
    const std::size_t begin = index * batch_;
    run_step(team, index, {order_.empty() ? nullptr : order_.data(), begin, std::min(batch_, train_.size() - begin)});
    if (slice_over_) break;
  }
}

void Run::run_step(const Team& team, std::size_t index, const Batch& batch) {
  const Kernels& kernels = *s_.graph.backend.kernels;
  training_step_.gradients(team, batch, s_.step, s_.gradients.data(), [&] { after_loss(index, batch); });
  const double rate_now = rate();
  if (!diverged_) {
    s_.optimizer.update(kernels, team, s_.graph.weights.data(), s_.gradients.data(), rate_now, true);
    team.sync();
  }
  if (team.leader()) {
    last_rate_ = rate_now;
    if (!diverged_) {
      penalties_ += s_.optimizer.penalty() * static_cast<double>(batch.n);
      ++s_.step;
      ++run_step_;
    }
    next_in_epoch_ = index + 1;
  }
  team.sync();
}

void Run::after_loss(std::size_t index, const Batch& batch) {
  batch_loss_ = training_step_.add_scores(sums_, batch);
  diverged_ = !std::isfinite(batch_loss_);
  s_.optimizer.advance();
  const bool late = index % clock_every_ == 0 && Clock::now() > slice_end_;
  slice_over_ = diverged_ || index + 1 == steps_ || signalled() || fork_waits() || late;
}

bool Run::signalled() const {
  return std::any_of(options_.stop_signals.begin(), options_.stop_signals.end(),
                     [](const StopSignal& signal) { return signal.is_set(); });
}

// Whether a stop signal or the time limit ends the run before its next step.
bool Run::must_stop() {
  if (signalled())
    result_.reason = StopReason::stop_signal;
  else if (Clock::now() >= deadline_)
    result_.reason = StopReason::time_limit;
  return result_.reason != StopReason::completed;
}

void Run::end_epoch(std::size_t index) {
  bool finite = false;
  double penalty = 0.0;   // the penalty of the weights that validation uses
  on_this_thread(s_.graph.backend, [&] {
    const Kernels& kernels = *s_.graph.backend.kernels;
    finite = kernels.all_finite(weights().data, ElementType::float32, weights().size);
    if (validation_ != nullptr) penalty = s_.optimizer.penalty(kernels, s_.graph.weights.data());
  });
  if (!finite) return diverge(s_.step - 1);
  std::vector<double> logs = s_.objective.logs(sums_, outputs_, penalties_ / static_cast<double>(train_.size()));
  if (validation_ != nullptr)
    for (const double value : s_.evaluator.run(*validation_, penalty)) logs.push_back(value);
  result_.logs.push_back(logs);
  const std::uint64_t epoch = s_.epoch++;
  within_epoch_ = false;
  bool stop = false;
  for (EarlyStopper& stopper : stoppers_)
    stop |= stopper.judge(index, epoch, logs, {weights().data, weights().size});
  if (stop) result_.reason = StopReason::early_stopping;
  const bool last = stop || index + 1 == options_.epochs;
  if (observe_epoch(logs, last) && !stop) result_.reason = StopReason::observer;
  if (!last) poll();
}

bool Run::observe_epoch(const std::vector<double>& logs, bool last) {
  if (observer_ == nullptr) return false;
  lock_.unlock();
  const bool stop = observer_->epoch_ended(static_cast<std::size_t>(s_.epoch - 1), logs, last);
  lock_.lock();
  return stop;
}

void Run::poll() {
  const auto now = Clock::now();
  if (observer_ == nullptr || now - last_poll_ < ThreadChoice::kSlice) return;
  last_poll_ = now;
  const std::size_t rows = sums_[0].rows;
  const double loss = rows > 0 ? s_.objective.loss(sums_, penalties_ / static_cast<double>(rows)) : 0.0;
  lock_.unlock();
  observer_->poll(static_cast<std::size_t>(s_.epoch), next_in_epoch_, steps_, loss);
  lock_.lock();
}

// Is called between two steps, so that a child gets the network of a complete step.
void Run::give_way_to_fork() {
  if (!fork_waits()) return;
  lock_.unlock();
  let_fork_pass();
  lock_.lock();
}

void Run::copy(const Buffer& from, const Buffer& to) const {
  struct Job {
    const Buffer &from, &to;
  } job{from, to};
  s_.graph.backend.run(
      choice_.threads(),
      [](void* context, const Team& team) {
        const Job& j = *static_cast<Job*>(context);
        const Range mine = team.split(j.from.size(), kLane);
        std::copy(j.from.data() + mine.begin, j.from.data() + mine.end, j.to.data() + mine.begin);
      },
      &job);
}

void Run::take_snapshot() {
  if (snapshot_.weights.data() == nullptr) {
    // Either both buffers or none are kept, because the next run takes weights as a sign that moments exist, too.
    Buffer weights(s_.graph.backend, s_.graph.weights.size());
    snapshot_.moments = Buffer(s_.graph.backend, s_.optimizer.moments().size());
    snapshot_.weights = std::move(weights);
  }
  copy(s_.graph.weights, snapshot_.weights);
  copy(s_.optimizer.moments(), snapshot_.moments);
  snapshot_.step = s_.step;
  snapshot_.epoch = s_.epoch;
  within_epoch_ = true;
}

// step: the step whose loss or update was not finite.
void Run::diverge(std::uint64_t step) {
  diverged_ = true;
  result_.reason = StopReason::diverged;
  result_.divergence = {step, s_.epoch, last_rate_, batch_loss_};
}

void Run::finish() {
  if (!lock_.owns_lock()) lock_.lock();
  const bool stopped_within = result_.reason == StopReason::stop_signal || result_.reason == StopReason::time_limit;
  if (diverged_ || stopped_within || (out_of_memory_ && within_epoch_)) {
    copy(snapshot_.weights, s_.graph.weights);
    copy(snapshot_.moments, s_.optimizer.moments());
    s_.step = snapshot_.step;
    s_.epoch = snapshot_.epoch;
    s_.optimizer.set_steps(s_.step);
  }
  for (EarlyStopper& stopper : stoppers_) stopper.restore(weights());
  for (std::size_t i = 0; i < stoppers_.size(); ++i) result_.early_stopping[i] = stoppers_[i].result();
  const bool restored = std::any_of(result_.early_stopping.begin(), result_.early_stopping.end(),
                                    [](const EarlyStoppingResult& found) { return found.restored; });
  if (options_.show_averages && !restored)
    s_.optimizer.show_averages(s_.graph.weights.data(), s_.graph.assignments);
}

}  // namespace fastreg
