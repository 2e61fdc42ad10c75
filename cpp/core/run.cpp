// The loop over the epochs, slices and steps of a run.
#include "core/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <new>
#include <numeric>
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

std::size_t steps_of_epoch(const Graph& graph, std::size_t rows, std::size_t batch) {
  const std::size_t steps = (rows + batch - 1) / batch;
  const bool one_left = batch > 1 && steps > 1 && rows % batch == 1;
  return one_left && graph.takes_batch_statistics() ? steps - 1 : steps;
}

void on_this_thread(const Backend& backend, const std::function<void()>& f) {
  backend.run(
      1, [](void* call, const Team&) { (*static_cast<const std::function<void()>*>(call))(); },
      const_cast<std::function<void()>*>(&f));
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
      pass_steps_(steps_of_epoch(state.graph, train.size(), batch_)),
      steps_(options.steps_per_epoch == 0 ? pass_steps_ : options.steps_per_epoch),
      flops_(state.graph.flops_per_row() * static_cast<double>(batch_)),
      choice_(state.workspace.choice),
      training_step_(state.graph, state.objective, train, rows_of_step(pass_steps_ - 1) > batch_ ? batch_ + 1 : batch_,
                     state.precision, state.workspace.arena, outputs_),
      snapshot_(state.workspace.snapshot) {
  choice_.begin_run(flops_ >= state.parallel_threshold ? static_cast<std::size_t>(num_threads()) : 1,
                    state.parallel_threshold <= 0.0, flops_);
  for (const EarlyStopping& stopping : options.early_stopping) stoppers_.emplace_back(stopping);
  clock_every_ = flops_ < kShortStep ? kClockEvery : 1;
  deadline_ = deadline(options.time_limit);
  rates_ = options.rates;
  if (options.shuffle || train.rows.data != nullptr) order_.resize(train.size());
  sums_ = state.objective.no_sums();
  for (std::size_t i = 0; i < train.weight_scales.size(); ++i) sums_[i].weight_scale = train.weight_scales[i];
  outputs_ = state.objective.room(train, steps_ == pass_steps_ ? train.size() : steps_ * (batch_ + 1));
}

void Run::train() {
  ++s_.graph.changes;
  s_.optimizer.begin_run(s_.graph.weights.data(), s_.graph.assignments);
  try {
    for (std::size_t i = 0; i < options_.epochs && result_.reason == StopReason::completed; ++i) run_epoch(i);
  } catch (const std::bad_alloc&) {
    result_.reason = StopReason::exception;
    undo_epoch_ = true;
    finish();
    throw;
  } catch (...) {
    result_.reason = StopReason::exception;
    finish();
    throw;
  }
  finish();
}

std::vector<double> Run::train_batch() {
  ++s_.graph.changes;
  show_averages_ = s_.optimizer.averages_shown(s_.graph.assignments);
  s_.optimizer.begin_run(s_.graph.weights.data(), s_.graph.assignments);
  take_snapshot();
  draw_order(0);
  try {
    compute_slice();
  } catch (...) {
    undo_epoch_ = true;
    finish();
    throw;
  }
  if (!diverged_ && !finite_weights()) diverged_ = true;
  if (diverged_) {
    diverge(s_.step);
    finish();
    return {};
  }
  Objective::count_rows(sums_);
  const double penalty = penalties_ / static_cast<double>(train_.size());
  return s_.objective.logs(sums_, outputs_, penalty, calls_of(options_.functions, lock_).metric);
}

// The row of the present step; null if there is none.
const double* Run::rates_of_step() const {
  const std::size_t count = s_.columns.count();
  if (rates_.empty()) return nullptr;
  return rates_.data + (rates_.size == count ? 0 : (run_step_ - rates_from_) * count);
}

UpdateRates Run::update_rates() const {
  const double* const row = rates_of_step();
  const float decay = s_.columns.weight_decay ? static_cast<float>(row[1]) : s_.optimizer.weight_decay();
  if (s_.rate_override) return {*s_.rate_override, decay};
  return {row != nullptr ? row[0] : static_cast<double>(s_.optimizer.learning_rate()), decay};
}

StepPlace Run::place() const {
  return {s_.step, s_.columns.layers > 0 ? rates_of_step() + s_.columns.count() - s_.columns.layers : nullptr};
}

// Shuffles the rows from their given order by the method of Fisher and Yates, with the random stream of the pass over
// the rows, which is the epoch if an epoch is every row once.
void Run::draw_order(std::uint64_t pass) {
  pass_ = pass;
  if (order_.empty()) return;
  if (train_.rows.data == nullptr)
    std::iota(order_.begin(), order_.end(), 0u);
  else
    std::copy(train_.rows.begin(), train_.rows.end(), order_.begin());
  if (!options_.shuffle) return;
  const std::size_t blocks = (order_.size() + 3) / 4;
  words_.resize(4 * blocks);
  s_.graph.backend.kernels->random_words({s_.graph.spec.seed, kShuffleStream, static_cast<std::uint32_t>(pass)}, 0,
                                         blocks, words_.data());
  for (std::size_t i = order_.size(); i > 1; --i) {
    const std::size_t j = static_cast<std::size_t>((static_cast<std::uint64_t>(words_[i - 1]) * i) >> 32);
    std::swap(order_[i - 1], order_[j]);
  }
}

// Gets the rates of the next epoch from the observer if there are not enough.
void Run::next_rates() {
  const std::size_t count = s_.columns.count();
  if (rates_.size <= count || run_step_ + steps_ <= rates_from_ + rates_.size / count) return;
  lock_.unlock();
  const Span<const double> more = observer_->rates(run_step_, steps_);
  lock_.lock();
  check_rates(more, s_.columns);
  if (more.size / count < steps_) throw std::invalid_argument("rates must be at least those of an epoch");
  rates_ = more;
  rates_from_ = run_step_;
}

// The number of rows in the first batches of the endless sequence.
std::uint64_t Run::rows_before(std::uint64_t batch) const {
  return batch / pass_steps_ * train_.size() + batch % pass_steps_ * batch_;
}

Batch Run::batch_at(std::size_t index) const {
  const std::uint32_t* const order = order_.empty() ? nullptr : order_.data();
  if (steps_ == pass_steps_) return {order, index * batch_, rows_of_step(index), index * batch_};
  const std::uint64_t batch = first_batch_ + index;
  const std::size_t place = static_cast<std::size_t>(batch % pass_steps_);
  return {order, place * batch_, rows_of_step(place),
          static_cast<std::size_t>(rows_before(batch) - rows_before(first_batch_))};
}

void Run::run_epoch(std::size_t index) {
  take_snapshot();
  next_rates();
  first_batch_ = s_.epoch * steps_;
  draw_order(first_batch_ / pass_steps_);
  next_in_epoch_ = 0;
  for (ScoreSums& sums : sums_) sums.clear();
  penalties_ = 0.0;
  while (next_in_epoch_ < steps_ && !diverged_ && !stopped_) {
    give_way_to_fork();
    if (must_stop()) return;
    begin_batch();
    const std::size_t first = next_in_epoch_;
    const auto worked = compute_slice();
    choice_.record(worked, next_in_epoch_ - first);
    if (!diverged_) end_batch();
    if (next_in_epoch_ < steps_ && !diverged_) poll();
  }
  if (diverged_)
    diverge(s_.step);
  else
    end_epoch(index);
}

// Calls body on every member, with the weights at which the optimizer takes gradients.
template <class Body>
void Run::in_team(const Body& body) {
  struct Job {
    const Run& run;
    const Body& body;
  } job{*this, body};
  ++s_.graph.changes;
  s_.graph.backend.run(
      choice_.threads(),
      [](void* context, const Team& team) {
        const Job& given = *static_cast<Job*>(context);
        OptimizerState& optimizer = given.run.s_.optimizer;
        float* const weights = given.run.s_.graph.weights.data();
        if (optimizer.has_point()) {
          optimizer.enter(team, weights);
          team.sync();
        }
        given.body(team);
        if (optimizer.has_point()) optimizer.leave(team, weights);
      },
      &job);
}

// Computes the steps of a slice, which is one step where a loss is a function of the program. That is called between
// two halves of the step, outside of the team and without the lock. Returns how long the team has worked.
Clock::duration Run::compute_slice() {
  const auto begin = Clock::now();
  slice_end_ = std::min(begin + choice_.slice(), deadline_);
  if (!s_.objective.has_functions()) {
    in_team([this](const Team& team) { run_slice(team); });
    return Clock::now() - begin;
  }
  const std::size_t index = next_in_epoch_;
  const Batch batch = batch_at(index);
  in_team([&](const Team& team) { training_step_.outputs(team, batch, place(), s_.gradients.data()); });
  const auto called = Clock::now();
  try {
    training_step_.call_losses(batch, calls_of(options_.functions, lock_).loss);
  } catch (...) {
    undo_epoch_ = true;
    throw;
  }
  const auto returned = Clock::now();
  in_team([&](const Team& team) { finish_step(team, index, batch); });
  return (called - begin) + (Clock::now() - returned);
}

void Run::run_slice(const Team& team) {
  // Each member counts steps by itself, because the leader may already have advanced next_in_epoch_.
  for (std::size_t index = next_in_epoch_;; ++index) {
    const Batch batch = batch_at(index);
    training_step_.outputs(team, batch, place(), s_.gradients.data());
    finish_step(team, index, batch);
    if (slice_over_) break;
  }
}

// A step from its outputs on.
void Run::finish_step(const Team& team, std::size_t index, const Batch& batch) {
  const Kernels& kernels = *s_.graph.backend.kernels;
  training_step_.gradients(team, batch, place(), s_.gradients.data(), [&] { after_loss(index, batch); });
  const UpdateRates rates = update_rates();
  if (!diverged_) {
    if (!s_.orthogonal.empty()) s_.orthogonal.compute(kernels, team, s_.graph.weights.data(), s_.gradients.data());
    s_.optimizer.update(kernels, team, s_.graph.weights.data(), s_.gradients.data(), rates, true);
    team.sync();
    if (!s_.constraints.empty() && s_.optimizer.updates()) constrain(team);
  }
  if (team.leader()) {
    last_rate_ = rates.learning;
    if (!diverged_) {
      penalties_ += (s_.optimizer.penalty() + s_.orthogonal.value() + activity_) * static_cast<double>(batch.n);
      ++s_.step;
      ++run_step_;
    }
    next_in_epoch_ = index + 1;
  }
  team.sync();
}

// After an update. The averages are those of weights that keep to their constraints.
void Run::constrain(const Team& team) {
  float* const w = s_.graph.weights.data();
  if (s_.optimizer.has_point()) return s_.optimizer.constrain_point(team, s_.constraints, w);
  s_.constraints.apply(team, w);
  team.sync();
  const bool overwritten = s_.optimizer.move_averages(*s_.graph.backend.kernels, team, w);
  team.sync();
  if (!overwritten) return;
  s_.constraints.apply(team, w);
  team.sync();
}

void Run::after_loss(std::size_t index, const Batch& batch) {
  batch_loss_ = training_step_.add_scores(sums_, batch);
  activity_ = training_step_.activity_penalty(batch);
  diverged_ = !std::isfinite(batch_loss_);
  s_.optimizer.advance();
  const bool late = index % clock_every_ == 0 && Clock::now() > slice_end_;
  const bool last =
      index + 1 == steps_ || (steps_ != pass_steps_ && (first_batch_ + index + 1) % pass_steps_ == 0);
  slice_over_ = diverged_ || last || options_.observe_batches || signalled() || fork_waits() || late;
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

// Draws the order of the next pass where one ends, and tells the observer of the step.
void Run::begin_batch() {
  const std::uint64_t pass = (first_batch_ + next_in_epoch_) / pass_steps_;
  if (pass != pass_) draw_order(pass);
  if (!options_.observe_batches) return;
  lock_.unlock();
  observer_->batch_begins(static_cast<std::size_t>(s_.epoch), next_in_epoch_);
  lock_.lock();
}

void Run::end_batch() {
  if (!options_.observe_batches) return;
  const std::vector<double> logs = logs_so_far(calls_of(options_.functions, lock_).metric);
  lock_.unlock();
  stopped_ = observer_->batch_ended(static_cast<std::size_t>(s_.epoch), next_in_epoch_ - 1, logs);
  lock_.lock();
}

bool Run::finite_weights() {
  bool finite = false;
  on_this_thread(s_.graph.backend, [&] {
    finite = s_.graph.backend.kernels->all_finite(weights().data, ElementType::float32, weights().size);
  });
  return finite;
}

// The values of the epoch up to the last step.
std::vector<double> Run::logs_so_far(const CallMetric& call) const {
  const std::uint64_t end = rows_before(first_batch_ + next_in_epoch_);
  const std::size_t rows = static_cast<std::size_t>(end - rows_before(first_batch_));
  const double penalty = penalties_ / static_cast<double>(rows);
  if (rows == train_.size() && steps_ == pass_steps_) return s_.objective.logs(sums_, outputs_, penalty, call);
  std::vector<EpochOutputs> outputs;
  for (const EpochOutputs& all : outputs_) outputs.push_back(all.first(rows));
  return s_.objective.logs(sums_, outputs, penalty, call);
}

bool Run::validates(std::size_t index) const {
  return validation_ != nullptr && (options_.validated.empty() || options_.validated[index] != 0);
}

// The values of an epoch and of its validation. If a function of the program throws, the epoch does not count.
std::vector<double> Run::epoch_logs(std::size_t index) {
  const ProgramCalls calls = calls_of(options_.functions, lock_);
  std::vector<double> logs;
  try {
    logs = logs_so_far(calls.metric);
    if (!validates(index)) return logs;
    if (!observed_validation(logs))
      for (const double value : s_.evaluator.run(*validation_, [&] { return s_.weight_penalty(); }, calls))
        logs.push_back(value);
  } catch (...) {
    undo_epoch_ = !observing_;
    throw;
  }
  return logs;
}

// Lets the observer validate. Returns whether it has.
bool Run::observed_validation(std::vector<double>& logs) {
  if (observer_ == nullptr) return false;
  observing_ = true;
  lock_.unlock();
  const std::optional<std::vector<double>> values = observer_->validate();
  lock_.lock();
  observing_ = false;
  if (!values) return false;
  if (values->size() != s_.objective.log_count())
    throw std::invalid_argument("validate must return one value for each of the logs");
  logs.insert(logs.end(), values->begin(), values->end());
  return true;
}

void Run::end_epoch(std::size_t index) {
  if (!finite_weights()) return diverge(s_.step - 1);
  const std::vector<double> logs = epoch_logs(index);
  result_.logs.push_back(logs);
  const std::uint64_t epoch = s_.epoch++;
  within_epoch_ = false;
  bool stop = false;
  for (EarlyStopper& stopper : stoppers_)
    stop |= stopper.watches(logs) && stopper.judge(index, epoch, logs, {weights().data, weights().size});
  if (stop) result_.reason = StopReason::early_stopping;
  const bool asked = stopped_ || (options_.last_epoch && options_.last_epoch->is_set());
  const bool last = stop || asked || index + 1 == options_.epochs;
  if ((observe_epoch(logs, last) || asked) && !stop) result_.reason = StopReason::observer;
  if (!last) poll();
}

bool Run::observe_epoch(const std::vector<double>& logs, bool last) {
  if (observer_ == nullptr) return false;
  lock_.unlock();
  const bool stop = observer_->epoch_ended(static_cast<std::size_t>(s_.epoch - 1), logs, last);
  lock_.lock();
  return stop;
}

// Releases the lock about every slice, so that calls of other threads get their turn, and tells the observer, if any.
void Run::poll() {
  const auto now = Clock::now();
  if (now - last_poll_ < ThreadChoice::kSlice) return;
  last_poll_ = now;
  const std::size_t rows = sums_[0].rows;
  const double loss = rows > 0 ? s_.objective.loss(sums_, penalties_ / static_cast<double>(rows)) : 0.0;
  lock_.unlock();
  if (observer_ != nullptr) observer_->poll(static_cast<std::size_t>(s_.epoch), next_in_epoch_, steps_, loss);
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
  ++s_.graph.changes;
  const bool stopped_within = result_.reason == StopReason::stop_signal || result_.reason == StopReason::time_limit;
  if (diverged_ || stopped_within || (undo_epoch_ && within_epoch_)) {
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
  if (show_averages_ && !restored)
    s_.optimizer.show_averages(s_.graph.weights.data(), s_.graph.assignments);
}

}  // namespace fastreg
