// Single operations on the caller's arrays: for benchmarks, tests and loops of one's own. Matrices are row-major; an
// empty span (data null) stands for an argument that is left out. Each throws std::invalid_argument for shapes that do
// not fit, naming the argument. They run on the calling thread; Updater::step shares long arrays among threads.
#pragma once
#include <cstdint>
#include <memory>

#include "fastreg/spec.h"
#include "fastreg/view.h"

namespace fastreg::ops {

using Input = MatrixView<const float>;
using Output = MatrixView<float>;
using Values = Span<const float>;

// y = activation(x w + b). z: the value before the activation, where not empty.
void dense(Input x, Input w, Values b, ActivationKind activation, Output y, Output z);
// saved: y of dense, or z for gelu and silu.
void dense_backward(Input x, Input w, Input saved, Input dy, ActivationKind activation, Output dx, Output dw,
                    Span<float> db);

void activation(ActivationKind activation, Input x, Output y);
void activation_backward(ActivationKind activation, Input saved, Input dy, Output dx);

// Inverted dropout with the mask of (seed, stream, step); keep, where not null, receives it, one flag an element.
void dropout(Input x, float rate, std::uint64_t seed, std::uint32_t stream, std::uint32_t step, Output y, bool* keep);

// Normalises with the statistics of x and moves the moving ones towards them; mean and inv_std receive what was used.
void batch_norm_train(Input x, Values gamma, Values beta, Span<float> moving_mean, Span<float> moving_variance,
                      float momentum, float epsilon, Output y, Span<float> mean, Span<float> inv_std);
void batch_norm_infer(Input x, Values gamma, Values beta, Values mean, Values variance, float epsilon, Output y);
void batch_norm_backward(Input x, Input dy, Values gamma, Values mean, Values inv_std, Output dx, Span<float> dgamma,
                         Span<float> dbeta);

// Losses by row, the gradient of sum_i weight_i loss_i / sum_i weight_i, and y as probabilities where it was logits.
// The sparse loss takes labels, the others target.
void loss(const Loss& loss, Input y, Input target, Span<const std::int32_t> labels, Values weight,
          Span<float> row_losses, Output dy, Output probabilities);

// True if no value, as float32, is NaN or infinite.
bool all_finite(const Features& x);

// Blocks [first, first + n) of Philox4x32-10, four words each; kernels.h tells key and counter.
void random_words(std::uint64_t seed, std::uint32_t stream, std::uint32_t step, std::uint64_t first, std::size_t n,
                  std::uint32_t* out);

// An optimizer's step on n parameters of the caller's, in place and in one pass, penalties included.
class Updater {
 public:
  Updater(const Optimizer& optimizer, float* parameters, std::size_t n, const Penalty& penalty);
  ~Updater();
  Updater(Updater&&) noexcept;
  Updater& operator=(Updater&&) noexcept;
  void step(const float* gradient, double rate);
  std::uint64_t steps() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fastreg::ops
