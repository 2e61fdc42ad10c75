// The optimizer: its moments, and the pass over all parameters at the end of a step. If a norm is clipped there are two
// passes, of which the first only reads. A pass is cut into chunks in the same way whatever the size of the team, so
// that the sums of penalties and norms do not depend on it.
//
// Averages of the weights and sums of gradients over several batches are arrays like moments, behind those of the rule.
// They are updated together with the weights, part by part, while a part is in the cache.
//
// With some rules (schedule-free AdamW) gradients are taken at another point than the one that is evaluated. While a
// run takes steps, between enter() and leave(), the weights are the former; otherwise they are the latter, so that
// whatever reads them, as prediction, validation, files and callbacks do, gets what the optimizer has found.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "core/constraints.h"
#include "core/parameters.h"
#include "core/team.h"
#include "fastreg/spec.h"

namespace fastreg {

// The floats [begin, end) of a flat buffer, which are treated alike. decays: whether weight decay applies. rate, decay:
// factors on the learning rate and on the decay.
struct ParameterRun {
  std::size_t begin, end;
  Penalty penalty;
  bool decays;
  float rate = 1.0f, decay = 1.0f;

  bool is_alike(const ParameterRun& other) const {
    return penalty == other.penalty && decays == other.decays && rate == other.rate && decay == other.decay;
  }
};

// The trainable part of a network's buffer as runs. With clipnorm there is one run per weight; otherwise neighbouring
// weights that are treated alike form one run.
std::vector<ParameterRun> parameter_runs(const Parameters& parameters, const TrainingSpec& spec);
// A kernel in that part: its floats, and how many of them its first panel has.
struct KernelRange {
  std::size_t begin, end, panel;
};
std::vector<KernelRange> kernel_ranges(const Parameters& parameters);

// The learning rate and the weight decay of a step.
struct UpdateRates {
  double learning;
  float decay;
};

class OptimizerState {
 public:
  // runs: the runs of the parameters. floats: the length of the buffer, and of each moment. phase: how many floats past
  // a 64-byte boundary the parameters start; moments get the same offset, so that all arrays are aligned at the same
  // index. kernels: a team shares each of these ranges in the same way as its panels, so that members mostly update the
  // weights that they multiply with. Chunks without sums also end where panels do.
  OptimizerState(const Optimizer& spec, const std::vector<ParameterRun>& runs, std::size_t floats,
                 const Backend& backend, std::size_t phase = 0, const std::vector<KernelRange>& kernels = {});

  float learning_rate() const { return rate_; }
  float weight_decay() const { return decay_; }
  // Of the arrays that belong to the parameters: the moments of the rule, then "average" and "accumulator" where the
  // options need them.
  const std::vector<std::string>& moment_names() const { return names_; }
  float* moment(std::size_t i) const { return moments_.data() + phase_ + i * stride_; }
  const Buffer& moments() const { return moments_; }   // all moments, one after the other

  // Sets the number of steps taken, so that the bias corrections continue exactly as without an interruption.
  void set_steps(std::uint64_t steps);
  // Moves on by a step. One member calls this before the others update.
  void advance();
  // Whether the step that advance() began updates the weights, which it does not while it accumulates gradients.
  bool updates() const { return waiting_ == 0; }
  // Lets update() leave the averages to move_averages(), because the weights change once more between the two.
  void move_averages_later() { averages_later_ = true; }
  // Does this member's part. Returns whether the weights became their averages.
  bool move_averages(const Kernels& kernels, const Team& team, float* weights) const;
  // Whether gradients are taken at a point of their own.
  bool has_point() const { return point_ != kNone; }
  // Before the first step: moments that start as a copy of the weights become one.
  void begin(const float* weights);
  // Brings the weights to the point where gradients are taken, and back to the one that is evaluated. Each member does
  // its part; the team syncs after enter and before leave. Only if has_point().
  void enter(const Team& team, float* weights);
  void leave(const Team& team, float* weights) const;
  // After an update: brings z, on which gradients act, and the average x under the constraints, and the weights to the
  // point between the two. The team syncs within it and at its end. Only if has_point().
  void constrain_point(const Team& team, ConstraintPass& constraints, float* weights) const;
  // The averages of weights that have not been updated are these weights.
  void start_averages(const float* weights);
  // Lets weights and averages change places; does nothing if no averages are kept or there was no update. While they
  // have, the moment "average" is the weights that training continues from. assignments: how often the network's
  // weights were set. If they were set in between, hiding does not move them, and the averages begin anew.
  void show_averages(float* weights, std::uint64_t assignments);
  void hide_averages(float* weights, std::uint64_t assignments);
  // The first thing in a run: hides averages, and takes note of weights that were set.
  void begin_run(float* weights, std::uint64_t assignments);
  // The averages, or what the rule itself evaluates; null if there are none yet.
  const float* average() const {
    const std::size_t array = average_ == kNone ? point_ : average_;
    return array == kNone || updates_ == 0 ? nullptr : moment(array);
  }
  // Whether they have changed places, and no weights were set since.
  bool averages_shown(std::uint64_t assignments) const { return averages_shown_ && assignments == assignments_; }
  // What the next run finds as a moment: the weights themselves, where it will begin the averages anew.
  const float* found_moment(std::size_t i, const float* weights, std::uint64_t assignments) const {
    return i == average_ && averages_shown_ && assignments != assignments_ ? weights : moment(i);
  }
  // Declares that the two have changed places, or that they have not, without moving them.
  void set_averages_shown(bool shown, std::uint64_t assignments);
  // Does this member's part of the pass. If norms are clipped, the team syncs within it. sums: whether to keep the sums
  // that penalty() needs. If gradients are accumulated, a step without an update only adds them up.
  void update(const Kernels& kernels, const Team& team, float* weights, const float* gradients,
              const UpdateRates& rates, bool sums);
  // The penalty of the weights before the last update. One member calls this after all have updated.
  double penalty() const;
  // The penalty of the current weights.
  double penalty(const Kernels& kernels, const float* weights) const;

