// The public Trainer. It holds what outlives a run: the optimizer's state, the counts of steps and epochs, and the
// memory that the next run reuses.
#include "fastreg/trainer.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>

#include "core/check_fields.h"
#include "core/run.h"

namespace fastreg {
namespace {

// A step with less work than this takes about 10 us, and sharing it would not pay for its ten barriers.
constexpr double kParallelThreshold = 2e6;

// The number of floats of the gradients. Throws std::invalid_argument if there is not enough memory for all that
// training needs besides the weights: gradients, moments and a snapshot.
std::size_t checked_floats(const Parameters& parameters, const OptimizerState& optimizer) {
  const double moments = static_cast<double>(optimizer.moments().size());
  require_memory("layers: training this network",
                 static_cast<double>(parameters.trainable()) + 2.0 * static_cast<double>(parameters.total()) +
                     2.0 * moments);
  return parameters.trainable();
}

// The same spec. Throws std::invalid_argument if a name of a weight that is left out of the decay, which has a dot, is
// that of none.
const TrainingSpec& with_known_exclusions(const TrainingSpec& spec, const Parameters& parameters) {
  if (!spec.excluded_from_weight_decay) return spec;
  const std::vector<Segment>& all = parameters.segments();
  for (const std::string& name : *spec.excluded_from_weight_decay) {
    const auto is_it = [&](const Segment& one) { return one.info.name == name; };
    if (name.find('.') != name.npos && std::none_of(all.begin(), all.end(), is_it))
      throw std::invalid_argument(
          "excluded_from_weight_decay must have names of weights, such as layers.0.kernel, got " + name);
  }
  return spec;
}

void check_options(const FitOptions& options, const Graph& graph, const Columns& train, std::size_t log_count,
                   const RateColumns& columns, bool observed) {
  const std::size_t batch = options.batch_size == 0 ? train.size() : std::min(options.batch_size, train.size());
  const std::size_t steps =
      options.steps_per_epoch != 0 ? options.steps_per_epoch : steps_of_epoch(graph, train.size(), batch);
  if (!options.validated.empty() && options.validated.size != options.epochs)
    throw std::invalid_argument("validated must be one for each of " + std::to_string(options.epochs) +
                                " epochs, got " + std::to_string(options.validated.size));
  if (options.observe_batches && !observed) throw std::invalid_argument("observe_batches needs an observer");
  check_rates(options.rates, columns);
  if (!(options.time_limit >= 0.0))
    throw std::invalid_argument("time_limit must be >= 0, got " + shown(options.time_limit));
  if (options.rates.size > columns.count() && !observed &&
      options.rates.size / columns.count() / steps < options.epochs)
    throw std::invalid_argument("rates must be one, or one for each of " + std::to_string(options.epochs) + " x " +
                                std::to_string(steps) + " steps, got " + std::to_string(options.rates.size));
  const Check stopping("early_stopping");
  for (const EarlyStopping& one : options.early_stopping) {
    if (one.monitor >= log_count)
      stopping.fail("monitor must be below " + std::to_string(log_count) + ", got " + std::to_string(one.monitor));
    stopping.require(one.min_delta >= 0.0 && std::isfinite(one.min_delta), "min_delta", ">= 0 and finite",
                     one.min_delta);
    stopping.require(!one.has_baseline || std::isfinite(one.baseline), "baseline", "finite", one.baseline);
  }
}

// Owns the weights of rows that a fit works with.
class WeightedColumns {
 public:
  explicit WeightedColumns(const Columns& given) : columns_(given) {
    for (OutputTargets& targets : columns_.y) {
      columns_.weight_scales.push_back(mean_weight(targets.sample_weight, columns_.rows));
      weights_.push_back(relative_weights(targets.sample_weight, columns_.rows));
      const std::vector<float>& weights = weights_.back();
      if (!weights.empty() && std::none_of(weights.begin(), weights.end(), [](float weight) { return weight > 0.0f; }))
        throw std::invalid_argument("data: sample_weight must not be 0 for every row");
      targets.sample_weight = {weights.data(), weights.size()};
    }
  }
  const Columns& columns() const { return columns_; }

 private:
  Columns columns_;
  std::vector<std::vector<float>> weights_;
};

}  // namespace

struct Trainer::Impl {
  Impl(Network& owner, const TrainingSpec& spec)
      : graph(*owner.graph_),
        objective(spec, graph),
        optimizer(spec.optimizer, parameter_runs(graph.parameters, with_known_exclusions(spec, graph.parameters)),
                  graph.parameters.trainable(), graph.backend, 0, kernel_ranges(graph.parameters)),
        gradients(graph.backend, checked_floats(graph.parameters, optimizer)),
        orthogonal(graph.parameters, graph.backend),
        constraints(graph.parameters),
        precision(product_precision(graph.backend, spec.matmul_precision)),
        evaluator(graph, objective, precision),
        rate_columns{spec.schedules_weight_decay, graph.spec.scheduled.size()} {
    if (!constraints.empty()) optimizer.move_averages_later();
    optimizer.begin(graph.weights.data());
    optimizer.start_averages(graph.weights.data());
  }

