// A plan of inference on blocks of rows: which operations run, and which buffers hold their values. A buffer is reused
// when its value has no more readers, so that a list of layers alternates between two buffers.
#pragma once
#include <cstdint>
#include <vector>

#include "core/layer.h"
#include "core/packed_kernels.h"
#include "fastreg/view.h"

namespace fastreg {

struct Graph;

struct InferencePlan {
  struct Step {
    const Operation* operation;
    std::size_t index;                 // of the operation in the graph
    std::vector<std::size_t> inputs;   // buffers
    std::size_t output;
    // The input of the network that the step may read where the caller has it, since no other step reads it; or kNone.
    std::size_t caller_rows;
  };
  std::vector<Step> steps;
  std::vector<std::size_t> inputs, outputs;   // the buffers of the network's inputs and of the requested values
  std::vector<std::size_t> lds;               // the number of floats of a row of each buffer
  std::vector<bool> stays;                    // for each input: whether it is the caller_rows of a step
};

// A plan that computes these values, each in a buffer of its own, and only operations that they depend on.
InferencePlan plan_inference(const Graph& graph, const std::vector<std::size_t>& values);

// The buffers that one thread needs to execute a plan on blocks of rows. It keeps references to the graph and the plan.
class InferenceBuffers {
 public:
  // precision: of the products that run() computes.
  InferenceBuffers(const Graph& graph, const InferencePlan& plan, std::size_t rows, const ProductPrecision& precision);

  // Gathers rows [begin, begin + n) of every input (through index, unless it is null) and executes the plan on the
  // calling thread. An input of float32 is not gathered where a step may read it as it is. Afterwards output(i) is the
  // i-th requested value, a rows matrix that may be overwritten. The packed kernels of the graph have been prepared.
  void run(Span<const Features> x, const std::uint32_t* index, std::size_t begin, std::size_t n) const;
  float* output(std::size_t i) const { return buffers_[plan_->outputs[i]]; }

 private:
  const Graph* graph_;
  const InferencePlan* plan_;
  Buffer arena_;
  float* scratch_ = nullptr;          // Pass::scratch, in the arena
  std::vector<float*> buffers_;       // into the arena
  std::vector<const float*> reads_;   // the inputs of all steps, one step after the other

  static bool readable(const Features& x, const std::uint32_t* index) {
    return x.type == ElementType::float32 && index == nullptr && x.stride >= x.cols;   // rows may overlap
  }
};

}  // namespace fastreg