 private:
  bool clips_norms() const {
    return options_.clipping.kind == ClipKind::norm || options_.clipping.kind == ClipKind::global_norm;
  }
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  // This member's part of the chunks, as places in the order in which the team shares them, and the chunk in a place.
  Range places(const Team& team) const;
  std::size_t chunk_at(const Team& team, std::size_t place) const { return team.size == 1 ? place : shared_[place]; }
  void exchange(float* weights) const;
  void advance_powers();
  void correct();
  float* point() const { return moment(point_); }
  void aim(const Team& team, float* weights) const;
  // Calls body with the index of each element of this member's part.
  template <class Body>
  void for_each_own(const Team& team, Body body) const {
    const Range mine = places(team);
    for (std::size_t place = mine.begin; place < mine.end; ++place) {
      const ParameterRun& chunk = chunks_[chunk_at(team, place)];
      for (std::size_t at = chunk.begin; at < chunk.end; ++at) body(at);
    }
  }
  Update arguments(std::size_t chunk, float* weights, const float* gradients, const UpdateRates& rates) const;
  void accumulate(const Kernels& kernels, const Team& team, const float* weights, const float* gradients, bool sums);
  void add_gradients(const Kernels& kernels, std::size_t chunk, const float* gradients) const;
  bool moves_averages() const { return average_ != kNone && !averages_later_; }
  static bool adds_penalties(const Update& args) {
    return args.sums != nullptr && (args.l1 != 0.0f || args.l2 != 0.0f);
  }
  // The first average is a copy of the weights.
  float average_momentum() const { return updates_ == 1 ? 0.0f : options_.ema_momentum; }
  bool overwrites() const;
  void move_average(const Kernels& kernels, Range floats, float* weights) const;
  float clip_scale(Range chunks) const;
  bool sums_apart(const Kernels& kernels, const Update& args) const;

  Optimizer rule_;                // the optimizer whose rule the kernel computes
  UpdateOptions options_;
  float rate_ = 0.0f, decay_ = 0.0f;
  std::vector<std::string> names_;
  std::size_t rule_moments_ = 0, average_ = kNone, accumulator_ = kNone;   // indices in names_
  std::size_t point_ = kNone;     // the array with the point that is evaluated
  std::uint64_t updates_ = 0;
  std::uint32_t waiting_ = 0;     // batches whose gradients are in the accumulator; 0: this step updates
  bool averages_shown_ = false, averages_later_ = false;
  std::uint64_t assignments_ = 0;   // when the averages were shown
  std::uint64_t summed_assignments_ = 0;   // those that sums_ knows of
  std::size_t phase_ = 0, stride_ = 0;   // a moment's first float, and the distance from one moment to the next
  Buffer moments_;
  std::vector<ParameterRun> chunks_;
  std::vector<std::size_t> shared_;    // chunks in the order in which a team shares them
  std::vector<std::size_t> middles_;   // of each of these, the number of floats before its middle
  std::size_t chunk_floats_ = 0;
  // {sum |w|, sum w^2} of each chunk before the last update; infinite if other weights were set since.
  std::vector<double> sums_;
  // If norms are clipped, for each chunk: the sum of squares of its gradient, and the chunks that share a norm with it.
  std::vector<double> squares_;
  std::vector<Range> norms_;
  std::array<double, 4> powers_{1.0, 1.0, 1.0, 1.0};   // the rule's running products, such as beta^t
  std::array<float, 4> corrections_{};                 // what the rule makes of them for the current step
};

// The penalty that chunks or segments with these sums add to the loss. If a factor is 0, its sum does not count, even
// if it is infinite: squares of weights overflow long before the weights do.
inline double penalty_of(const Penalty& penalty, const double* sums) {
  const auto term = [](float factor, double sum) {
    return factor == 0.0f ? 0.0 : static_cast<double>(factor) * sum;
  };
  return term(penalty.l1, sums[0]) + term(penalty.l2, sums[1]);
}

}  // namespace fastreg