  // override: of the learning rate, where it has a value.
  Run::State state(const std::optional<double>& override) {
    return {graph,     objective, optimizer, orthogonal, constraints, gradients,          evaluator,
            workspace, step,      epoch,     override,   parallel_threshold, rate_columns, precision};
  }
  void require_idle() const {
    if (graph.fitting.is_set()) throw std::runtime_error("the model is being fitted");
  }
  void set_progress(std::uint64_t steps, std::uint64_t epochs) {
    step = steps;
    epoch = epochs;
    optimizer.set_steps(steps);
  }

  // The weight that a moment is asked of.
  const Segment& with_moment(std::size_t moment, std::size_t weight) const {
    const std::size_t count = optimizer.moment_names().size();
    if (moment >= count)
      throw std::out_of_range("moment must be below " + std::to_string(count) + ", got " + std::to_string(moment));
    const Segment& segment = graph.parameters.segment(weight);
    if (!segment.info.trainable) throw std::out_of_range(segment.info.name + " is not trained and has no moments");
    return segment;
  }
  const float* found_moment(std::size_t i) const {
    return optimizer.found_moment(i, graph.weights.data(), graph.assignments);
  }

  // count_rows: as for Evaluator::run.
  std::vector<double> evaluate(const Dataset& data, const ProgramFunctions& functions, bool count_rows) {
    std::unique_lock lock(graph.lock);
    const Columns columns = columns_of(data);
    check(columns, graph, objective, "data");
    const auto penalty = [&] { return state({}).weight_penalty(); };
    return evaluator.run(columns, penalty, calls_of(functions, lock), count_rows);
  }

