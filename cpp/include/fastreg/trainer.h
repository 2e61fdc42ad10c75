// Training: the epoch loop, the optimizer's state, validation, early stopping and best weights. It knows nothing of
// Python and of files.
#pragma once
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fastreg/metric_state.h"
#include "fastreg/network.h"

namespace fastreg {

// What the rows of one output are measured against.
struct OutputTargets {
  // (n, columns of the output), or empty where its loss takes labels. For a loss of the program's own, any columns if
  // the output has no metrics.
  MatrixView<const float> y{};
  Span<const std::int32_t> labels{};      // (n) in [0, columns of the output), for the sparse loss
  Span<const float> sample_weight{};      // (n), only their ratios count, or empty: all 1
};

// Rows to train on or to score. All memory belongs to the caller and must not change during the call.
struct Dataset {
  Features x{};                           // float32, float64 or uint8
  MatrixView<const float> y{};            // (n, n_outputs), or empty if the loss takes labels
  Span<const std::int32_t> labels{};      // (n) in [0, n_outputs), for the sparse loss
  Span<const float> sample_weight{};      // (n), of which only the ratios count; empty: all are 1
  Span<const std::uint32_t> rows{};       // the rows to use, in this order; if data is null, all rows
  // For a network with several inputs, inputs has all of them and x is not used. For one with several outputs, targets
  // has those of all outputs, and y, labels and sample_weight are not used.
  std::vector<Features> inputs{};
  std::vector<OutputTargets> targets{};
  std::size_t size() const {
    if (rows.data != nullptr) return rows.size;
    return inputs.empty() ? x.rows : inputs[0].rows;
  }
};

// Rows that a loss of the program's own is computed for, row by row without padding, and where its results go.
struct LossRows {
  const float *y = nullptr, *target = nullptr;   // (rows, cols), (rows, target_cols); target is null with labels
  const std::int32_t* labels = nullptr;          // (rows), in [0, cols)
  std::size_t rows = 0, cols = 0, target_cols = 0;
  float* values = nullptr;     // (rows): receives the loss of each row
  float* gradient = nullptr;   // (rows, cols): receives the gradient of each row's loss with respect to its outputs
};

// A loss of the program's own. It is called for the rows of a batch in training, and for some rows at a time in an
// evaluation, on the thread that called, while the network is not locked. The loss of a row must not depend on the
// other rows. It may throw: then the call throws, too, with the state at the end of the last complete epoch before.
class LossFunction {
 public:
  virtual ~LossFunction() = default;
  virtual void compute(const LossRows& rows) = 0;
};

// The functions of the program that losses::Function and metrics::Function name by their index.
struct ProgramFunctions {
  std::vector<MetricFunction*> metrics{};
  std::vector<LossFunction*> losses{};
  Pause* pause = nullptr;   // what the program does during a long evaluation or validation, or null
};

struct EarlyStopping {
  std::size_t monitor = 0;                // the index of the value in the logs of an epoch
  bool maximize = false;
  std::size_t patience = 0;               // epochs without improvement before the run stops
  double min_delta = 0.0;                 // the smallest change that counts as an improvement, >= 0 and finite
  double baseline = 0.0;                  // with has_baseline: the value to exceed before epochs count as improvements
  bool has_baseline = false;
  std::size_t start_from_epoch = 0;       // epochs of the run before this one are not judged
  bool restore_best_weights = true;       // applies whatever ended the run
};

enum class EpochVerdict { best, worse, stop };

// The rule of early stopping, for the trainer's own runs and for loops in which the caller counts the epochs. `epoch`
// counts from 0 in the run. `best` is the best value of the epochs before, or NaN if there is none. `waited` is 0 at
// the beginning and counts the consecutive epochs without an improvement. If the verdict is best, `value` is the new
// best value.
EpochVerdict judge_epoch(const EarlyStopping& options, std::int64_t epoch, double value, double best,
                         std::size_t& waited);

struct EarlyStoppingResult {
  double best = std::numeric_limits<double>::quiet_NaN();   // NaN if no epoch was judged
  std::int64_t best_epoch = -1, stopped_epoch = -1;   // counted from 0 over the life of the trainer
  bool restored = false;
};

// Ends runs, from any thread. All copies share one flag, which stays set.
class StopSignal {
 public:
  StopSignal() = default;
  StopSignal(const StopSignal&) = default;   // there is no move, which would leave an object without a flag
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
  // Learning rates. Size 0: the optimizer's own rate. Size 1: a constant rate. Otherwise one for each step; if there
  // are fewer than the run has steps, FitObserver::rates supplies more. If weight decay or rates of dropout are on a
  // schedule, a row of Trainer::rate_columns() numbers stands for a learning rate: that, then the weight decay if it is
  // one of them, then the rate of each of NetworkSpec::scheduled.
  Span<const double> rates{};
  std::vector<EarlyStopping> early_stopping{};
  // Both are checked after every step. If they end a run within an epoch, the state is that of the end of the last
  // epoch.
  std::vector<StopSignal> stop_signals{};
  double time_limit = std::numeric_limits<double>::infinity();   // in seconds from the call on
  // Whether the weights are exchanged for their averages when the run ends, where the optimizer keeps averages and no
  // best weights are restored. The next run exchanges them back before its first step.
  bool show_averages = true;
  ProgramFunctions functions{};
  // The number of steps of an epoch. 0: an epoch is every row once. Otherwise an epoch continues with the rows where
  // the one before ended, and a new order is drawn whenever all rows have had their turn: step i of epoch e is batch
  // (e * steps_per_epoch + i) of an endless sequence.
  std::size_t steps_per_epoch = 0;
  // For each epoch, whether the validation data are scored after it. Empty: after every epoch. The logs of an epoch
  // without validation have the values of training only, and early stopping by a value of validation skips it.
  Span<const std::uint8_t> validated{};
  bool observe_batches = false;           // whether FitObserver::batch_begins and batch_ended are called
  std::optional<StopSignal> last_epoch{};   // if it is set, the run ends after the current epoch, as by the observer
};

// An observer of a run. It is called on the calling thread, between steps, with the caller's floating-point mode. It
// may throw: then the run ends as after a stop, best weights are restored, and fit() throws the exception again.
class FitObserver {
 public:
  virtual ~FitObserver() = default;
  // Is called after each epoch. logs: the loss and the metrics, and with validation data the same for it. Returns true
  // to stop the run.
  virtual bool epoch_ended(std::size_t epoch, const std::vector<double>& logs, bool last) = 0;
  // Is called about every 50 ms within an epoch, with the number of steps done in it and the loss up to now.
  virtual void poll(std::size_t epoch, std::size_t step, std::size_t steps, double loss) = 0;
  // Returns the rates from step `first` of the run on, for at least `least` steps. It is called when those of
  // the options are used up. The memory must stay valid until the next call.
  virtual Span<const double> rates(std::size_t first, std::size_t least);
  // Are called before and after each step, which is number `step` of its epoch, if the options ask for it. logs: the
  // values of the epoch up to this step. Returns true to end the epoch here, and the run with it.
  virtual void batch_begins(std::size_t, std::size_t) {}
  virtual bool batch_ended(std::size_t, std::size_t, const std::vector<double>&) { return false; }
  // Scores the validation data in place of the trainer, if it returns values.
  virtual std::optional<std::vector<double>> validate() { return std::nullopt; }
};

enum class StopReason : std::uint8_t {
  completed, early_stopping, observer, stop_signal, time_limit, exception, diverged
};

struct Divergence {
  std::uint64_t step = 0, epoch = 0;
  double rate = 0.0, loss = 0.0;
};

struct FitResult {
  std::vector<std::vector<double>> logs{};
  StopReason reason = StopReason::completed;
  std::vector<EarlyStoppingResult> early_stopping{};
  Divergence divergence{};                // is set if reason is diverged
};

// How far a trainer is: what its member functions of these names return.
struct Progress {
  std::uint64_t step = 0, epoch = 0;
  bool averages_shown = false;
};

class Trainer {
 public:
  // Keeps a reference to the network, which must outlive the trainer. Throws std::invalid_argument if spec and network
  // do not match.
  Trainer(Network& network, const TrainingSpec& spec);
  ~Trainer();
  Trainer(Trainer&&) noexcept;
  Trainer& operator=(Trainer&&) noexcept;

