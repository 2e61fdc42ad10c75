// Early stopping that can keep the best weights, with the semantics of Keras. It is evaluated at the end of every
// epoch.
#pragma once
#include <cstdint>
#include <vector>

#include "fastreg/strict_math.h"
#include "fastreg/trainer.h"

namespace fastreg {

class EarlyStopper {
 public:
  explicit EarlyStopper(const EarlyStopping& options) : options_(options) {}

  // run_epoch is counted from 0 in this run, epoch over the life of the model. Returns true if the run should stop.
  bool judge(std::size_t run_epoch, std::uint64_t epoch, const std::vector<double>& logs, Span<const float> weights);
  // Whether the logs have its value: those of an epoch without validation may not.
  bool watches(const std::vector<double>& logs) const { return options_.monitor < logs.size(); }
  // Restores the best weights, if this is requested and there are any.
  void restore(Span<float> weights);
  const EarlyStoppingResult& result() const { return result_; }

 private:
  EarlyStopping options_;
  EarlyStoppingResult result_;
  std::size_t waited_ = 0;
  std::vector<float> best_weights_;
};

}  // namespace fastreg
