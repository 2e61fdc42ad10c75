// Early stopping: an epoch is an improvement if it exceeds the best value by min_delta; `patience` epochs without an
// improvement end the run.
#include "core/early_stopping.h"

#include <algorithm>

namespace fastreg {

bool EarlyStopper::improves(double value, double on) const {
  return options_.maximize ? value - options_.min_delta > on : value + options_.min_delta < on;
}

void EarlyStopper::keep(double value, std::uint64_t epoch, Span<const float> weights) {
  // This comes first, because there may be no memory for the copy.
  if (options_.restore_best_weights) best_weights_.assign(weights.begin(), weights.end());
  result_.best = value;
  result_.best_epoch = static_cast<std::int64_t>(epoch);
}

bool EarlyStopper::judge(std::size_t run_epoch, std::uint64_t epoch, const std::vector<double>& logs,
                         Span<const float> weights) {
  if (run_epoch < options_.start_from_epoch) return false;
  const double value = logs[options_.monitor];
  const bool first = result_.best_epoch < 0;
  ++waited_;
  // The first epoch that is judged is the best one, unless its value is NaN.
  if (first ? value == value : improves(value, result_.best)) {
    keep(value, epoch, weights);
    if (!options_.has_baseline || improves(value, options_.baseline)) waited_ = 0;
    return false;
  }
  if (waited_ < options_.patience || run_epoch == 0) return false;
  result_.stopped_epoch = static_cast<std::int64_t>(epoch);
  return true;
}

void EarlyStopper::restore(Span<float> weights) {
  if (best_weights_.empty()) return;
  std::copy(best_weights_.begin(), best_weights_.end(), weights.begin());
  result_.restored = true;
}

}  // namespace fastreg
