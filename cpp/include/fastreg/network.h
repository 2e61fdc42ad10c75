// A network: a spec plus its parameters, ready to predict. Train it with a Trainer (trainer.h).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "fastreg/pause.h"
#include "fastreg/spec.h"
#include "fastreg/view.h"

namespace fastreg {

// One array of weights as the user sees it: row-major, without padding. Vectors have rows == 1 and one dimension.
struct WeightInfo {
  std::string name{};   // layers.<index>.<kernel|bias|gamma|beta|moving_mean|moving_variance>
  std::size_t rows = 0, cols = 0;
  bool vector = false, trainable = true;
  std::size_t size() const { return rows * cols; }
  std::vector<std::size_t> shape() const { return vector ? std::vector{cols} : std::vector{rows, cols}; }
};

// The weights that a network of this spec has, and the columns of all its values, without making any. Throw
// std::invalid_argument for a bad spec.
std::vector<WeightInfo> weights_of(const NetworkSpec& spec);
std::vector<std::size_t> widths_of(const NetworkSpec& spec);
// The same of one layer whose inputs have these columns; it is called layers.0.
std::vector<WeightInfo> weights_of(const Layer& layer, const std::vector<std::size_t>& inputs);
std::size_t width_of(const Layer& layer, const std::vector<std::size_t>& inputs);

struct Graph;   // core/graph.h: layers as operations over one flat parameter buffer

// A lock of the network serialises calls, so that threads may share it. A fit releases it about every 50 ms.
class Network {
 public:
  // Allocates the parameters and initialises them from spec.seed. Throws std::invalid_argument for an invalid spec and,
  // before anything is allocated, for a network that would not fit into memory_limit().
  explicit Network(const NetworkSpec& spec);
  ~Network();
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;

  const NetworkSpec& spec() const;
  // The number of columns of the first input and of the first output.
  std::size_t n_features() const;
  std::size_t n_outputs() const;
  // The numbers of columns of all inputs and of all outputs.
  std::vector<std::size_t> input_widths() const;
  std::vector<std::size_t> output_widths() const;
  bool has_several_outputs() const;

  // In layer order; within a layer kernel, bias, or gamma, beta, moving_mean, moving_variance.
  const std::vector<WeightInfo>& weights() const;
  // Throw std::out_of_range if there is no weight with this index.
  void get_weight(std::size_t index, float* out) const;
  void set_weight(std::size_t index, const float* values);
  // Sets a part of a weight: n values, starting at index `first` in row-major order. Throws std::out_of_range if these
  // values do not exist.
  void set_weight_part(std::size_t index, std::size_t first, const float* values, std::size_t n);
  // Copies all weights as they are at one moment, even while another thread trains. There is one pointer for each of
  // weights(); another number of them is a std::invalid_argument.
  void get_weights(Span<float* const> out) const;
  // Sets values.size weights, of which the first one has the index `first` in weights(). The others stay as they are.
  // Throws std::out_of_range if the network has fewer weights than that.
  void set_weights(Span<const float* const> values, std::size_t first = 0);

  // out = network(x) in inference mode, where x is (n, n_features) and out is (n, n_outputs). The result of a row
  // depends neither on the other rows nor on the number of threads. Throws std::invalid_argument for wrong shapes.
  // precision: how the matrix products of wide layers are computed. Their kernels are kept in reduced precision until
  // the weights change.
  // pause: what the program does during a long call, or null. The rows have the weights of one moment nevertheless.
  void predict(const Features& x, MatrixView<float> out, MatmulPrecision precision = MatmulPrecision::highest,
               Pause* pause = nullptr) const;
  // The same; returns whether all features are finite as float32. If they are not, out has any values. x is read once.
  bool predict_if_finite(const Features& x, MatrixView<float> out,
                         MatmulPrecision precision = MatmulPrecision::highest, Pause* pause = nullptr) const;
  // predict with all inputs and outputs, in the order of the spec.
  void predict(Span<const Features> x, Span<const MatrixView<float>> out,
               MatmulPrecision precision = MatmulPrecision::highest, Pause* pause = nullptr) const;

 private:
  bool run(Span<const Features> x, Span<const MatrixView<float>> out, bool check_finite, MatmulPrecision precision,
           Pause* pause) const;

  friend class Predictor;
  friend class Trainer;
  std::unique_ptr<Graph> graph_;
};

// Reads a network from a model file that save() in Python or write_model() in C++ has written. Throws
// std::invalid_argument for a damaged file or one of another format, and std::system_error if the system refuses. The
// state of the optimizer is not read.
Network load_network(const std::string& path);

}  // namespace fastreg
