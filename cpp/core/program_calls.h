// Calls of losses and metrics that are functions of the program. They are made on the thread that called fit or
// evaluate, outside of a team and without the lock of the network.
#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "core/graph.h"
#include "core/metric_set.h"
#include "fastreg/trainer.h"

namespace fastreg {

// Calls a loss of the program, by its index.
using CallLoss = std::function<void(std::size_t, const LossRows&)>;

struct ProgramCalls {
  CallMetric metric;
  CallLoss loss;
  Pause* pause;
  std::unique_lock<NetworkLock>& lock;
};

// Calls these functions without the lock, which is held.
ProgramCalls calls_of(const ProgramFunctions& functions, std::unique_lock<NetworkLock>& lock);

// A call of a loss: rows are copied without padding, and its results back. The next call uses the memory again.
class LossCall {
 public:
  // Computes the loss of the rows [begin, begin + n) of `order`, or of the data if that is null. y: their outputs, with
  // cols columns in rows of ld floats. gradient: whether one is wanted.
  void run(const CallLoss& call, std::size_t function, const OutputTargets& targets, const std::uint32_t* order,
           std::size_t begin, std::size_t n, const float* y, std::size_t cols, std::size_t ld, bool gradient);

  const float* values() const { return values_.data(); }
  // Writes the gradient to rows of ld floats, where row i has the weight weight[i] * scale (a null weight means 1). A
  // row without weight has none, whatever the function says.
  void write_gradient(const float* weight, float scale, float* dy, std::size_t ld) const;

 private:
  std::size_t rows_ = 0, cols_ = 0;
  std::vector<float> y_, target_, values_, gradient_;
  std::vector<std::int32_t> labels_;
};

}  // namespace fastreg
