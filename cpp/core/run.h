// A run is one call of Trainer::fit(). It is cut into slices of at most 50 ms. Within a slice, a team computes steps in
// lockstep. Between slices only the calling thread works, and observers, validation, early stopping and forks get their
// turn.
#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "core/constraints.h"
#include "core/early_stopping.h"
#include "core/orthogonality.h"
#include "core/rates.h"
#include "core/step.h"
#include "core/thread_choice.h"
#include "fastreg/trainer.h"

namespace fastreg {

// Runs f on the calling thread as a team of one member, with denormals flushed to zero, as kernels require.
void on_this_thread(const Backend& backend, const std::function<void()>& f);

// A copy of everything that training changes. It is made before each epoch.
struct Snapshot {
  Buffer weights, moments;
  std::uint64_t step = 0, epoch = 0;
};

// What a run keeps for the next one: its memory, because new pages from the system are slow (5 % of an epoch of 1.3 s),
// and the number of threads that was best.
struct Workspace {
  Buffer arena;   // holds the buffers of TrainingStep
  Snapshot snapshot;
  ThreadChoice choice;
};

// The number of steps of an epoch. The last batch may be short; where a layer takes the statistics of a batch, a last
// batch of one row is part of the one before.
std::size_t steps_of_epoch(const Graph& graph, std::size_t rows, std::size_t batch);

// One call of fit().
class Run {
 public:
  // The parts of Trainer::Impl that a run uses. Impl itself is private to Trainer.
  struct State {
    Graph& graph;
    const Objective& objective;
    OptimizerState& optimizer;
    OrthogonalPenalties& orthogonal;
    ConstraintPass& constraints;
    Buffer& gradients;
    Evaluator& evaluator;
    Workspace& workspace;
    std::uint64_t &step, &epoch;
    const std::optional<double>& rate_override;
    double parallel_threshold;
    RateColumns columns;
    ProductPrecision precision;

    // The penalty of the weights as they are now.
    double weight_penalty() const {
      double penalty = 0.0;
      on_this_thread(graph.backend, [&] {
        const Kernels& kernels = *graph.backend.kernels;
        orthogonal.compute(kernels, Team{}, graph.weights.data(), nullptr);
        penalty = optimizer.penalty(kernels, graph.weights.data()) + orthogonal.value();
      });
      return penalty;
    }
  };

  // lock: the lock of the graph, which is held. It is released while an observer runs or a fork waits.
  Run(const State& state, const Columns& train, const Columns* validation, const FitOptions& options,
      FitObserver* observer, FitResult& result, std::unique_lock<NetworkLock>& lock);
  void train();
  // The only batch of the data, outside of a fit. Returns its values, or nothing if it diverged.
  std::vector<double> train_batch();

 private:
  void run_epoch(std::size_t index);
  template <class Body>
  void in_team(const Body& body);
  ThreadChoice::Clock::duration compute_slice();
  void run_slice(const Team& team);
  void finish_step(const Team& team, std::size_t index, const Batch& batch);
  void constrain(const Team& team);
  void after_loss(std::size_t index, const Batch& batch);
  void end_epoch(std::size_t index);
  bool signalled() const;
  bool must_stop();
  void draw_order(std::uint64_t pass);
  std::uint64_t rows_before(std::uint64_t batch) const;
  Batch batch_at(std::size_t index) const;
  void begin_batch();
  void end_batch();
  bool finite_weights();
  std::vector<double> logs_so_far(const CallMetric& call) const;
  bool observed_validation(std::vector<double>& logs);
  bool validates(std::size_t index) const;
  std::vector<double> epoch_logs(std::size_t index);
  const double* rates_of_step() const;
  UpdateRates update_rates() const;
  StepPlace place() const;
  void next_rates();
  bool observe_epoch(const std::vector<double>& logs, bool last);
  void poll();
  void give_way_to_fork();
  void copy(const Buffer& from, const Buffer& to) const;
  void take_snapshot();
  void diverge(std::uint64_t step);
  void finish();
  Span<float> weights() const { return {s_.graph.weights.data(), s_.graph.parameters.total()}; }

  State s_;
  const Columns& train_;
  const Columns* validation_;
  const FitOptions& options_;
  FitObserver* observer_;
  FitResult& result_;
  std::unique_lock<NetworkLock>& lock_;
  // index: in its pass over the rows, whose last step may have a row more or fewer than batch_.
  std::size_t rows_of_step(std::size_t index) const {
    return index + 1 < pass_steps_ ? batch_ : train_.size() - index * batch_;
  }

  std::size_t batch_, pass_steps_, steps_, clock_every_ = 1;   // pass_steps_: the steps that take every row once
  double flops_;
  ThreadChoice& choice_;
  std::vector<EpochOutputs> outputs_;   // of the epoch's rows, where a metric needs them
  TrainingStep training_step_;
  std::vector<EarlyStopper> stoppers_;
  std::vector<std::uint32_t> order_, words_;
  Snapshot& snapshot_;
  std::size_t next_in_epoch_ = 0, run_step_ = 0;
  std::uint64_t first_batch_ = 0;  // of the epoch, in the sequence of all batches
  std::uint64_t pass_ = 0;         // of the order that is drawn
  Span<const double> rates_;       // the rows of the steps from rates_from_ on
  std::size_t rates_from_ = 0;
  ThreadChoice::Clock::time_point slice_end_{}, last_poll_ = ThreadChoice::Clock::now(), deadline_;
  // The leader writes these between two syncs, and all members read them after the second one.
  bool slice_over_ = false, diverged_ = false;
  bool stopped_ = false, observing_ = false;   // whether the observer has ended the epoch; validates it
  bool within_epoch_ = false, undo_epoch_ = false;   // within_epoch_: between snapshot and end of an epoch
  bool show_averages_ = options_.show_averages;      // at the end; of a single batch only if it is undone
  std::vector<ScoreSums> sums_;
  // penalties_: the sum of penalty * rows over the steps; activity_: that of the outputs of layers in the present batch
  double penalties_ = 0.0, activity_ = 0.0, batch_loss_ = 0.0, last_rate_ = 0.0;
};

}  // namespace fastreg
