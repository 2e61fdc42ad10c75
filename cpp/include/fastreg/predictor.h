// A frozen network for serving: a Network in inference mode, without dropout, with batch normalisation folded into the
// neighbouring dense layers, and with its weights packed once. It knows nothing of training and never changes.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fastreg/network.h"

namespace fastreg {

// One layer of a frozen network. With a kernel, which is row-major of shape (in, out), y = activation(x kernel + bias);
// an empty bias means that there is none. Without a kernel, in == out and y = activation((x - mean) * scale + bias),
// which is a batch normalisation without a dense layer to fold it into; if these three are empty, y = activation(x).
// Without a kernel, too: if rectified, only elements not above 0 are multiplied with scale, and mean and bias are
// empty; with a statistic, y = activation(the normalised rows of x), and the three are empty.
struct FrozenLayer {
  std::size_t in = 0, out = 0;
  std::vector<float> kernel{}, bias{}, mean{}, scale{};
  ActivationSpec activation{};
  bool rectified = false;
  RowStatistic statistic = RowStatistic::none;
  float epsilon = 0.0f;
};

// A node of a frozen network. Values are numbered as in NetworkSpec: first the inputs, then the output of each node. A
// chain is a list of layers; embedding, category_encoding, periodic and parametric_activation read one value, and
// table_input an input of the network; the other kinds join values.
struct FrozenNode {
  enum class Kind : std::uint8_t {
    chain, add, multiply, concatenate, subtract, average, maximum, minimum, dot, embedding, category_encoding,
    table_input, periodic, parametric_activation
  };
  Kind kind = Kind::chain;
  std::vector<std::size_t> inputs{};
  std::vector<FrozenLayer> layers{};   // only if kind is chain
  Dot dot{};                         // only if kind is dot
  CategoryEncoding encoding{};       // only if kind is category_encoding
  std::vector<float> table{};        // only if kind is embedding; table_input or periodic: the kernel, row-major;
                                     // parametric_activation: alpha
  std::size_t columns = 1;           // of the table; only if kind is embedding or table_input
  TableColumns codes{};              // only if kind is table_input
  std::vector<float> bias{};         // only if kind is table_input or periodic; empty: there is none
  PeriodicEmbedding periodic{};      // only if kind is periodic, as for the next ones: row-major (n_frequencies, in)
  std::vector<float> frequencies{}, phases{};
  ActivationSpec activation{};       // only if kind is parametric_activation
};
struct FrozenNetwork {
  std::vector<NetworkInput> inputs{};
  std::vector<FrozenNode> nodes{};
  std::vector<NetworkOutput> outputs{};
};

class FrozenGraph;   // core/frozen_graph.h

class Predictor {
 public:
  // Copies what it needs. Training the network afterwards does not change the predictor. precision: how the matrix
  // products with kernels are computed (fastreg/enums.h).
  explicit Predictor(const Network& network, MatmulPrecision precision = MatmulPrecision::highest);
  // Makes a predictor of one chain. Throws std::invalid_argument if shapes do not match.
  explicit Predictor(const std::vector<FrozenLayer>& layers, MatmulPrecision precision = MatmulPrecision::highest);
  // Makes a predictor from what network() returns. Throws std::invalid_argument if shapes or values do not match.
  explicit Predictor(const FrozenNetwork& network, MatmulPrecision precision = MatmulPrecision::highest);
  ~Predictor();
  Predictor(Predictor&&) noexcept;
  Predictor& operator=(Predictor&&) noexcept;

  // The number of columns of the first input and of the first output.
  std::size_t n_features() const;
  std::size_t n_outputs() const;
  // The inputs and outputs. Those of a chain have no names. The values of outputs() are numbers of values in network().
  const std::vector<NetworkInput>& inputs() const;
  const std::vector<NetworkOutput>& outputs() const;
  std::vector<std::size_t> output_widths() const;
  FrozenNetwork network() const;
  // What the constructor was given, whether this CPU computes it or not.
  MatmulPrecision matmul_precision() const { return precision_; }
  // A description for people, such as "10 -> 64 relu -> 1 sigmoid".
  std::string summary() const;
  // The number of floating-point operations in the matrix products for one row.
  double flops_per_row() const;
  // An estimate of the time for one row, including activations and normalisations, expressed as the number of
  // operations that a matrix product does in that time. The library uses it to choose the number of threads; a caller
  // may use it to decide whether to release a lock.
  double work_per_row() const;

  // out = network(x), where x is (n, n_features) and out is (n, n_outputs) with n >= 0; they must not overlap. Any
  // number of threads may call this at the same time. The result of a row depends neither on the other rows nor on the
  // number of threads. It agrees with Network::predict up to rounding, not to the bit. Values are not checked: a NaN
  // makes its own row NaN. The call allocates only if it is the first one on its thread or has a larger batch than all
  // before on it. Throws std::invalid_argument for wrong shapes.
  void predict(MatrixView<const float> x, MatrixView<float> out) const;
  // The same for rows of any element type, which are rounded to the nearest float32 a block at a time. Returns whether
  // float32 holds them all: false if a finite number became infinite, and then out has results for it that mean
  // nothing.
  bool predict_features(const Features& x, MatrixView<float> out) const;
  // The same with all inputs and outputs, in their order. No two elements of out may overlap either.
  void predict(Span<const MatrixView<const float>> x, Span<const MatrixView<float>> out) const;

 private:
  struct Program;
  std::unique_ptr<const Program> program_;      // for a chain
  std::unique_ptr<const FrozenGraph> graph_;    // for any other network
  MatmulPrecision precision_;
};

}  // namespace fastreg
