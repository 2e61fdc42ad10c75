// The backward pass as a list of steps over numbered buffers. The plan is made once for a graph and the values that are
// scored. Only gradients that the gradient of some trainable weight depends on are computed. If several operations read
// a value, its gradient is the sum of theirs, added from the last reader to the first, whatever the size of the team. A
// buffer of a gradient is reused as soon as it has been read, so that a list of layers alternates between two buffers.
#pragma once
#include <vector>

#include "core/graph.h"

namespace fastreg {

struct BackwardPlan {
  enum class Kind { operation, copy, add };
  struct Step {
    Kind kind;
    std::size_t operation = kNone;   // the operation whose backward this is; else
    std::size_t input = 0;           // the input of a join
    std::size_t dy = kNone;          // buffers; a copy or addition goes from dy to dx
    std::size_t dx = kNone;          // kNone if it is not needed
    std::size_t outer = kNone;       // the operation that left dy as the outer product with a row of its weights
    std::size_t ld = 0;              // for a copy or addition
  };
  std::vector<Step> steps;
  std::vector<std::size_t> scored;   // the buffer of the gradient of each value that is scored
  std::vector<std::size_t> lds;      // the number of floats of a row of each buffer
};

BackwardPlan plan_backward(const Graph& graph, const std::vector<std::size_t>& scored);

}  // namespace fastreg
