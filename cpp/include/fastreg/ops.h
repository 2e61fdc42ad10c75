// Single operations on the caller's arrays, for benchmarks, tests and training loops of your own. Matrices are
// row-major. An empty span (data null) means that an argument is left out. Each operation throws std::invalid_argument,
// naming the argument, if shapes do not match or a field of a loss or an optimizer is out of its range. They run on the
// calling thread; only Updater::step and all_finite share long arrays among threads.
#pragma once
#include <cstdint>
#include <memory>

#include "fastreg/spec.h"
#include "fastreg/view.h"

namespace fastreg::ops {

using Input = MatrixView<const float>;
using Output = MatrixView<float>;
using Values = Span<const float>;

// y = activation(x w + b). z, unless it is empty, receives the value before the activation.
void dense(Input x, Input w, Values b, const ActivationSpec& activation, Output y, Output z);
// The gradients of dense. saved is y of dense, or z where the derivative is computed
// from the input (derivative_from_output).
void dense_backward(Input x, Input w, Input saved, Input dy, const ActivationSpec& activation, Output dx,
                    Output dw, Span<float> db);

void activation(const ActivationSpec& activation, Input x, Output y);
void activation_backward(const ActivationSpec& activation, Input saved, Input dy, Output dx);

// Inverted dropout with the mask that belongs to (seed, stream, step). keep, unless it is null, receives the mask as
// one flag per element.
void dropout(Input x, float rate, std::uint64_t seed, std::uint32_t stream, std::uint32_t step, Output y, bool* keep);

// Normalises with the statistics of x, which mean and inv_std receive, and updates the moving statistics.
void batch_norm_train(Input x, Values gamma, Values beta, Span<float> moving_mean, Span<float> moving_variance,
                      float momentum, float epsilon, Output y, Span<float> mean, Span<float> inv_std);
void batch_norm_infer(Input x, Values gamma, Values beta, Values mean, Values variance, float epsilon, Output y);
void batch_norm_backward(Input x, Input dy, Values gamma, Values mean, Values inv_std, Output dx, Span<float> dgamma,
                         Span<float> dbeta);

// Computes the loss of each row and the gradient of sum_i weight_i loss_i / sum_i weight_i. If y holds logits,
// probabilities are returned, too. The sparse loss takes labels, the others target.
void loss(const Loss& loss, Input y, Input target, Span<const std::int32_t> labels, Values weight,
          Span<float> row_losses, Output dy, Output probabilities);

// True if no value, converted to float32, is NaN or infinite.
bool all_finite(const Features& x);

// Computes blocks [first, first + n) of Philox4x32-10, with four words each. kernels.h describes the key and the
// counter.
void random_words(std::uint64_t seed, std::uint32_t stream, std::uint32_t step, std::uint64_t first, std::size_t n,
                  std::uint32_t* out);

// An optimizer for n parameters of the caller, which are updated in place and in one pass, including penalties.
class Updater {
 public:
  Updater(const Optimizer& optimizer, float* parameters, std::size_t n, const Penalty& penalty);
  ~Updater();
  Updater(Updater&&) noexcept;
  Updater& operator=(Updater&&) noexcept;
  void step(const float* gradient, double rate);
  std::uint64_t steps() const;
  // Copies the average of the parameters, or what an optimizer evaluates that takes gradients at another point; false
  // if the optimizer has none or there was no update.
  bool average(float* out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fastreg::ops
