// Chooses how many threads share a training step: one, or all that the budget allows. Which is faster depends on the
// state of the machine (two virtual cores may be near each other or far apart, another program may use one of them).
// Therefore both are timed, the faster one is used, and from time to time the other is timed again, which is called a
// probe. The next run starts from what the last one measured. The result of training does not depend on the choice.
//
// A slice is a short part of a run, after which the run records its time here.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstddef>

namespace fastreg {

class ThreadChoice {
 public:
  using Clock = std::chrono::steady_clock;

  ThreadChoice() = default;   // the state before the first run
  // most: the budget of threads. always: use all of them without timing. work: the amount of work in a step; times that
  // were measured for another amount are forgotten.
  void begin_run(std::size_t most, bool always, double work) {
    if (most_ != most || always_ != always || work_ != work) *this = ThreadChoice(most, always, work);
  }

  // The number of threads for the next slice of a run, and how long the slice should take.
  std::size_t threads() const { return sharing_ ? most_ : 1; }
  Clock::duration slice() const { return fixed_ || !probing_ ? kSlice : kProbe; }

  // Records how long a slice with threads() took, and how many steps it had.
  void record(Clock::duration time, std::size_t steps) {
    if (fixed_) return;
    if (!warm_) {   // the first slice is slow in any case, because it touches its memory for the first time
      warm_ = true;
      return;
    }
    spent_ += time;
    steps_ += steps;
    if (spent_ < (probing_ ? kProbe : interval_)) return;
    per_step_[sharing_] = std::chrono::duration<double>(spent_).count() / static_cast<double>(steps_);
    spent_ = {};
    steps_ = 0;
    if (probing_ && per_step_[!sharing_] > 0.0) {
      settle();
    } else {
      probing_ = true;
      sharing_ = !sharing_;
    }
  }

  static constexpr Clock::duration kSlice = std::chrono::milliseconds(50);

 private:
  ThreadChoice(std::size_t most, bool always, double work)
      : most_(most), work_(work), always_(always), fixed_(most <= 1 || always), sharing_(most > 1) {}

  static constexpr Clock::duration kProbe = std::chrono::milliseconds(2);
  static constexpr Clock::duration kLongest = std::chrono::seconds(10);

  // Chooses the faster one after both were timed. The longer the choice stays the same, the rarer the probes of the
  // other. A probe takes at least one step, and a step may be long: probes take at most a hundredth of the time, or a
  // tenth after the choice has changed, since a short load from another program may have caused the change.
  void settle() {
    const bool faster = per_step_[1] < per_step_[0], confirmed = faster == settled_;
    interval_ = confirmed ? std::min(2 * interval_, kLongest) : kSlice;
    const std::chrono::duration<double> step((confirmed ? 100.0 : 10.0) * per_step_[!faster]);
    interval_ = std::max(interval_, std::chrono::duration_cast<Clock::duration>(step));
    settled_ = sharing_ = faster;
    probing_ = false;
  }

  std::size_t most_ = 0;
  double work_ = 0.0;
  bool always_ = false, fixed_ = true, warm_ = false, sharing_ = false, probing_ = true, settled_ = true;
  double per_step_[2] = {0.0, 0.0};   // seconds per step on one thread, and on all
  Clock::duration spent_{}, interval_ = kSlice;
  std::size_t steps_ = 0;
};

}  // namespace fastreg
