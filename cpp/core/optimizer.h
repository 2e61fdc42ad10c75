// The optimizer: its moments, and the one pass over all parameters that ends a step (two where a norm is clipped, of
// which the first only reads). The pass is cut into chunks at fixed places, so that the sums of penalties and norms do
// not depend on how a team shares it.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "core/parameters.h"
#include "core/team.h"
#include "fastreg/spec.h"

namespace fastreg {

// Floats [begin, end) of a flat buffer that take the same penalty; decays: AdamW's weight decay applies.
struct ParameterRun {
  std::size_t begin, end;
  Penalty penalty;
  bool decays;
};

// The trainable part of a network's buffer, neighbours that are treated alike joined; each weight by itself where its
// gradient is clipped by itself.
std::vector<ParameterRun> parameter_runs(const Parameters& parameters, const Optimizer& spec);
// The kernels in it, as ranges of floats.
std::vector<Range> kernel_ranges(const Parameters& parameters);

class OptimizerState {
 public:
  // runs: a weight each where the gradient of each is clipped by itself.
  // floats: length of the buffer, and of each moment. phase: floats from the last 64-byte border to the buffer's first;
  // moments lie in step with it, so that one vector of each is aligned where another one's is. kernels: a team shares
  // each of them as it shares their panels, so that members mostly update what they multiply with.
  OptimizerState(const Optimizer& spec, const std::vector<ParameterRun>& runs, std::size_t floats,
                 const Backend& backend, std::size_t phase = 0, const std::vector<Range>& kernels = {});

  float learning_rate() const { return rate_; }
  const std::vector<std::string>& moment_names() const { return names_; }
  float* moment(std::size_t i) const { return moments_.data() + phase_ + i * stride_; }
  const Buffer& moments() const { return moments_; }   // all of them, one behind the other

  // Tells how many steps were taken, so that the bias corrections go on exactly as without a break.
  void set_steps(std::uint64_t steps);
  // To be called by one member before the others update: moves the bias corrections on by a step.
  void advance();
  // This member's part of the pass; the team meets within it where norms are clipped. sums: keep what penalty() needs.
  void update(const Kernels& kernels, const Team& team, float* weights, const float* gradients, double rate,
              bool sums);
  // The penalty of the weights before the last update; by one member, when all have updated.
  double penalty() const;
  // The penalty of the present weights.
  double penalty(const Kernels& kernels, const float* weights) const;

 private:
  bool clips_norms() const { return clipping_.kind == ClipKind::norm || clipping_.kind == ClipKind::global_norm; }
  Update arguments(std::size_t chunk, float* weights, const float* gradients, double rate) const;
  void clamp_and_update(const Kernels& kernels, const Update& args) const;
  float clip_scale(Range chunks) const;

  Optimizer rule_;                // what the kernel computes: the optimizer whose rules the description has
  float rate_ = 0.0f, decay_ = 0.0f;
  std::vector<std::string> names_;
  std::size_t phase_ = 0, stride_ = 0;   // of a moment's first float, and from one moment to the next
  Buffer moments_;
  std::vector<ParameterRun> chunks_;
  std::vector<std::size_t> shared_;   // chunks in the order in which a team is given them
  std::vector<float> sums_;       // {sum |w|, sum w^2} of each chunk
  Clipping clipping_;
  // Where norms are clipped, for each chunk: the sum of squares of its gradient, and the chunks that share a norm.
  std::vector<double> squares_;
  std::vector<Range> norms_;
  std::array<double, 3> powers_{1.0, 1.0, 1.0};   // the rule's running products, such as beta^t
};

// The penalty that chunks or segments with these sums add to the loss. A sum without a factor does not count, even
// where it is infinite: squares of weights overflow long before the weights do.
inline double penalty_of(const Penalty& penalty, const float* sums) {
  const auto term = [](float factor, float sum) {
    return factor == 0.0f ? 0.0 : static_cast<double>(factor) * static_cast<double>(sum);
  };
  return term(penalty.l1, sums[0]) + term(penalty.l2, sums[1]);
}

}  // namespace fastreg