  Graph& graph;
  Objective objective;
  OptimizerState optimizer;
  Buffer gradients;
  OrthogonalPenalties orthogonal;
  ConstraintPass constraints;
  ProductPrecision precision;
  Evaluator evaluator;
  RateColumns rate_columns;
  Workspace workspace;
  std::uint64_t step = 0, epoch = 0;
  double parallel_threshold = kParallelThreshold;
  std::optional<double> rate_override;
};

// Marks the network as being fitted until the call ends, however it ends.
struct Trainer::Fitting {
  explicit Fitting(Impl& owner) : impl(owner) {
    impl.graph.fitting.set();
    impl.rate_override.reset();
  }
  ~Fitting() {
    impl.graph.fitting.clear();
    impl.rate_override.reset();
  }
  Impl& impl;
};

Span<const double> FitObserver::rates(std::size_t first, std::size_t) {
  throw std::invalid_argument("rates must be one, or one for each step of the run; there is none for step " +
                              std::to_string(first));
}

Trainer::Trainer(Network& network, const TrainingSpec& spec) : impl_(std::make_unique<Impl>(network, spec)) {}
Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

void Trainer::fit(const Dataset& train, const Dataset* validation, const FitOptions& options, FitObserver* observer,
                  FitResult& result) {
  Impl& i = *impl_;
  result = {};
  result.early_stopping.resize(options.early_stopping.size());   // now, because a run that fails may have no memory
  std::unique_lock lock(i.graph.lock);
  if (i.graph.fitting.is_set()) throw std::runtime_error("fit: this model is being fitted already");
  if (i.graph.parameters.trainable() == 0) throw std::invalid_argument("layers: there are no weights to train");
  const Columns given = columns_of(train);
  check(given, i.graph, i.objective, "data");
  std::optional<Columns> scored;
  if (validation != nullptr) check(scored.emplace(columns_of(*validation)), i.graph, i.objective, "validation");
  const std::size_t log_count = i.objective.log_count() * (validation != nullptr ? 2 : 1);
  check_options(options, i.graph, given, log_count, i.rate_columns, observer != nullptr);
  const WeightedColumns weighted(given);

  const Fitting fitting(i);
  Run(i.state(i.rate_override), weighted.columns(), scored ? &*scored : nullptr, options, observer, result, lock)
      .train();
}

std::size_t Trainer::steps_of_epoch(std::size_t rows, std::size_t batch_size) const {
  const std::size_t batch = batch_size == 0 ? rows : std::min(batch_size, rows);
  return rows == 0 ? 0 : fastreg::steps_of_epoch(impl_->graph, rows, batch);
}

std::vector<double> Trainer::train_batch(const Dataset& batch, Span<const double> rates, FitResult& result,
                                         const ProgramFunctions& functions) {
  Impl& i = *impl_;
  result = {};
  check_rates(rates, i.rate_columns);
  if (rates.size > i.rate_columns.count())
    throw std::invalid_argument("rates must be those of one step, " + std::to_string(i.rate_columns.count()) +
                                ", got " + std::to_string(rates.size));
  std::unique_lock lock(i.graph.lock);
  i.require_idle();
  if (i.graph.parameters.trainable() == 0) throw std::invalid_argument("layers: there are no weights to train");
  const Columns columns = columns_of(batch);
  check(columns, i.graph, i.objective, "data");
  FitOptions options;
  options.batch_size = 0;
  options.shuffle = false;
  options.show_averages = false;
  options.rates = rates;
  options.functions = functions;
  const Fitting fitting(i);   // a function of the program is called without the lock
  const std::optional<double> no_override;
  return Run(i.state(no_override), columns, nullptr, options, nullptr, result, lock).train_batch();
}

std::vector<double> Trainer::test_batch(const Dataset& batch, const ProgramFunctions& functions) {
  return impl_->evaluate(batch, functions, true);
}

std::vector<double> Trainer::evaluate(const Dataset& data, const ProgramFunctions& functions) {
  return impl_->evaluate(data, functions, false);
}

std::size_t Trainer::rate_columns() const { return impl_->rate_columns.count(); }
std::size_t Trainer::log_count() const { return impl_->objective.log_count(); }

std::uint64_t Trainer::step() const {
  const std::lock_guard guard(impl_->graph.lock);
  return impl_->step;
}

std::uint64_t Trainer::epoch() const {
  const std::lock_guard guard(impl_->graph.lock);
  return impl_->epoch;
}

void Trainer::set_progress(std::uint64_t step, std::uint64_t epoch) {
  const std::lock_guard guard(impl_->graph.lock);
  impl_->require_idle();
  impl_->set_progress(step, epoch);
}

void Trainer::set_learning_rate(double rate) {
  check_rate(rate);
  const std::lock_guard guard(impl_->graph.lock);
  impl_->rate_override = rate;
}

const std::vector<std::string>& Trainer::moment_names() const { return impl_->optimizer.moment_names(); }

void Trainer::get_moment(std::size_t moment, std::size_t weight, float* out) const {
  const Segment& segment = impl_->with_moment(moment, weight);
  const std::lock_guard guard(impl_->graph.lock);
  segment.to_rows(impl_->found_moment(moment), out);
}

void Trainer::set_moment(std::size_t moment, std::size_t weight, const float* values) {
  const Segment& segment = impl_->with_moment(moment, weight);
  const std::lock_guard guard(impl_->graph.lock);
  impl_->require_idle();
  segment.from_rows(values, impl_->optimizer.moment(moment));
}

void Trainer::set_moment_part(std::size_t moment, std::size_t weight, std::size_t first, const float* values,
                              std::size_t n) {
  const Segment& segment = impl_->with_moment(moment, weight);
  require_part(segment.info, first, n);
  const std::lock_guard guard(impl_->graph.lock);
  impl_->require_idle();
  segment.from_values(first, values, n, impl_->optimizer.moment(moment));
}

Progress Trainer::get_state(Span<float* const> weights, Span<float* const> moments) const {
  const Impl& i = *impl_;
  const auto& segments = i.graph.parameters.segments();
  std::vector<const Segment*> trained;
  for (const Segment& segment : segments)
    if (segment.info.trainable) trained.push_back(&segment);
  const std::size_t names = i.optimizer.moment_names().size();
  if ((weights.size != 0 && weights.size != segments.size()) || moments.size != names * trained.size())
    throw std::invalid_argument("get_state: weights and moments must be " + std::to_string(segments.size()) + " and " +
                                std::to_string(names * trained.size()) + " arrays, got " +
                                std::to_string(weights.size) + " and " + std::to_string(moments.size));
  const std::lock_guard guard(i.graph.lock);
  for (std::size_t w = 0; w < weights.size; ++w) segments[w].to_rows(i.graph.weights.data(), weights[w]);
  for (std::size_t m = 0; m < moments.size; ++m)
    trained[m % trained.size()]->to_rows(i.found_moment(m / trained.size()), moments[m]);
  return {i.step, i.epoch, i.optimizer.averages_shown(i.graph.assignments)};
}

bool Trainer::averages_shown() const {
  const std::lock_guard guard(impl_->graph.lock);
  return impl_->optimizer.averages_shown(impl_->graph.assignments);
}

void Trainer::set_averages_shown(bool shown) {
  const std::lock_guard guard(impl_->graph.lock);
  impl_->require_idle();
  impl_->optimizer.set_averages_shown(shown, impl_->graph.assignments);
}

double Trainer::parallel_threshold() const {
  const std::lock_guard guard(impl_->graph.lock);
  return impl_->parallel_threshold;
}

void Trainer::set_parallel_threshold(double flops) {
  if (!(flops >= 0.0)) throw std::invalid_argument("parallel_threshold must be >= 0, got " + std::to_string(flops));
  const std::lock_guard guard(impl_->graph.lock);
  impl_->parallel_threshold = flops;
}

}  // namespace fastreg