  // Continues training from the current state. result is filled during the run, so that it is complete up to an
  // exception; its previous content is discarded. If a loss or a weight is not finite, the run ends with the state at
  // the end of the last epoch in which all were finite. If there is not enough memory (std::bad_alloc), the state is
  // the one before the call or that of the last complete epoch, and the best weights are restored if that is requested.
  void fit(const Dataset& train, const Dataset* validation, const FitOptions& options, FitObserver* observer,
           FitResult& result);
  // The number of steps of an epoch of this many rows; a batch_size of 0 means all of them. A last batch of one row is
  // part of the one before where a layer takes the statistics of a batch.
  std::size_t steps_of_epoch(std::size_t rows, std::size_t batch_size) const;
  // Returns {loss including penalties, metrics...} in inference mode; for several outputs {loss including penalties,
  // the loss of each output, the metrics of each}. The losses of the outputs are without their weights.
  std::vector<double> evaluate(const Dataset& data, const ProgramFunctions& functions = {});
  // One step on one batch outside of a fit. Its gradient is that of sum_i weight_i loss_i / n over the n rows, with the
  // weights as they are given, and of the penalties. rates: a row as of FitOptions. The number of epochs does not
  // change. Returns the values of the batch in the order of evaluate(), before the step: losses are means over the rows
  // of their weighted values. If the loss or a weight is not finite, nothing changes, and FitResult::reason is
  // diverged.
  std::vector<double> train_batch(const Dataset& batch, Span<const double> rates, FitResult& result,
                                  const ProgramFunctions& functions = {});
  // The same without a step, in inference mode.
  std::vector<double> test_batch(const Dataset& batch, const ProgramFunctions& functions = {});
  // The numbers of a row of FitOptions::rates.
  std::size_t rate_columns() const;
  // The number of figures that evaluate() returns.
  std::size_t log_count() const;

