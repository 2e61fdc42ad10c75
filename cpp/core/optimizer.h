// The optimizer: its moments, and the pass over all parameters at the end of a step. If a norm is clipped there are two
// passes, of which the first only reads. A pass is cut into chunks at fixed offsets, so that the sums of penalties and
// norms do not depend on how a team shares it.
//
// With some rules (schedule-free AdamW) gradients are taken at another point than the one that is evaluated. While a run
// takes steps, between enter() and leave(), the weights are the former; otherwise they are the latter, so that whatever
// reads them, as prediction, validation, files and callbacks do, gets what the optimizer has found.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "core/parameters.h"
#include "core/team.h"
#include "fastreg/spec.h"

namespace fastreg {

// The floats [begin, end) of a flat buffer, which have the same penalty. decays: whether AdamW's weight decay applies.
struct ParameterRun {
  std::size_t begin, end;
  Penalty penalty;
  bool decays;
};

// The trainable part of a network's buffer as runs. With clipnorm there is one run per weight; otherwise neighbouring
// weights that are treated alike form one run.
std::vector<ParameterRun> parameter_runs(const Parameters& parameters, const Optimizer& spec);
// The kernels in that part, as ranges of floats.
std::vector<Range> kernel_ranges(const Parameters& parameters);

class OptimizerState {
 public:
  // runs: the runs of the parameters. floats: the length of the buffer, and of each moment. phase: how many floats past
  // a 64-byte boundary the parameters start; moments get the same offset, so that all arrays are aligned at the same
  // index. kernels: a team shares each of these ranges in the same way as its panels, so that members mostly update the
  // weights that they multiply with.
  OptimizerState(const Optimizer& spec, const std::vector<ParameterRun>& runs, std::size_t floats,
                 const Backend& backend, std::size_t phase = 0, const std::vector<Range>& kernels = {});

  float learning_rate() const { return rate_; }
  const std::vector<std::string>& moment_names() const { return names_; }
  float* moment(std::size_t i) const { return moments_.data() + phase_ + i * stride_; }
  // Whether gradients are taken at a point of their own.
  bool has_point() const { return has_point_; }
  // Before the first step: moments that start as a copy of the weights become one.
  void begin(const float* weights);
  // Brings the weights to the point where gradients are taken, and back to the one that is evaluated. Each member does
  // its part; the team syncs after enter and before leave. Only if has_point().
  void enter(const Team& team, float* weights);
  void leave(const Team& team, float* weights) const;
  // The floats [begin, end) of what is evaluated, between enter and leave.
  const float* evaluated(const float* weights) const { return has_point_ ? point() : weights; }
  const Buffer& moments() const { return moments_; }   // all moments, one after the other

  // Sets the number of steps taken, so that the bias corrections continue exactly as without an interruption.
  void set_steps(std::uint64_t steps);
  // Advances the bias corrections by a step. One member calls this before the others update.
  void advance();
  // Does this member's part of the pass. If norms are clipped, the team syncs within it. sums: whether to keep the sums
  // that penalty() needs.
  void update(const Kernels& kernels, const Team& team, float* weights, const float* gradients, double rate,
              bool sums);
  // The penalty of the weights before the last update. One member calls this after all have updated.
  double penalty() const;
  // The penalty of the current weights.
  double penalty(const Kernels& kernels, const float* weights) const;

 private:
  std::size_t arrays() const { return names_.size() + (has_point_ ? 1 : 0); }
  float* point() const { return moment(names_.size()); }
  void correct();
  bool clips_norms() const { return clipping_.kind == ClipKind::norm || clipping_.kind == ClipKind::global_norm; }
  Update arguments(std::size_t chunk, float* weights, const float* gradients, double rate) const;
  void clamp_and_update(const Kernels& kernels, const Update& args) const;
  float clip_scale(Range chunks) const;

  Optimizer rule_;                // the optimizer whose rule the kernel computes
  float rate_ = 0.0f, decay_ = 0.0f;
  std::vector<std::string> names_;
  bool has_point_ = false;
  std::size_t phase_ = 0, stride_ = 0;   // a moment's first float, and the distance from one moment to the next
  Buffer moments_;
  std::vector<ParameterRun> chunks_;
  std::vector<std::size_t> shared_;   // chunks in the order in which a team shares them
  std::vector<float> sums_;       // {sum |w|, sum w^2} of each chunk
  Clipping clipping_;
  // If norms are clipped, for each chunk: the sum of squares of its gradient, and the chunks that share a norm with it.
  std::vector<double> squares_;
  std::vector<Range> norms_;
  std::uint64_t steps_ = 0;
  std::array<double, 4> powers_{1.0, 1.0, 1.0, 1.0};   // the rule's running products, such as beta^t
  std::array<float, 4> corrections_{};                 // what the rule makes of them for the current step
};

// The penalty that chunks or segments with these sums add to the loss. If a factor is 0, its sum does not count, even
// if it is infinite: squares of weights overflow long before the weights do.
inline double penalty_of(const Penalty& penalty, const float* sums) {
  const auto term = [](float factor, float sum) {
    return factor == 0.0f ? 0.0 : static_cast<double>(factor) * static_cast<double>(sum);
  };
  return term(penalty.l1, sums[0]) + term(penalty.l2, sums[1]);
}

}  // namespace fastreg
