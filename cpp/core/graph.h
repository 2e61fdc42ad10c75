// The inside of a Network: its layers compiled into operations, over one flat parameter buffer. Fusions are decided
// here and nowhere else:
//   Dense + Activation               the activation joins the matrix product
//   BatchNormalization + Dropout     one pass writes both
//   Dense(relu, ...) + Dropout       the mask is applied where the product is written, and nowhere on the way back
//   Dense(relu, ...) + BatchNorm     the way back through the activation joins that through the normalisation
//   ... + sigmoid or softmax         a last operation of its own, which a loss computed from logits leaves out
#pragma once
#include <memory>
#include <vector>

#include "core/fair_mutex.h"
#include "core/fork.h"
#include "core/layer.h"
#include "fastreg/network.h"

namespace fastreg {

// Rows of an inference block, at most.
constexpr std::size_t kBlockRows = 128;
// Work, in floating-point operations, below which a second thread of inference costs more than it brings (measured: a
// fork and join takes 0.4 to 6 us, and two virtual cores may be far apart).
constexpr double kFlopsPerThread = 2e7;

// Buffers for inference on blocks of rows: two activations that the operations alternate between.
struct InferenceBuffers {
  Buffer first, second;
};

using NetworkLock = ForkSafe<FairMutex>;

struct Graph {
  Graph(const NetworkSpec& spec, const Backend& backend);

  NetworkSpec spec;
  const Backend& backend;
  std::size_t n_outputs = 0;
  Parameters parameters;
  std::vector<std::unique_ptr<Operation>> operations;
  Buffer weights;
  mutable NetworkLock lock;
  FitMark fitting;   // under the lock: a trainer is at work, perhaps between two slices with the lock open

  std::size_t widest_ld() const;
  double flops_per_row() const;
  // The activation of the last operation if that is a sigmoid or softmax of its own, else linear.
  ActivationKind head() const;

  InferenceBuffers inference_buffers(std::size_t rows) const;
  // Gathers rows [begin, begin + n) of x (through index where not null) and runs the first `count` operations on the
  // calling thread; returns the output, a rows matrix in one of the buffers.
  float* infer_block(const InferenceBuffers& buffers, const Features& x, const std::uint32_t* index,
                     std::size_t begin, std::size_t n, std::size_t count) const;
  // Threads worth using for inference on so many rows.
  std::size_t inference_threads(std::size_t rows) const;
};

// Throws std::invalid_argument, saying what takes how much, if so many floats are more than the memory there is.
void require_memory(const char* what, double floats);
// The weights that a network of this spec has, without making any. Throws std::invalid_argument for a bad spec.
std::vector<WeightInfo> weights_of(const NetworkSpec& spec);
// Fills the weights as their initializers say.
void initialize(const Graph& graph);

}  // namespace fastreg