  // The number of steps and epochs done. Together with the seed, they determine all random numbers.
  std::uint64_t step() const;
  std::uint64_t epoch() const;
  // This and set_moment throw std::runtime_error while a fit is running.
  void set_progress(std::uint64_t step, std::uint64_t epoch);
  // For observers: replaces the rates of the current run from the next step on.
  void set_learning_rate(double rate);

  // The moments of the optimizer: the names in use (m, v), and one row-major array of each for every trainable weight.
  // With averages of weights, "average" is one of them, and with accumulated gradients "accumulator". `moment` is an
  // index in these names, and `weight` one in Network::weights(). Getting and setting throw std::out_of_range if there
  // is no such moment or no such weight, or the weight is not trained.
  const std::vector<std::string>& moment_names() const;
  void get_moment(std::size_t moment, std::size_t weight, float* out) const;
  void set_moment(std::size_t moment, std::size_t weight, const float* values);
  // Works like Network::set_weight_part.
  void set_moment_part(std::size_t moment, std::size_t weight, std::size_t first, const float* values, std::size_t n);

  // Copies the whole state: all weights, as Network::get_weights does, and the moments in the order of moment_names(),
  // of each those of all trainable weights. While another thread fits, all of it and the result are of the same step.
  // Without arrays for weights it copies the moments alone. Throws std::invalid_argument if it is given another number
  // of arrays.
  Progress get_state(Span<float* const> weights, Span<float* const> moments) const;

  // Whether the network has the averages of its weights, and the moment "average" the weights that the next fit
  // continues from, as after a fit with averages. Once weights are set it is false, and the moment "average" is the
  // weights, from which the averages begin anew. Setting it, after the state was read from a file, moves nothing.
  bool averages_shown() const;
  void set_averages_shown(bool shown);

  // The number of floating-point operations in a step from which threads may share it; they do if that is measured to
  // be faster. With 0 they always do. The results do not depend on it. Setting it throws std::invalid_argument for a
  // negative number and NaN.
  double parallel_threshold() const;
  void set_parallel_threshold(double flops);

 private:
  struct Impl;
  struct Fitting;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fastreg
