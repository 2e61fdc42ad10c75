// The backward pass as a list of steps over numbered buffers, made once for a graph and the values that are scored. Only
// gradients that some trainable weight depends on are computed. A value that is read several times gets the sum of the
// gradients of its readers, from the last reader to the first, whatever the team; the buffers of gradients are used again
// as soon as they are read, so that a chain alternates between two.
#pragma once
#include <vector>

#include "core/graph.h"

namespace fastreg {

struct BackwardPlan {
  enum class Kind { operation, copy, add };
  struct Step {
    Kind kind;
    std::size_t operation = kNone;   // whose backward this is; else
    std::size_t input = 0;           // of a join
    std::size_t dy = kNone;          // buffers; a copy or addition goes from dy to dx
    std::size_t dx = kNone;          // kNone: not wanted
    std::size_t outer = kNone;       // the operation that left dy as the outer product with a row of its weights
    std::size_t ld = 0;              // of a copy or addition
  };
  std::vector<Step> steps;
  std::vector<std::size_t> scored;   // the buffer of the gradient of each value that is scored
  std::vector<std::size_t> lds;      // floats of a row of each buffer
};

BackwardPlan plan_backward(const Graph& graph, const std::vector<std::size_t>& scored);

}  // namespace fastreg
