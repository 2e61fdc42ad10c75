// Calls functions of the program without the lock, and copies the rows of losses and their results.
#include "core/program_calls.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace fastreg {
namespace {

struct Unlocked {
  std::unique_lock<NetworkLock>& lock;
  explicit Unlocked(std::unique_lock<NetworkLock>& held) : lock(held) { lock.unlock(); }
  ~Unlocked() { lock.lock(); }
};

template <class Function>
Function& function_at(const std::vector<Function*>& functions, std::size_t index, const char* name) {
  if (index >= functions.size())
    throw std::invalid_argument(std::string(name) + " must be more than " + std::to_string(index) + ", got " +
                                std::to_string(functions.size()));
  if (functions[index] == nullptr)
    throw std::invalid_argument(std::string(name) + "[" + std::to_string(index) + "] must not be null");
  return *functions[index];
}

}  // namespace

ProgramCalls calls_of(const ProgramFunctions& functions, std::unique_lock<NetworkLock>& lock) {
  return {[&functions, &lock](std::size_t index, const MetricRows& rows) {
            MetricFunction& metric = function_at(functions.metrics, index, "functions.metrics");
            const Unlocked unlocked(lock);
            return metric.value(rows);
          },
          [&functions, &lock](std::size_t index, const LossRows& rows) {
            LossFunction& loss = function_at(functions.losses, index, "functions.losses");
            const Unlocked unlocked(lock);
            loss.compute(rows);
          },
          functions.pause, lock};
}

void LossCall::run(const CallLoss& call, std::size_t function, const OutputTargets& targets, const std::uint32_t* order,
                   std::size_t begin, std::size_t n, const float* y, std::size_t cols, std::size_t ld, bool gradient) {
  const auto row = [&](std::size_t i) { return order != nullptr ? order[begin + i] : begin + i; };
  rows_ = n;
  cols_ = cols;
  const MatrixView<const float>& matrix = targets.y;
  const bool labelled = !targets.labels.empty();
  const std::size_t target_cols = labelled ? 0 : matrix.cols;
  y_.resize(n * cols);
  target_.resize(n * target_cols);
  labels_.resize(labelled ? n : 0);
  values_.resize(n);
  gradient_.resize(gradient ? n * cols : 0);
  for (std::size_t i = 0; i < n; ++i) {
    std::copy_n(y + i * ld, cols, y_.data() + i * cols);
    if (labelled)
      labels_[i] = targets.labels[row(i)];
    else
      std::copy_n(matrix.data + row(i) * matrix.stride, target_cols, target_.data() + i * target_cols);
  }
  call(function, {y_.data(), labelled ? nullptr : target_.data(), labelled ? labels_.data() : nullptr, n, cols,
                  target_cols, values_.data(), gradient ? gradient_.data() : nullptr});
}

void LossCall::write_gradient(const float* weight, float scale, float* dy, std::size_t ld) const {
  for (std::size_t i = 0; i < rows_; ++i) {
    const float factor = weight != nullptr ? weight[i] * scale : scale;
    for (std::size_t j = 0; j < cols_; ++j)
      dy[i * ld + j] = weight != nullptr && weight[i] == 0.0f ? 0.0f : gradient_[i * cols_ + j] * factor;
    std::fill(dy + i * ld + cols_, dy + (i + 1) * ld, 0.0f);
  }
}

}  // namespace fastreg
