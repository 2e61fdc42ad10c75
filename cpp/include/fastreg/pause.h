// Lets the program that embeds the library act during a long prediction or evaluation.
#pragma once

namespace fastreg {

// Is given to a prediction or an evaluation, or to a fit for its validations.
class Pause {
 public:
  virtual ~Pause() = default;
  // Is called about every 50 ms, on the thread that called, while the network is not locked; not at all by a call that
  // is shorter. It may throw: then the call throws, too.
  virtual void reached() = 0;
};

}  // namespace fastreg
