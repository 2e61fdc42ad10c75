// A frozen network that is not a single chain. It consists of chains of layers, each of which is one call of the kernel
// table for a block of rows, and of joins of their values. Values that are alive at different times share buffers. A
// value that is an output is computed in the caller's array.
#pragma once
#include <string>
#include <vector>

#include "core/packed_layers.h"
#include "core/packed_periodic.h"
#include "core/packed_table_input.h"

namespace fastreg {

class FrozenGraph {
 public:
  // Throws std::invalid_argument if shapes or values do not match.
  FrozenGraph(const FrozenNetwork& network, const ProductPrecision& precision);

  std::size_t n_features(std::size_t input) const { return inputs_[input].n_features; }
  std::size_t n_outputs(std::size_t output) const { return widths_[outputs_[output].value]; }
  double flops_per_row() const { return flops_; }
  double work_per_row() const { return work_; }
  const std::vector<NetworkInput>& inputs() const { return inputs_; }
  const std::vector<NetworkOutput>& outputs() const { return outputs_; }
  FrozenNetwork network() const;
  std::string summary() const;

  // Throws std::invalid_argument for wrong shapes.
  void check(Span<const MatrixView<const float>> x, Span<const MatrixView<float>> out) const;
  // Works like Predictor::predict. It allocates only the scratch memory of a thread.
  void run(Span<const MatrixView<const float>> x, Span<const MatrixView<float>> out) const;

 private:
  struct Node {
    FrozenNode::Kind kind;
    std::vector<std::size_t> inputs;
    std::vector<PackedLayers> packed;   // one element for a chain, none for another kind
    std::vector<PackedTableInput> tables;   // the same for table_input
    std::vector<PackedPeriodic> periodic;   // and for periodic
    FrozenNode source;                  // without inputs and layers
  };
  // Where a value is stored while a block runs: in an input, in an output, or in a buffer, which begins `offset` floats
  // per row after the beginning of the scratch memory of a thread.
  struct Place {
    enum class Kind { input, output, buffer } kind = Kind::buffer;
    std::size_t index = 0, offset = 0;
  };
  struct Job;
  struct Rows {
    float* data;
    std::size_t ld;
  };

  void add(const FrozenNode& node, std::size_t index, const ProductPrecision& precision);
  std::size_t checked_width(const FrozenNode& node, std::size_t index) const;
  void place_values();
  void run_block(const Job& job, std::size_t row, std::size_t rows, float* scratch) const;
  Rows rows_of(const Job& job, std::size_t value, std::size_t row, float* scratch) const;
  void join(const Job& job, const Node& node, std::size_t row, std::size_t rows, const Rows& y, std::size_t cols,
            float* scratch) const;
  void read_table(const Job& job, std::size_t node, std::size_t row, std::size_t rows, float* scratch) const;
  void apply(const Job& job, const Node& node, std::size_t row, std::size_t rows, const Rows& y, float* scratch) const;

  std::vector<NetworkInput> inputs_;
  std::vector<NetworkOutput> outputs_;
  std::vector<Node> nodes_;
  std::vector<std::size_t> widths_;   // of every value
  std::vector<Place> places_;         // of every value
  ChainBuffers buffers_;              // of the largest chain
  std::size_t buffer_floats_ = 0;     // of all buffers, a row
  double flops_ = 0.0, work_ = 0.0;
};

// The layers of a network that is a single chain.
const std::vector<FrozenLayer>& chain_of(const FrozenNetwork& network);

}  // namespace fastreg
