// How many threads share a training step: one, or all of the budget. Which is faster depends on the machine's mood (two
// virtual cores may be near each other or far apart, a neighbour may have taken one), so both are timed, the faster is
// kept, and the other gets another look now and then; the next run goes on with what the last one found out. The result
// of training does not depend on the choice.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstddef>

namespace fastreg {

class ThreadChoice {
 public:
  using Clock = std::chrono::steady_clock;

  ThreadChoice() = default;   // for no run yet
  // most: the budget. always: use all of it without looking. work: of a step; what was timed on other work is forgotten.
  void begin_run(std::size_t most, bool always, double work) {
    if (most_ != most || always_ != always || work_ != work) *this = ThreadChoice(most, always, work);
  }

  // For the next slice of a run.
  std::size_t threads() const { return sharing_ ? most_ : 1; }
  Clock::duration slice() const { return fixed_ || !looking_ ? kSlice : kLook; }

  // A slice with threads() took so long for so many steps.
  void record(Clock::duration time, std::size_t steps) {
    if (fixed_) return;
    if (!warm_) {   // the first slice touches memory for the first time, whoever runs it
      warm_ = true;
      return;
    }
    spent_ += time;
    steps_ += steps;
    if (spent_ < (looking_ ? kLook : interval_)) return;
    per_step_[sharing_] = std::chrono::duration<double>(spent_).count() / static_cast<double>(steps_);
    spent_ = {};
    steps_ = 0;
    if (looking_ && per_step_[!sharing_] > 0.0) {
      settle();
    } else {
      looking_ = true;
      sharing_ = !sharing_;
    }
  }

  static constexpr Clock::duration kSlice = std::chrono::milliseconds(50);

 private:
  ThreadChoice(std::size_t most, bool always, double work)
      : most_(most), work_(work), always_(always), fixed_(most <= 1 || always), sharing_(most > 1) {}

  static constexpr Clock::duration kLook = std::chrono::milliseconds(2);
  static constexpr Clock::duration kLongest = std::chrono::seconds(10);

  // Both were timed: keeps the faster. The longer it stays the faster one, the rarer the looks at the other. A look is at
  // least one step, and steps may be long: looks take a hundredth of the time, and a tenth after a change, which a
  // neighbour's short visit may have caused.
  void settle() {
    const bool faster = per_step_[1] < per_step_[0], confirmed = faster == settled_;
    interval_ = confirmed ? std::min(2 * interval_, kLongest) : kSlice;
    const std::chrono::duration<double> step((confirmed ? 100.0 : 10.0) * per_step_[!faster]);
    interval_ = std::max(interval_, std::chrono::duration_cast<Clock::duration>(step));
    settled_ = sharing_ = faster;
    looking_ = false;
  }

  std::size_t most_ = 0;
  double work_ = 0.0;
  bool always_ = false, fixed_ = true, warm_ = false, sharing_ = false, looking_ = true, settled_ = true;
  double per_step_[2] = {0.0, 0.0};   // seconds alone and shared
  Clock::duration spent_{}, interval_ = kSlice;
  std::size_t steps_ = 0;
};

}  // namespace fastreg
