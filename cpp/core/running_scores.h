// The scores of several batches together, for steps and evaluations outside of a fit. A metric that needs the outputs of
// all rows keeps them here.
#pragma once
#include <vector>

#include "core/objective.h"

namespace fastreg {

class RunningScores {
 public:
  explicit RunningScores(const Objective& objective) : objective_(objective) { clear(); }
  void clear();
  // Adds a batch of n rows, whose losses count as means over its rows. Returns the values of all batches up to now.
  std::vector<double> add(const std::vector<ScoreSums>& sums, const std::vector<EpochOutputs>& outputs, double penalty,
                          std::size_t n);

 private:
  const Objective& objective_;
  std::vector<ScoreSums> sums_;
  std::vector<EpochOutputs> outputs_;
  double penalties_ = 0.0;   // the sum of penalty * rows over the batches
};

}  // namespace fastreg
