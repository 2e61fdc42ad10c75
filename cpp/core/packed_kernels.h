// The kernels of a network that inference reads in another form (Operation::packed_kernel_floats): as operands of
// products in reduced precision, or as prefix sums. They are packed when they are first needed and again after they
// have changed. Prefix sums give the same bits as the kernel itself, so that they are packed only after as many rows as
// pay for it.
#pragma once
#include <vector>

#include "core/layer.h"

namespace fastreg {

struct Graph;

class PackedKernels {
 public:
  // Packs the kernels in this precision unless that has been done since the weights changed last. The caller holds the
  // graph's lock. rows: of the call that reads them; threads: how many pack them.
  void prepare(const Graph& graph, const ProductPrecision& precision, std::size_t rows, std::size_t threads);

  // How products are computed; those of an operation without a packed kernel are products of float32 numbers.
  const ProductPrecision& precision() const { return precision_; }
  // The kernel of this operation, or null.
  const float* of(std::size_t operation) const { return is_packed_ ? packed_[operation] : nullptr; }

 private:
  bool laid_out_ = false, is_packed_ = false;
  ProductPrecision precision_;
  std::uint64_t changes_ = 0;     // Graph::changes at the last call
  std::size_t rows_since_ = 0;    // of the calls since then
  Buffer tiles_;
  std::vector<float*> packed_;   // for each operation; empty where nothing is packed
};

}  // namespace fastreg
