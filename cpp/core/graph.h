// The inside of a Network: operations with numbered values in topological order, over one flat parameter buffer. The
// values are those of the inputs, then the output of each operation.
#pragma once
#include <memory>
#include <vector>

#include "core/fair_mutex.h"
#include "core/fork.h"
#include "core/fusion.h"
#include "core/inference_plan.h"
#include "core/layer.h"
#include "fastreg/network.h"

namespace fastreg {

// The largest number of rows of an inference block.
constexpr std::size_t kBlockRows = 128;
// The work, in floating-point operations, below which a second thread of inference costs more than it saves. (Starting
// and joining a team was measured to take 0.4 to 6 us, and two virtual cores may be far apart.)
constexpr double kFlopsPerThread = 2e7;

using NetworkLock = ForkSafe<FairMutex>;

// An output of the network. If its last operation is a separate sigmoid or softmax, and no other operation reads its
// value or the logits before it, a loss may be computed from the logits. Otherwise head is linear, and the two values
// are the same.
struct GraphOutput {
  std::size_t value = 0, logits = 0;
  ActivationKind head = ActivationKind::linear;
};

struct Graph {
  Graph(const NetworkSpec& spec, const Backend& backend);

  NetworkSpec spec;
  const Backend& backend;
  Wiring wiring;                                    // of the layers, before they were fused
  Parameters parameters;
  std::vector<std::unique_ptr<Operation>> operations;
  std::vector<std::vector<std::size_t>> inputs;     // the values that each operation reads
  std::vector<std::size_t> layers;                  // the layer whose weights each operation has
  std::vector<GraphOutput> outputs;
  std::size_t n_outputs = 0;                        // columns of the first output
  InferencePlan inference;                          // of all outputs
  Buffer weights;
  mutable NetworkLock lock;
  std::uint64_t assignments = 0;   // how often weights were set from outside
  std::uint64_t changes = 0;       // grows whenever a kernel may have changed
  mutable PackedKernels packed;    // protected by the lock
  FitMark fitting;   // protected by the lock: whether a trainer is running, perhaps between two slices without the lock

  std::size_t n_inputs() const { return wiring.n_inputs; }
  std::size_t value_count() const { return wiring.n_inputs + operations.size(); }
  std::size_t width(std::size_t value) const {
    return value < n_inputs() ? wiring.widths[value] : operations[value - n_inputs()]->out();
  }
  double flops_per_row() const;
  bool takes_batch_statistics() const;
  // The values with a penalty that is part of the loss, and that penalty.
  std::vector<std::size_t> penalised_values() const;
  const Penalty& activity_penalty(std::size_t value) const {
    return *operations[value - n_inputs()]->activity_penalty();
  }
  ActivationKind head() const { return outputs[0].head; }

  // The number of threads that pays for inference on this many rows.
  std::size_t inference_threads(std::size_t rows) const;
};

// Throws std::invalid_argument if this number of floats exceeds the memory of the machine. The message names `what` and
// the size.
void require_memory(const char* what, double floats);
// Fills the weights with the values of their initializers.
void initialize(const Graph& graph);

}  // namespace fastreg
