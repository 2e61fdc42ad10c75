// A frozen network for serving: what is left of a Network in inference once dropout is gone and batch normalisation is
// folded into the dense layers beside it, its weights packed once. It knows nothing of training and never changes.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "fastreg/network.h"

namespace fastreg {

// One layer of a frozen network. With a kernel, (in, out) row-major, y = activation(x kernel + bias). Without one,
// in == out and y = activation((x - mean) * scale + bias), or activation(x) where these three are empty: a batch
// normalisation with no dense layer to fold into. bias may be empty beside a kernel, for none.
struct FrozenLayer {
  std::size_t in = 0, out = 0;
  std::vector<float> kernel, bias, mean, scale;
  ActivationKind activation = ActivationKind::linear;
};

class Predictor {
 public:
  // Copies what it needs: training the network further changes nothing here.
  explicit Predictor(const Network& network);
  // From layers(). Throws std::invalid_argument where shapes do not fit each other.
  explicit Predictor(const std::vector<FrozenLayer>& layers);
  ~Predictor();
  Predictor(Predictor&&) noexcept;
  Predictor& operator=(Predictor&&) noexcept;

  std::size_t n_features() const;
  std::size_t n_outputs() const;
  std::vector<FrozenLayer> layers() const;
  // For people, as in "10 -> 64 relu -> 1 sigmoid".
  std::string summary() const;
  // Floating-point operations of the products for one row.
  double flops_per_row() const;
  // What one row takes altogether, activations and normalisations included, in operations of the products: an estimate,
  // by which the library decides about threads, and a caller may about locks.
  double work_per_row() const;

  // out = network(x): x is (n, n_features), out (n, n_outputs), n >= 0; they must not overlap. Any number of threads
  // may call at once. A row's result depends neither on the other rows nor on the number of threads; it agrees with
  // Network::predict to rounding, not to the bit. Values are not looked at: a NaN makes its own row NaN.
  // Allocates at most at the calling thread's first call and at larger batches than ever before on it.
  // Throws std::invalid_argument for wrong shapes.
  void predict(MatrixView<const float> x, MatrixView<float> out) const;

 private:
  struct Program;
  std::unique_ptr<const Program> program_;
};

}  // namespace fastreg
