// Early stopping: an epoch is an improvement if it exceeds the best value by min_delta; `patience` epochs without an
// improvement end the run.
#include "core/early_stopping.h"

#include <algorithm>

namespace fastreg {

namespace {

bool improves(const EarlyStopping& options, double value, double on) {
  return options.maximize ? value - options.min_delta > on : value + options.min_delta < on;
}

}  // namespace

EpochVerdict judge_epoch(const EarlyStopping& options, std::int64_t epoch, double value, double best,
                         std::size_t& waited) {
  if (epoch < 0 || static_cast<std::uint64_t>(epoch) < options.start_from_epoch) return EpochVerdict::worse;
  ++waited;
  const bool first = best != best;
  // The first epoch that is judged is the best one, unless its value is NaN.
  if (first ? value == value : improves(options, value, best)) {
    if (!options.has_baseline || improves(options, value, options.baseline)) waited = 0;
    return EpochVerdict::best;
  }
  return waited >= options.patience && epoch > 0 ? EpochVerdict::stop : EpochVerdict::worse;
}

bool EarlyStopper::judge(std::size_t run_epoch, std::uint64_t epoch, const std::vector<double>& logs,
                         Span<const float> weights) {
  const double value = logs[options_.monitor];
  const EpochVerdict verdict =
      judge_epoch(options_, static_cast<std::int64_t>(run_epoch), value, result_.best, waited_);
  if (verdict == EpochVerdict::best) {
    // This comes first, because there may be no memory for the copy.
    if (options_.restore_best_weights) best_weights_.assign(weights.begin(), weights.end());
    result_.best = value;
    result_.best_epoch = static_cast<std::int64_t>(epoch);
  }
  if (verdict == EpochVerdict::stop) result_.stopped_epoch = static_cast<std::int64_t>(epoch);
  return verdict == EpochVerdict::stop;
}

void EarlyStopper::restore(Span<float> weights) {
  if (best_weights_.empty()) return;
  std::copy(best_weights_.begin(), best_weights_.end(), weights.begin());
  result_.restored = true;
}

}  // namespace fastreg
