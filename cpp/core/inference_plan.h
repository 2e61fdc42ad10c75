// Inference over blocks of rows: which operations run, and in which buffers their values lie. A buffer is used again once
// nobody reads its value any more; a chain alternates between two.
#pragma once
#include <cstdint>
#include <vector>

#include "core/layer.h"
#include "fastreg/view.h"

namespace fastreg {

struct Graph;

struct InferencePlan {
  struct Step {
    const Operation* operation;
    std::vector<std::size_t> inputs;   // buffers
    std::size_t output;
  };
  std::vector<Step> steps;
  std::vector<std::size_t> inputs, outputs;   // the buffers of the network's inputs and of the values asked for
  std::vector<std::size_t> lds;               // floats of a row of each buffer
};

// A plan that computes these values, each in a buffer of its own, and nothing that none of them depends on.
InferencePlan plan_inference(const Graph& graph, const std::vector<std::size_t>& values);

// What one thread needs to carry a plan out on blocks of so many rows. Keeps a reference to graph and plan.
class InferenceBuffers {
 public:
  InferenceBuffers(const Graph& graph, const InferencePlan& plan, std::size_t rows);

  // Gathers rows [begin, begin + n) of every input (through index where not null) and runs the plan on the calling
  // thread; output(i) is then the i-th value asked for, a rows matrix that may be overwritten.
  void run(Span<const Features> x, const std::uint32_t* index, std::size_t begin, std::size_t n) const;
  float* output(std::size_t i) const { return outputs_[i]; }

 private:
  struct Bound {
    const Operation* operation;
    const float* const* x;
    float* y;
  };
  const Graph* graph_;
  Buffer arena_;
  std::vector<Bound> steps_;
  std::vector<const float*> reads_;   // the inputs of all steps
  std::vector<float*> inputs_, outputs_;
};

}  // namespace fastreg
