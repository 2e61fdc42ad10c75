// Sums and kept outputs of batches.
#include "core/running_scores.h"

namespace fastreg {

void RunningScores::clear() {
  sums_ = objective_.no_sums();
  outputs_.assign(sums_.size(), {});
  penalties_ = 0.0;
}

std::vector<double> RunningScores::add(const std::vector<ScoreSums>& sums, const std::vector<EpochOutputs>& outputs,
                                       double penalty, std::size_t n) {
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    outputs_[i].append(outputs[i]);   // this first, because there may be no memory for it
    sums_[i].add(sums[i]);
    sums_[i].weight = static_cast<double>(sums_[i].rows);
  }
  penalties_ += penalty * static_cast<double>(n);
  return objective_.logs(sums_, outputs_, penalties_ / static_cast<double>(sums_[0].rows));
}

}  // namespace fastreg
