// Training: the epoch loop, optimizer state, validation, early stopping, best weights. No Python, no files.
#pragma once
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "fastreg/network.h"

namespace fastreg {

// What the rows of one output are measured against.
struct OutputTargets {
  MatrixView<const float> y;              // (n, columns of the output), or empty where its loss takes labels
  Span<const std::int32_t> labels;        // (n) in [0, columns of the output), for the sparse loss
  Span<const float> sample_weight;        // (n), only their ratios count, or empty: all 1
};

// Rows to learn from or to score. Everything is the caller's memory and must stay for the call.
struct Dataset {
  Features x;                             // float32, float64 or uint8
  MatrixView<const float> y;              // (n, n_outputs), or empty where the loss takes labels
  Span<const std::int32_t> labels;        // (n) in [0, n_outputs), for the sparse loss
  Span<const float> sample_weight;        // (n), only their ratios count, or empty: all 1
  Span<const std::uint32_t> rows;         // the rows to use, in this order; data null: all
  // Of a network with several inputs, all of them in place of x; of one with several outputs, the targets of all of them
  // in place of y, labels and sample_weight.
  std::vector<Features> inputs{};
  std::vector<OutputTargets> targets{};
};

struct EarlyStopping {
  std::size_t monitor = 0;                // index into the logs of an epoch
  bool maximize = false;
  std::size_t patience = 0;               // epochs without improvement before the run stops
  double min_delta = 0.0;                 // smallest change that counts as one
  double baseline = 0.0;                  // has to be passed first, where has_baseline
  bool has_baseline = false;
  std::size_t start_from_epoch = 0;       // of the run: epochs before it are not judged
  bool restore_best_weights = true;       // whatever ended the run
};

struct EarlyStoppingResult {
  double best = std::numeric_limits<double>::quiet_NaN();   // NaN if no epoch was judged
  std::int64_t best_epoch = -1, stopped_epoch = -1;   // absolute, from 0
  bool restored = false;
};

// Ends runs from any thread. Copies share one flag, which stays set.
class StopSignal {
 public:
  StopSignal() = default;
  StopSignal(const StopSignal&) = default;   // and no move, which would leave one without a flag
  StopSignal& operator=(const StopSignal&) = default;
  void set() { flag_->store(true, std::memory_order_relaxed); }
  bool is_set() const { return flag_->load(std::memory_order_relaxed); }

 private:
  std::shared_ptr<std::atomic<bool>> flag_ = std::make_shared<std::atomic<bool>>(false);
};

struct FitOptions {
  std::size_t batch_size = 32;            // 0: all rows
  std::size_t epochs = 1;
  bool shuffle = true;
  // A single one, one a step of this run, or one a step of its first epochs (the observer gives the rest); empty: the
  // optimizer's own.
  Span<const double> rates;
  std::vector<EarlyStopping> early_stopping;
  // Both are looked at after every step. A run that they end within an epoch goes back to the end of the epoch before.
  std::vector<StopSignal> stop_signals{};
  double time_limit = std::numeric_limits<double>::infinity();   // seconds from the call on
};

// Sees the run from the calling thread, between steps, with denormals as the caller had them. May throw: the run then
// ends as after a stop, best weights restored, and the exception passes through fit().
class FitObserver {
 public:
  virtual ~FitObserver() = default;
  // An epoch ended. logs: loss, metrics, then where there is validation data the same of it. True stops the run.
  virtual bool epoch_ended(std::size_t epoch, const std::vector<double>& logs, bool last) = 0;
  // Every 50 ms or so within an epoch: steps done of it and the loss so far.
  virtual void poll(std::size_t epoch, std::size_t step, std::size_t steps, double loss) = 0;
  // The learning rates from step `first` of the run on, at least `least`, where the options' have run out. They must
  // stay until the next call.
  virtual Span<const double> rates(std::size_t first, std::size_t least);
};

enum class StopReason : std::uint8_t {
  completed, early_stopping, observer, stop_signal, time_limit, exception, diverged
};

struct Divergence {
  std::uint64_t step = 0, epoch = 0;
  double rate = 0.0, loss = 0.0;
};

struct FitResult {
  std::vector<std::vector<double>> logs;
  StopReason reason = StopReason::completed;
  std::vector<EarlyStoppingResult> early_stopping;
  Divergence divergence;                  // where reason is diverged
};

class Trainer {
 public:
  // Keeps a reference to the network, which must outlive it. Throws std::invalid_argument where spec and network do
  // not fit together.
  Trainer(Network& network, const TrainingSpec& spec);
  ~Trainer();
  Trainer(Trainer&&) noexcept;
  Trainer& operator=(Trainer&&) noexcept;

  // Trains on from the present state. result is filled as the run goes, so that it is complete up to an exception.
  // Whatever result held before is gone. A loss or a weight that is not finite ends the run with the state of the last
  // finite end of an epoch. Where there is no memory (std::bad_alloc), the state is that before the call or that of the
  // last complete epoch, the best weights restored where asked.
  void fit(const Dataset& train, const Dataset* validation, const FitOptions& options, FitObserver* observer,
           FitResult& result);
  // {loss with penalties, metrics...} in inference mode; of several outputs {loss with penalties, the loss of each output,
  // the metrics of each}. The losses of the outputs are without their weights.
  std::vector<double> evaluate(const Dataset& data);

  // The number of figures that evaluate() returns.
  std::size_t log_count() const;

  // Steps and epochs so far; together with the seed they key all randomness.
  std::uint64_t step() const;
  std::uint64_t epoch() const;
  // Neither this nor set_moment may be called while a fit runs: std::runtime_error.
  void set_progress(std::uint64_t step, std::uint64_t epoch);
  // For observers: replaces the rates of the run under way from the next step on.
  void set_learning_rate(double rate);

  // Moments of the optimizer: names (m, v) in use; one array each for every trainable weight, row-major.
  const std::vector<std::string>& moment_names() const;
  void get_moment(std::size_t moment, std::size_t weight, float* out) const;
  void set_moment(std::size_t moment, std::size_t weight, const float* values);
  // As Network::set_weight_part.
  void set_moment_part(std::size_t moment, std::size_t weight, std::size_t first, const float* values, std::size_t n);

  // Floating-point operations of a step from which on it may be shared among threads: it is where that proves faster.
  // 0: always. The results do not depend on it.
  double parallel_threshold() const;
  void set_parallel_threshold(double flops);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fastreg
